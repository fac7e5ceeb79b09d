//! Secrets: keys by their form, private key blocks, tokens of JWT, and long random tokens beside a word that announces one.
//!
//! One automaton finds where a secret may begin; a closer look follows there alone.

mod beside;
mod block;
mod shape;

use aho_corasick::{AhoCorasick, AhoCorasickKind, Input, MatchKind};

use crate::detect::{Detector, Found, Step, partial};
use crate::error::FilterError;
use crate::window::{More, Window, is_word};

/// Finds secrets.
#[derive(Debug)]
pub(crate) struct Secrets {
    /// Finds shapes and announcing words.
    starts: AhoCorasick,
    /// What each of its patterns announces.
    kinds: Vec<Start>,
    /// Their texts in lower case, sorted.
    sorted: Vec<Box<[u8]>>,
    /// The longest of them, in bytes.
    longest: usize,
}

/// What stands at the beginning of a secret.
#[derive(Clone, Copy, Debug)]
enum Start {
    Shape(&'static shape::Shape),
    Block,
    Word,
}

/// Every beginning and what it announces.
fn starts() -> impl Iterator<Item = (&'static str, Start)> {
    let shapes = shape::SHAPES.iter().map(|it| (it.prefix, Start::Shape(it)));
    let words = beside::WORDS.iter().map(|word| (*word, Start::Word));
    shapes.chain([(block::BEGIN, Start::Block)]).chain(words)
}

impl Secrets {
    pub(crate) fn new() -> Result<Self, FilterError> {
        let automaton = AhoCorasick::builder()
            .kind(Some(AhoCorasickKind::DFA))
            .match_kind(MatchKind::LeftmostLongest)
            .ascii_case_insensitive(true)
            .build(starts().map(|(text, _)| text));
        let mut sorted: Vec<Box<[u8]>> = starts()
            .map(|(text, _)| text.to_ascii_lowercase().into_bytes().into())
            .collect();
        sorted.sort_unstable();
        Ok(Self {
            starts: automaton.map_err(|_| FilterError::TooMany)?,
            kinds: starts().map(|(_, kind)| kind).collect(),
            longest: sorted.iter().map(|word| word.len()).max().unwrap_or(0),
            sorted,
        })
    }

    /// Where the text's end may be the beginning of a beginning.
    fn tail(&self, text: Window<'_>, from: usize) -> usize {
        if text.is_whole() {
            return text.len();
        }
        let start = from.max((text.len() + 1).saturating_sub(self.longest));
        let tail = text.bytes()[start..].to_ascii_lowercase();
        partial(&self.sorted, &tail).map_or(text.len(), |at| start + at)
    }
}

impl Detector for Secrets {
    fn next(&self, text: Window<'_>, floor: usize, from: usize) -> Step {
        let tail = self.tail(text, from);
        let mut cursor = from;
        while let Some(start) = self.starts.find(Input::new(text.bytes()).range(cursor..)) {
            let at = start.start();
            // a longer beginning may stand here once more has arrived
            if at >= tail {
                break;
            }
            let look = match self.kinds[start.pattern()] {
                Start::Shape(shape) => shape.look(text, floor, at),
                Start::Block => block::look(text, at),
                Start::Word => beside::look(text, start.end()),
            };
            match look {
                Ok(Some(at)) => return Step::Found(Found { at, what: "secret" }),
                Err(More) => return Step::Held(at),
                Ok(None) => cursor = at + 1,
            }
        }
        match tail < text.len() {
            true => Step::Held(tail),
            false => Step::Nothing,
        }
    }
}

/// Whether a secret may begin at `at`: not within a word.
fn begins(text: Window<'_>, floor: usize, at: usize) -> bool {
    at == floor
        || !text
            .before(at)
            .is_some_and(|byte| is_word(byte) || byte == b'-')
}

#[cfg(test)]
mod tests;
