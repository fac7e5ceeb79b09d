//! What a platform's formatting must say of itself.

use super::atoms::Span;

/// Emphasis within a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// Bold.
    Strong,
    /// Italic.
    Emphasis,
    /// Struck through.
    Strike,
}

/// What stands beside a part of a text.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Beside {
    /// Nothing but blanks stands before it in its line.
    pub(super) starts: bool,
    /// The character before it in the same text.
    pub(super) before: Option<char>,
    /// The character behind it in the same text.
    pub(super) after: Option<char>,
}

/// A platform's formatting. What it has no mark for becomes text.
pub(super) trait Dialect {
    /// The most that a message may measure.
    fn limit(&self) -> usize;

    /// The length, in the platform's unit, of what is `seen` and of how it is `written`; nothing is seen of a mark.
    fn measure(&self, seen: &str, written: &str) -> usize;

    /// How text is written.
    fn text(&self, text: &str, beside: Beside) -> String;

    /// How text between the marks of code is written.
    fn code(&self, code: &str) -> String {
        self.text(code, Beside::default())
    }

    /// The marks of an emphasis.
    fn emphasis(&self, _mark: Mark) -> Option<Span> {
        None
    }

    /// The marks of a heading; `level` is 1 to 6.
    fn heading(&self, _level: u8) -> Option<Span> {
        None
    }

    /// The marks of this code within a line.
    fn inline_code(&self, _code: &str) -> Option<Span> {
        None
    }

    /// The marks of this code on lines of its own.
    fn block(&self, _language: &str, _code: &str) -> Option<Span> {
        None
    }

    /// The marks of a quotation.
    fn quote(&self) -> Option<Span> {
        None
    }

    /// The marks of a link to an address that people can open.
    fn link(&self, _address: &str) -> Option<Span> {
        None
    }

    /// Whether a link's text may itself have marks.
    fn marks_in_links(&self) -> bool {
        true
    }

    /// The mark of an item of a list without numbers.
    fn bullet(&self) -> &'static str {
        "• "
    }

    /// A rule between parts of an answer.
    fn rule(&self) -> Option<String> {
        Some("──────────".to_owned())
    }

    /// Whether marks count only beside blanks and punctuation, so that something must part them from letters.
    fn marks_need_edges(&self) -> bool {
        false
    }

    /// How the `<` of a tag that mentions people is written so that it begins none; nothing where all text is
    /// escaped.
    fn tag_mark(&self) -> Option<&'static str> {
        None
    }
}
