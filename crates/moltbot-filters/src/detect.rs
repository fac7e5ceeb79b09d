//! What a detector is: something that finds matches in a text from left to right.

use std::ops::Range;

use crate::window::Window;

/// Bytes before the undecided part of a text that detectors may look back at.
pub(crate) const CONTEXT: usize = 128;

/// A match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// Where it stands, at the borders of characters.
    pub(crate) at: Range<usize>,
    /// What it is: `email`.
    pub(crate) what: &'static str,
}

/// How far a detector came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The next match.
    Found(Found),
    /// No match begins before this place; whether one begins there hangs on text that has not arrived.
    Held(usize),
    /// No match is left.
    Nothing,
}

/// Finds matches that do not overlap.
///
/// Invariant: where the text is not whole, the answer is what it would be for every continuation.
pub(crate) trait Detector: Send + Sync {
    /// The first match that begins at `from` or behind. Matches end before `floor`, which is not behind
    /// `from`: nothing that begins between them is a match.
    fn next(&self, text: Window<'_>, floor: usize, from: usize) -> Step;
}

/// How far the text before `from` on a tail may be the beginning of a word: where the longest such tail begins.
///
/// `words` is sorted; `tail` holds the last bytes of the text and is cut at characters.
pub(crate) fn partial(words: &[Box<[u8]>], tail: &[u8]) -> Option<usize> {
    (0..tail.len()).find(|start| {
        let rest = &tail[*start..];
        let next = words.partition_point(|word| &**word <= rest);
        words.get(next).is_some_and(|word| word.starts_with(rest))
    })
}
