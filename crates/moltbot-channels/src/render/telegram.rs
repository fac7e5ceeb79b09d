//! Telegram's HTML.

use super::atoms::Span;
use super::dialect::{Beside, Dialect, Mark};
use crate::send::Format;

/// What a message may have after its entities were parsed, in UTF-16 units.
const LIMIT: usize = 4096;

pub(super) struct Telegram(pub(super) Format);

impl Dialect for Telegram {
    fn limit(&self) -> usize {
        LIMIT
    }

    fn measure(&self, seen: &str, written: &str) -> usize {
        let counted = match self.0 {
            Format::Markdown => seen,
            Format::Plain | Format::Native => written,
        };
        counted.encode_utf16().count()
    }

    fn text(&self, text: &str, _beside: Beside) -> String {
        match self.0 {
            Format::Markdown => escape(text),
            Format::Plain | Format::Native => text.to_owned(),
        }
    }

    fn emphasis(&self, mark: Mark) -> Option<Span> {
        Some(match mark {
            Mark::Strong => Span::marks("<b>", "</b>"),
            Mark::Emphasis => Span::marks("<i>", "</i>"),
            Mark::Strike => Span::marks("<s>", "</s>"),
        })
    }

    fn heading(&self, _level: u8) -> Option<Span> {
        self.emphasis(Mark::Strong)
    }

    fn inline_code(&self, _code: &str) -> Option<Span> {
        Some(Span::marks("<code>", "</code>"))
    }

    fn block(&self, language: &str, _code: &str) -> Option<Span> {
        Some(match language {
            "" => Span::marks("<pre>", "</pre>"),
            language => Span::marks(
                format!("<pre><code class=\"language-{}\">", escape(language)),
                "</code></pre>",
            ),
        })
    }

    fn quote(&self) -> Option<Span> {
        Some(Span::marks("<blockquote>", "</blockquote>"))
    }

    fn link(&self, address: &str) -> Option<Span> {
        let address = escape(address).replace('"', "&quot;");
        Some(Span::marks(format!("<a href=\"{address}\">"), "</a>"))
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
