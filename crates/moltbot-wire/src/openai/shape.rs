//! Recognises a content chunk by its likeness to the one before.

use std::ops::Range;

use memchr::memmem;

use super::read::{Reading, is_blank};

/// The field that OpenAI fills with blind text of changing length, so that sizes tell nothing.
const PADDING: &[u8] = br#""obfuscation":""#;

/// A chunk that was read, as what stands around its text.
///
/// A frame with the same bytes around another text needs no reading: it is valid, it belongs to the same
/// choice, and it is content. That holds for all but the first and last chunks of most streams.
#[derive(Debug, Default)]
pub(super) struct Shape {
    before: Vec<u8>,
    behind: Vec<u8>,
    /// What stands behind the padding, where there is some.
    last: Option<Vec<u8>>,
}

impl Shape {
    /// Keeps the form of `frame`, which was read as `reading`; of one choice with a text alone.
    pub(super) fn learn(&mut self, frame: &[u8], reading: &Reading<'_>) {
        self.before.clear();
        let [choice] = &reading.choices[..] else {
            return;
        };
        let at = choice.text.and_then(|text| place(frame, text));
        let Some(at) = at.filter(|_| reading.usage.is_none()) else {
            return;
        };
        let (mut behind, mut last) = (&frame[at.end - 1..], None);
        if let Some(padding) = memmem::find(behind, PADDING) {
            let (head, tail) = behind.split_at(padding + PADDING.len());
            let Some((_, tail)) = split_text(tail) else {
                return;
            };
            (behind, last) = (head, Some(tail.to_vec()));
        }
        self.before.extend_from_slice(&frame[..=at.start]);
        self.behind.clear();
        self.behind.extend_from_slice(behind);
        self.last = last;
    }

    /// Whether `frame` has this form around a text that is not blank.
    pub(super) fn fits(&self, frame: &[u8]) -> bool {
        !self.before.is_empty() && self.text(frame).is_some_and(|text| !is_blank(text))
    }

    fn text<'a>(&self, frame: &'a [u8]) -> Option<&'a [u8]> {
        let rest = frame.strip_prefix(&self.before[..])?;
        let (text, rest) = split_text(rest)?;
        let rest = rest.strip_prefix(&self.behind[..])?;
        match &self.last {
            Some(last) => split_text(rest)?.1 == last,
            None => rest.is_empty(),
        }
        .then_some(text)
    }
}

/// Where `part` lies in `frame`; `None` where it was copied out of it.
fn place(frame: &[u8], part: &[u8]) -> Option<Range<usize>> {
    let start = part.as_ptr().addr().checked_sub(frame.as_ptr().addr())?;
    let at = start..start.checked_add(part.len())?;
    (frame.get(at.clone())? == part).then_some(at)
}

/// Cuts the inside of a JSON string off, up to its closing quote; escapes of four digits are left to a
/// full reading.
fn split_text(from: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut rest = from;
    loop {
        rest = match rest {
            [b'"', ..] => break,
            [
                b'\\',
                b'"' | b'\\' | b'/' | b'n' | b't' | b'r' | b'b' | b'f',
                rest @ ..,
            ] => rest,
            [] | [b'\\' | 0..=0x1F, ..] => return None,
            [_, rest @ ..] => rest,
        };
    }
    let (text, rest) = from.split_at(from.len() - rest.len());
    std::str::from_utf8(text).ok().map(|_| (text, rest))
}
