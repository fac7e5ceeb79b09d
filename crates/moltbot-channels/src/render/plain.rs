//! Text without marks, and text that nobody limits.

use super::dialect::{Beside, Dialect};

/// Another dialect, of which only the length and the way to write text are used.
pub(super) struct Unmarked<'a>(pub(super) &'a dyn Dialect);

impl Dialect for Unmarked<'_> {
    fn limit(&self) -> usize {
        self.0.limit()
    }

    fn measure(&self, seen: &str, written: &str) -> usize {
        self.0.measure(seen, written)
    }

    fn text(&self, text: &str, beside: Beside) -> String {
        self.0.text(text, beside)
    }

    fn tag_mark(&self) -> Option<&'static str> {
        self.0.tag_mark()
    }

    fn rule(&self) -> Option<String> {
        None
    }

    fn bullet(&self) -> &'static str {
        "- "
    }
}

/// Text as it is.
pub(super) struct Text;

impl Dialect for Text {
    fn limit(&self) -> usize {
        usize::MAX
    }

    fn measure(&self, _seen: &str, written: &str) -> usize {
        written.len()
    }

    fn text(&self, text: &str, _beside: Beside) -> String {
        text.to_owned()
    }

    fn tag_mark(&self) -> Option<&'static str> {
        Some("<\u{200b}")
    }
}
