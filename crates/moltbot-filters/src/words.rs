//! Lists of words that shall not pass, in any language.
//!
//! Case does not matter. Where a word begins or ends with a letter, digit or `_` of a script with spaces between words, it counts
//! as a whole word only; Chinese, Japanese and Korean words count anywhere.

use std::borrow::Cow;
use std::collections::HashSet;

use aho_corasick::{AhoCorasick, Input, MatchKind};

use crate::detect::{Detector, Found, Step, partial};
use crate::error::FilterError;
use crate::window::{More, Window};

/// Longest word, in bytes: this much of a text may be held back.
pub(crate) const LONGEST: usize = 256;

/// Finds words of a list.
#[derive(Debug)]
pub(crate) struct Words {
    words: AhoCorasick,
    /// The words in lower case, sorted.
    sorted: Vec<Box<[u8]>>,
    /// The same, to be asked for one.
    known: HashSet<Box<[u8]>>,
    /// The longest, in bytes.
    longest: usize,
    /// Some word has a letter beyond ASCII that has two cases.
    folds: bool,
}

impl Words {
    /// A list of words; blanks at their ends and empty ones do not count.
    ///
    /// # Errors
    /// `TooLong` for a word of more than 256 bytes, `TooMany` where they need too much memory.
    pub(crate) fn new<'a>(list: impl IntoIterator<Item = &'a str>) -> Result<Self, FilterError> {
        let known: HashSet<Box<[u8]>> = list
            .into_iter()
            .map(str::trim)
            .filter(|word| !word.is_empty())
            .map(|word| fold(word).into_owned().into_bytes().into())
            .collect();
        let mut sorted: Vec<_> = known.iter().cloned().collect();
        sorted.sort_unstable();
        let longest = sorted.iter().map(|word| word.len()).max().unwrap_or(0);
        if longest > LONGEST {
            return Err(FilterError::TooLong);
        }
        let folds = sorted.iter().any(|word| {
            let word = String::from_utf8_lossy(word);
            word.chars()
                .any(|letter| !letter.is_ascii() && letter.is_lowercase())
        });
        let words = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .ascii_case_insensitive(true)
            .build(&sorted)
            .map_err(|_| FilterError::TooMany)?;
        Ok(Self {
            words,
            sorted,
            known,
            longest,
            folds,
        })
    }

    /// The end of the longest whole word that begins at `start`; one that ends at `end` may.
    fn whole(
        &self,
        text: Window<'_>,
        folded: &str,
        start: usize,
        end: usize,
    ) -> Result<Option<usize>, More> {
        if joined(
            text.text()[..start].chars().next_back(),
            text.text()[start..].chars().next(),
        ) {
            return Ok(None);
        }
        for end in (start + 1..=end).rev() {
            if !folded.is_char_boundary(end) || !self.knows(&folded[start..end]) {
                continue;
            }
            text.byte(end)?;
            let (word, rest) = text.text().split_at(end);
            if !joined(word.chars().next_back(), rest.chars().next()) {
                return Ok(Some(end));
            }
        }
        Ok(None)
    }

    fn knows(&self, word: &str) -> bool {
        self.known.contains(word.to_ascii_lowercase().as_bytes())
    }

    fn tail(&self, text: Window<'_>, folded: &str, from: usize) -> usize {
        if text.is_whole() {
            return text.len();
        }
        let start = from.max((text.len() + 1).saturating_sub(self.longest));
        let tail = folded.as_bytes()[start..].to_ascii_lowercase();
        partial(&self.sorted, &tail).map_or(text.len(), |at| start + at)
    }
}

impl Detector for Words {
    fn next(&self, text: Window<'_>, _floor: usize, from: usize) -> Step {
        let folded = match self.folds {
            true => fold(text.text()),
            false => Cow::Borrowed(text.text()),
        };
        let tail = self.tail(text, &folded, from);
        let mut cursor = from;
        while let Some(word) = self.words.find(Input::new(&*folded).range(cursor..)) {
            let start = word.start();
            // a longer word may stand here once more has arrived
            if start >= tail {
                break;
            }
            match self.whole(text, &folded, start, word.end()) {
                Ok(Some(end)) => {
                    return Step::Found(Found {
                        at: start..end,
                        what: "word",
                    });
                }
                Err(More) => return Step::Held(start),
                Ok(None) => cursor = start + 1,
            }
        }
        match tail < text.len() {
            true => Step::Held(tail),
            false => Step::Nothing,
        }
    }
}

/// The text in lower case, with every byte in its place: letters that would change their length stay.
fn fold(text: &str) -> Cow<'_, str> {
    if text
        .bytes()
        .all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase())
    {
        return Cow::Borrowed(text);
    }
    let lower = |letter: char| {
        let mut small = letter.to_lowercase();
        match (small.next(), small.next()) {
            (Some(small), None) if small.len_utf8() == letter.len_utf8() => small,
            _ => letter,
        }
    };
    Cow::Owned(text.chars().map(lower).collect())
}

/// Whether no word begins or ends between two characters.
fn joined(left: Option<char>, right: Option<char>) -> bool {
    left.is_some_and(is_spaced) && right.is_some_and(is_spaced)
}

/// Letters, digits and `_` of scripts that put spaces between words.
fn is_spaced(letter: char) -> bool {
    (letter.is_alphanumeric() || letter == '_') && !is_unspaced(letter)
}

/// Chinese, Japanese, Korean, Thai, Lao, Khmer and Burmese.
fn is_unspaced(letter: char) -> bool {
    matches!(letter as u32,
        0x0E00..=0x0EFF | 0x1000..=0x109F | 0x1100..=0x11FF | 0x1780..=0x17FF | 0x2E80..=0x9FFF | 0xA960..=0xA97F
        | 0xAC00..=0xD7FF | 0xF900..=0xFAFF | 0xFF00..=0xFFEF | 0x2_0000..=0x3_FFFF)
}

#[cfg(test)]
mod tests;
