//! Cuts a streamed answer into frames and tells what each one is for the path.

use bytes::{Bytes, BytesMut};
use moltbot_types::{CallError, Frames, Kind, Mark, Retry, Splitter, Usage};
use smallvec::SmallVec;

use super::error;
use super::read::Reading;
use super::shape::Shape;
use crate::sse::{self, Cut, Cutter};

/// Broken events that a good stream may hold.
const FORGIVEN: u8 = 3;

/// Most choices that are told apart; no upstream offers as many.
const CHOICES: usize = 1024;

const DONE: &[u8] = b"data: [DONE]\n\n";

/// A stream of chunks, read as far as it came.
#[derive(Debug)]
pub(super) struct Stream {
    cutter: Cutter,
    /// The last content chunk's form: most chunks differ from it in their text alone.
    shape: Shape,
    /// Choices seen so far, and whether each has said why it ended.
    choices: SmallVec<[(u64, bool); 1]>,
    content: bool,
    /// `[DONE]` went by.
    done: bool,
    broken: u8,
    usage: Option<Usage>,
    /// An error event went by.
    failed: bool,
    failure: Option<CallError>,
}

/// What becomes of a frame.
enum Fate {
    Keep(Mark),
    LeaveOut,
}

impl Stream {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            cutter: Cutter::new(limit),
            shape: Shape::default(),
            choices: SmallVec::new(),
            content: false,
            done: false,
            broken: 0,
            usage: None,
            failed: false,
            failure: None,
        }
    }

    /// A proper end was seen.
    fn ended(&self) -> bool {
        self.done || (!self.choices.is_empty() && self.choices.iter().all(|(_, ended)| *ended))
    }

    fn frames(&mut self, cut: Cut) -> Result<Option<Frames>, CallError> {
        let mut marks: SmallVec<[(u32, Mark); 4]> = SmallVec::new();
        let mut kept: Option<BytesMut> = None;
        let mut start = 0;
        for end in cut.ends {
            let frame = &cut.raw[start..end];
            match self.fate(frame)? {
                Fate::Keep(mark) => {
                    if let Some(kept) = &mut kept {
                        kept.extend_from_slice(frame);
                    }
                    let end = kept.as_ref().map_or(end, BytesMut::len);
                    marks.push((end as u32, mark));
                }
                // From here on the frames that stay are gathered anew.
                Fate::LeaveOut if kept.is_none() => kept = Some(cut.raw[..start].into()),
                Fate::LeaveOut => {}
            }
            start = end;
        }
        if marks.is_empty() {
            return Ok(None);
        }
        let mut frames = Frames::new(kept.map_or(cut.raw, BytesMut::freeze), marks);
        frames.usage = self.usage.take();
        Ok(Some(frames))
    }

    fn fate(&mut self, frame: &[u8]) -> Result<Fate, CallError> {
        if self.done || self.failed {
            return Ok(Fate::LeaveOut); // nothing comes after the marker, and a failure is final
        }
        if self.shape.fits(frame) && !self.ended() {
            self.content = true;
            return Ok(Fate::Keep(Mark::Content));
        }
        let Some(data) = payload(frame) else {
            return Ok(Fate::Keep(self.bare(frame)));
        };
        if data.trim_ascii() == b"[DONE]" {
            // Without content or an end before it, it is no end: such a stream failed.
            self.done = self.content || self.ended();
            return Ok(Fate::Keep(if self.done { Mark::End } else { Mark::Role }));
        }
        let Some(reading) = read(&data) else {
            self.broken += 1;
            if self.broken > FORGIVEN {
                return Err(cut("the upstream sent too many broken events"));
            }
            return Ok(Fate::LeaveOut);
        };
        self.usage = reading.usage.or(self.usage);
        if let Some(failure) = reading.error {
            return Ok(Fate::Keep(self.fail(failure)));
        }
        let mark = self.mark(&reading);
        if mark == Mark::Content {
            self.shape.learn(frame, &reading);
        }
        Ok(Fate::Keep(mark))
    }

    /// The mark of a frame without data: a comment, or a failure that some servers send as a field `error`.
    fn bare(&mut self, frame: &[u8]) -> Mark {
        match sse::fields(frame).find(|(name, _)| *name == b"error") {
            Some((_, failure)) => self.fail(failure),
            None => Mark::Ping,
        }
    }

    fn fail(&mut self, failure: &[u8]) -> Mark {
        self.failed = true;
        self.failure = Some(error::embedded(failure));
        Mark::Error
    }

    fn mark(&mut self, reading: &Reading<'_>) -> Mark {
        let mut content = false;
        for choice in &reading.choices {
            content |= choice.content;
            let known = |(index, _): &(u64, bool)| *index == choice.index;
            if let Some(at) = self.choices.iter().position(known) {
                self.choices[at].1 |= choice.finished;
            } else if self.choices.len() < CHOICES {
                self.choices.push((choice.index, choice.finished));
            }
        }
        self.content |= content;
        if self.ended() {
            Mark::End
        } else if content {
            Mark::Content
        } else {
            Mark::Role
        }
    }
}

impl Splitter for Stream {
    fn push(&mut self, piece: Bytes) -> Result<Option<Frames>, CallError> {
        let cut = self.cutter.push(piece)?;
        self.frames(cut)
    }

    fn finish(&mut self) -> Result<Option<Frames>, CallError> {
        let mut owed = BytesMut::from(&self.cutter.rest()[..]);
        let mut ends = SmallVec::new();
        // A last event whose blank line is missing counts when it can be read.
        let last = payload(&owed)
            .is_some_and(|data| data.trim_ascii() == b"[DONE]" || read(&data).is_some());
        if last && !self.done {
            let closed = owed.ends_with(b"\n");
            owed.extend_from_slice(if closed { b"\n" } else { b"\n\n" });
            ends.push(owed.len());
        } else {
            owed.clear();
        }
        let mut frames = self.frames(Cut {
            raw: owed.freeze(),
            ends,
        })?;
        if frames.as_ref().is_some_and(|it| it.has(Mark::Error)) {
            return Ok(frames);
        }
        if self.failed || !self.ended() {
            return Err(cut("the upstream's stream ended before the answer did"));
        }
        if !self.done {
            self.done = true;
            frames = Some(with_done(frames));
        }
        Ok(frames)
    }

    fn failure(&mut self) -> Option<CallError> {
        self.failure.take()
    }
}

/// Adds the marker that is owed.
fn with_done(frames: Option<Frames>) -> Frames {
    let frames = frames.unwrap_or_default();
    let mut marks: SmallVec<[(u32, Mark); 4]> = SmallVec::new();
    let mut end = 0;
    for (frame, mark) in frames.iter() {
        end += frame.len() as u32;
        marks.push((end, mark));
    }
    marks.push((end + DONE.len() as u32, Mark::End));
    let raw = [&frames.raw()[..], DONE].concat();
    let mut joined = Frames::new(raw.into(), marks);
    joined.usage = frames.usage;
    joined
}

/// The data of a frame, where it is more than blanks.
fn payload(frame: &[u8]) -> Option<std::borrow::Cow<'_, [u8]>> {
    sse::data(frame).filter(|data| !data.trim_ascii().is_empty())
}

fn read(data: &[u8]) -> Option<Reading<'_>> {
    std::str::from_utf8(data).ok()?;
    Reading::of(data).ok()
}

fn cut(message: &str) -> CallError {
    CallError::new(Kind::Cut, message).retry(Retry::Anywhere)
}

#[cfg(test)]
mod tests;
