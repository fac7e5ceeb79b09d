//! A reply on its way up: whole, or a stream of frames, with what is held until its last byte.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;

use bytes::Bytes;
use futures_util::Stream;
use http::{HeaderMap, StatusCode};
use smallvec::SmallVec;

use crate::dialect::Dialect;
use crate::error::{CallError, Kind};
use crate::usage::Usage;

/// What a frame of a stream is for the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mark {
    /// A sign of life: a comment, a ping.
    Ping,
    /// Belongs to the answer but is no content yet: a role, blanks, usage alone.
    Role,
    /// Text, reasoning, a refusal, a tool call, audio.
    Content,
    /// The proper end of the answer, or what follows it.
    End,
    /// The upstream's own error event.
    Error,
}

/// One or more whole frames that arrived together: their raw text unbroken, and a mark for each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frames {
    raw: Bytes,
    /// Where each frame ends in `raw`, and its mark.
    marks: SmallVec<[(u32, Mark); 4]>,
    /// Usage, where one of the frames told it.
    pub usage: Option<Usage>,
}

impl Frames {
    /// Frames over `raw`; `marks` are the ends of the frames in it, rising, the last one its length.
    pub fn new(raw: Bytes, marks: impl IntoIterator<Item = (u32, Mark)>) -> Self {
        Self {
            raw,
            marks: marks.into_iter().collect(),
            usage: None,
        }
    }

    /// One frame.
    pub fn one(raw: Bytes, mark: Mark) -> Self {
        let end = raw.len() as u32;
        Self::new(raw, [(end, mark)])
    }

    /// All bytes.
    pub fn raw(&self) -> &Bytes {
        &self.raw
    }

    /// All bytes, taken.
    pub fn into_raw(self) -> Bytes {
        self.raw
    }

    /// Whether any frame bears `mark`.
    pub fn has(&self, mark: Mark) -> bool {
        self.marks().any(|m| m == mark)
    }

    /// The mark of each frame.
    pub fn marks(&self) -> impl Iterator<Item = Mark> + '_ {
        self.marks.iter().map(|(_, mark)| *mark)
    }

    /// Each frame with its mark.
    pub fn iter(&self) -> impl Iterator<Item = (Bytes, Mark)> + '_ {
        let mut start = 0;
        self.marks.iter().map(move |(end, mark)| {
            let frame = self.raw.slice(start..*end as usize);
            start = *end as usize;
            (frame, *mark)
        })
    }
}

/// The frames of a reply, in order. It ends after a proper end, or with an error.
pub type FrameStream = Pin<Box<dyn Stream<Item = Result<Frames, CallError>> + Send>>;

/// What a reply carries.
pub enum Body {
    /// All of it.
    Whole(Bytes),
    /// Frames as they come. Invariant: the first one above the step `times` holds content or an end.
    Stream(FrameStream),
}

/// How a reply ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Its last byte was handed over.
    Complete,
    /// It broke off after content went out.
    Cut {
        /// The kind of failure.
        kind: Kind,
        /// Its words.
        message: String,
    },
    /// The caller left before the end.
    Cancelled,
}

/// Something that is kept until a reply's last byte and hears how it ended.
///
/// Dropping it gives back what it holds; [`Hold::end`] comes first, exactly once.
pub trait Hold: Send {
    /// The reply ended; `usage` is what is known of its tokens.
    fn end(&mut self, ending: &Ending, usage: Option<Usage>) {
        let _ = (ending, usage);
    }
}

/// A reply: one pointer to its content.
pub struct Reply(Box<ReplyParts>);

/// The content of a [`Reply`].
pub struct ReplyParts {
    /// The status, always 2xx: other answers are errors.
    pub status: StatusCode,
    /// Headers of the upstream that may travel on; already chosen by a list.
    pub headers: HeaderMap,
    /// The dialect of the body.
    pub dialect: &'static dyn Dialect,
    /// The body.
    pub body: Body,
    /// Tokens, as far as they are known.
    pub usage: Option<Usage>,
    holds: Holds,
}

/// What a reply holds; ends it exactly once, as `Cancelled` when it is dropped before.
#[derive(Default)]
pub struct Holds {
    held: Vec<Box<dyn Hold>>,
    usage: Option<Usage>,
}

impl Holds {
    /// Keeps `hold` until the end.
    pub fn hold(&mut self, hold: impl Hold + 'static) {
        self.held.push(Box::new(hold));
    }

    /// Notes tokens that became known on the way.
    pub fn note(&mut self, usage: Option<Usage>) {
        self.usage = usage.or(self.usage);
    }

    /// Tells everyone how it ended, the last step up first, and lets go.
    pub fn end(&mut self, ending: &Ending) {
        for mut hold in self.held.drain(..).rev() {
            hold.end(ending, self.usage);
        }
    }
}

impl Drop for Holds {
    fn drop(&mut self) {
        self.end(&Ending::Cancelled);
    }
}

impl Reply {
    /// A reply that holds nothing yet.
    pub fn new(status: StatusCode, dialect: &'static dyn Dialect, body: Body) -> Self {
        Self(Box::new(ReplyParts {
            status,
            headers: HeaderMap::new(),
            dialect,
            body,
            usage: None,
            holds: Holds::default(),
        }))
    }

    /// A whole reply of status 200.
    pub fn whole(dialect: &'static dyn Dialect, body: impl Into<Bytes>) -> Self {
        Self::new(StatusCode::OK, dialect, Body::Whole(body.into()))
    }

    /// A streamed reply of status 200.
    pub fn stream(
        dialect: &'static dyn Dialect,
        frames: impl Stream<Item = Result<Frames, CallError>> + Send + 'static,
    ) -> Self {
        Self::new(StatusCode::OK, dialect, Body::Stream(Box::pin(frames)))
    }

    /// Keeps `hold` until the last byte.
    pub fn hold(&mut self, hold: impl Hold + 'static) {
        self.0.holds.hold(hold);
    }

    /// Puts another stream around the frames; a whole body stays.
    pub fn map_frames(mut self, f: impl FnOnce(FrameStream) -> FrameStream) -> Self {
        self.0.body = match self.0.body {
            Body::Stream(frames) => Body::Stream(f(frames)),
            whole => whole,
        };
        self
    }

    /// Takes the body and what is held apart. Whoever reads the body ends the holds.
    pub fn into_parts(self) -> (StatusCode, HeaderMap, Body, Holds) {
        let mut parts = *self.0;
        parts.holds.note(parts.usage);
        (parts.status, parts.headers, parts.body, parts.holds)
    }
}

impl Deref for Reply {
    type Target = ReplyParts;

    fn deref(&self) -> &ReplyParts {
        &self.0
    }
}

impl DerefMut for Reply {
    fn deref_mut(&mut self) -> &mut ReplyParts {
        &mut self.0
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let body = match &self.0.body {
            Body::Whole(bytes) => format!("{} bytes", bytes.len()),
            Body::Stream(_) => "a stream".to_owned(),
        };
        f.debug_struct("Reply")
            .field("status", &self.0.status)
            .field("body", &body)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    struct Heard(Arc<Mutex<Vec<(&'static str, Ending)>>>, &'static str);

    impl Hold for Heard {
        fn end(&mut self, ending: &Ending, _: Option<Usage>) {
            self.0.lock().unwrap().push((self.1, ending.clone()));
        }
    }

    #[test]
    fn every_hold_hears_one_end_the_outermost_first() {
        let heard = Arc::default();
        let mut holds = Holds::default();
        holds
            .held
            .push(Box::new(Heard(Arc::clone(&heard), "permit")));
        holds
            .held
            .push(Box::new(Heard(Arc::clone(&heard), "record")));
        holds.end(&Ending::Complete);
        drop(holds);
        assert_eq!(
            *heard.lock().unwrap(),
            [("record", Ending::Complete), ("permit", Ending::Complete)]
        );
    }

    #[test]
    fn a_reply_that_is_dropped_early_was_cancelled() {
        let heard = Arc::default();
        let mut holds = Holds::default();
        holds
            .held
            .push(Box::new(Heard(Arc::clone(&heard), "permit")));
        drop(holds);
        assert_eq!(*heard.lock().unwrap(), [("permit", Ending::Cancelled)]);
    }

    #[test]
    fn frames_know_their_pieces() {
        let frames = Frames::new(
            Bytes::from_static(b":\n\ndata: x\n\n"),
            [(3, Mark::Ping), (12, Mark::Content)],
        );
        assert!(frames.has(Mark::Content) && !frames.has(Mark::End));
        let pieces: Vec<_> = frames.iter().collect();
        assert_eq!(
            pieces[1],
            (Bytes::from_static(b"data: x\n\n"), Mark::Content)
        );
    }
}
