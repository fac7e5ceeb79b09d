//! Recognises a content chunk by its likeness to the one before.

use std::ops::Range;

use super::read::{Reading, is_blank};

/// A chunk that was read, as what stands before and behind its text.
///
/// A frame with the same bytes around another text needs no reading: it is valid, it belongs to the same
/// choice, and it is content. That holds for all but the first and last chunks of most streams.
#[derive(Debug, Default)]
pub(super) struct Shape {
    before: Vec<u8>,
    behind: Vec<u8>,
}

impl Shape {
    /// Keeps the form of `frame`, which was read as `reading`; of one choice with a text alone.
    pub(super) fn learn(&mut self, frame: &[u8], reading: &Reading<'_>) {
        self.before.clear();
        let [choice] = &reading.choices[..] else {
            return;
        };
        let Some(text) = choice.text.filter(|text| choice.content && text.len() > 2) else {
            return;
        };
        let Some(at) = place(frame, text).filter(|_| reading.usage.is_none()) else {
            return;
        };
        self.before.extend_from_slice(&frame[..=at.start]);
        self.behind.clear();
        self.behind.extend_from_slice(&frame[at.end - 1..]);
    }

    /// Whether `frame` has this form around a text that is not blank.
    pub(super) fn fits(&self, frame: &[u8]) -> bool {
        if self.before.is_empty() || frame.len() <= self.before.len() + self.behind.len() {
            return false;
        }
        frame
            .strip_prefix(&self.before[..])
            .and_then(|rest| rest.strip_suffix(&self.behind[..]))
            .is_some_and(|text| is_text(text) && !is_blank(text))
    }
}

/// Where `part` lies in `frame`; `None` where it was copied out of it.
fn place(frame: &[u8], part: &[u8]) -> Option<Range<usize>> {
    let start = part.as_ptr().addr().checked_sub(frame.as_ptr().addr())?;
    let at = start..start.checked_add(part.len())?;
    (frame.get(at.clone())? == part).then_some(at)
}

/// Whether `text` can stand in a JSON string as it is; escapes of four digits are left to a full reading.
fn is_text(text: &[u8]) -> bool {
    let mut rest = text;
    loop {
        rest = match rest {
            [] => return std::str::from_utf8(text).is_ok(),
            [
                b'\\',
                b'"' | b'\\' | b'/' | b'n' | b't' | b'r' | b'b' | b'f',
                rest @ ..,
            ] => rest,
            [b'"' | b'\\' | 0..=0x1F, ..] => return false,
            [_, rest @ ..] => rest,
        };
    }
}
