//! The patience with one target, and the commit point: what leaves this step has content, or is whole.
//!
//! Until the first content everything a stream brings is kept back, so that a failure there is an
//! `Err` that another target can make good, and the caller saw nothing of it.

#[cfg(test)]
mod tests;

use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::{FutureExt, Stream, StreamExt};
use moltbot_types::{
    Body, Call, CallError, FrameStream, Frames, Kind, Mark, Next, Reply, Retry, Step, Usage,
};
use tokio::time::{Instant, Sleep, sleep_until, timeout_at};

use crate::deadline::after;

/// Bytes that are kept back at most before content comes.
const MOST_HELD: usize = 1024 * 1024;

/// How long one attempt at a target may take. The time to connect is the connector's own matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// From the start to the first content of a stream; pings and roles do not count.
    pub first_token: Duration,
    /// Between two pieces of a stream; every piece counts.
    pub idle: Duration,
    /// From the start to a whole answer; `None` where what follows bounds that itself, because it sees
    /// the body begin.
    pub answer: Option<Duration>,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            first_token: Duration::from_secs(30),
            idle: Duration::from_secs(30),
            answer: Some(Duration::from_secs(120)),
        }
    }
}

/// The step that waits for a target, and no longer.
#[derive(Clone, Copy, Debug)]
pub struct Times(Timeouts);

/// Bounds what follows by `timeouts` and by the call's deadline.
pub fn times(timeouts: Timeouts) -> Times {
    Times(timeouts)
}

impl Step for Times {
    async fn run<N: Next>(&self, call: Call, next: &N) -> Result<Reply, CallError> {
        let Timeouts {
            first_token,
            idle,
            answer,
        } = self.0;
        let (patience, what) = match call.head.stream {
            true => (first_token, "no content"),
            false => (answer.unwrap_or(Duration::MAX), "no answer"),
        };
        // Where the upstream keeps what it did, a repeat would be another call.
        let retry = match call.head.store {
            true => Retry::Never,
            false => Retry::Anywhere,
        };
        let too_slow = |words: String| CallError::new(Kind::Timeout, words).retry(retry);
        let bad = |words: &str| CallError::new(Kind::BadReply, words).retry(retry);
        let own = after(Instant::now(), patience);
        let end = call.deadline.map_or(own, |deadline| deadline.min(own));
        let late = || {
            too_slow(match end < own {
                true => format!("{what} before the call's time was over"),
                false => format!("{what} within {patience:?}"),
            })
        };

        let mut reply = timeout_at(end, next.call(call))
            .await
            .map_err(|_| late())??;
        let Body::Stream(frames) = &mut reply.body else {
            return Ok(reply);
        };
        let frames = mem::replace(frames, Box::pin(futures_util::stream::empty()));
        let mut pieces = Pieces::new(frames, idle, end);
        let mut held = Held::default();
        let first = loop {
            match pieces.next().await {
                Piece::Frames(frames) => match held.take(frames) {
                    Progress::Content(first) => break first,
                    Progress::Failure => {
                        let told = pieces.failure().await;
                        return Err(
                            told.unwrap_or_else(|| bad("the upstream's stream is an error"))
                        );
                    }
                    Progress::Waiting if held.bytes > MOST_HELD => {
                        return Err(bad("no content within the first megabyte of the stream"));
                    }
                    Progress::Waiting => {}
                },
                Piece::Failed(error) => return Err(error),
                Piece::Over => return Err(bad("the stream ended before any content")),
                Piece::Silent if Instant::now() >= end => return Err(late()),
                Piece::Silent => {
                    return Err(too_slow(format!("the stream was silent for {idle:?}")));
                }
            }
        };
        reply.usage = first.usage.or(reply.usage);
        reply.body = Body::Stream(Box::pin(Committed::new(first, pieces)));
        Ok(reply)
    }
}

/// What a stream brought.
enum Piece {
    Frames(Frames),
    Failed(CallError),
    /// It ended.
    Over,
    /// Nothing came in time.
    Silent,
}

/// A stream and the patience with it: one timer, moved only when it fires.
struct Pieces {
    frames: FrameStream,
    idle: Duration,
    /// Until content came: the end of all patience.
    end: Option<Instant>,
    due: Instant,
    sleep: Pin<Box<Sleep>>,
}

impl Pieces {
    fn new(frames: FrameStream, idle: Duration, end: Instant) -> Self {
        let due = after(Instant::now(), idle).min(end);
        Self {
            frames,
            idle,
            end: Some(end),
            due,
            sleep: Box::pin(sleep_until(due)),
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Piece> {
        // Before content, the clock comes first: a stream that always has a ping ready must end too.
        if self.end.is_some_and(|end| Instant::now() >= end) {
            return Poll::Ready(Piece::Silent);
        }
        if let Poll::Ready(item) = self.frames.poll_next_unpin(cx) {
            let due = after(Instant::now(), self.idle);
            self.due = self.end.map_or(due, |end| due.min(end));
            return Poll::Ready(match item {
                Some(Ok(frames)) => Piece::Frames(frames),
                Some(Err(error)) => Piece::Failed(error),
                None => Piece::Over,
            });
        }
        loop {
            ready!(self.sleep.poll_unpin(cx));
            if self.sleep.deadline() >= self.due {
                return Poll::Ready(Piece::Silent);
            }
            self.sleep.as_mut().reset(self.due);
        }
    }

    async fn next(&mut self) -> Piece {
        std::future::poll_fn(|cx| self.poll(cx)).await
    }

    /// The failure that an error frame told: it follows the frame.
    async fn failure(mut self) -> Option<CallError> {
        match self.next().await {
            Piece::Failed(error) => Some(error),
            _ => None,
        }
    }
}

/// What came before content.
#[derive(Default)]
struct Held {
    frames: Vec<Frames>,
    bytes: usize,
}

enum Progress {
    /// Content, with all that came before it.
    Content(Frames),
    Failure,
    Waiting,
}

impl Held {
    fn take(&mut self, frames: Frames) -> Progress {
        let decisive = frames
            .marks()
            .find(|mark| matches!(mark, Mark::Content | Mark::End | Mark::Error));
        match decisive {
            Some(Mark::Error) => Progress::Failure,
            Some(_) if self.frames.is_empty() => Progress::Content(frames),
            Some(_) => {
                self.frames.push(frames);
                Progress::Content(join(mem::take(&mut self.frames)))
            }
            None => {
                self.bytes += frames.raw().len();
                if !frames.raw().is_empty() {
                    self.frames.push(frames);
                }
                Progress::Waiting
            }
        }
    }
}

fn join(all: Vec<Frames>) -> Frames {
    let mut raw = BytesMut::with_capacity(all.iter().map(|frames| frames.raw().len()).sum());
    let mut marks = Vec::new();
    let mut usage: Option<Usage> = None;
    for frames in &all {
        for (piece, mark) in frames.iter() {
            raw.extend_from_slice(&piece);
            marks.push((raw.len() as u32, mark));
        }
        usage = frames.usage.or(usage);
    }
    let mut joined = Frames::new(Bytes::from(raw), marks);
    joined.usage = usage;
    joined
}

/// A stream whose content has begun. It ends after a proper end or with an error, never silently.
struct Committed {
    first: Option<Frames>,
    /// `None` when the stream is over.
    pieces: Option<Pieces>,
    /// A proper end was seen.
    ended: bool,
}

impl Committed {
    fn new(first: Frames, mut pieces: Pieces) -> Self {
        pieces.end = None;
        pieces.due = after(Instant::now(), pieces.idle);
        Self {
            ended: first.has(Mark::End),
            first: Some(first),
            pieces: Some(pieces),
        }
    }
}

impl Stream for Committed {
    type Item = Result<Frames, CallError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if let Some(first) = this.first.take() {
            return Poll::Ready(Some(Ok(first)));
        }
        let Some(pieces) = &mut this.pieces else {
            return Poll::Ready(None);
        };
        let last = match ready!(pieces.poll(cx)) {
            Piece::Frames(frames) => {
                this.ended |= frames.has(Mark::End);
                return Poll::Ready(Some(Ok(frames)));
            }
            Piece::Failed(error) => Some(Err(error)),
            Piece::Over | Piece::Silent if this.ended => None,
            Piece::Over => Some(Err(CallError::new(
                Kind::Cut,
                "the upstream's stream ended before its end",
            ))),
            Piece::Silent => Some(Err(CallError::new(
                Kind::Cut,
                format!("the upstream was silent for {:?}", pieces.idle),
            )
            .code("upstream_stalled"))),
        };
        this.pieces = None; // the upstream is let go at once, not when the caller has read all
        Poll::Ready(last)
    }
}
