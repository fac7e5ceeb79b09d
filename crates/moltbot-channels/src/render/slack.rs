//! Slack's mrkdwn.

use super::atoms::Span;
use super::dialect::{Beside, Dialect, Mark};
use crate::send::Format;

/// The most that `chat.update` takes; `chat.postMessage` would take ten times as much.
const LIMIT: usize = 4000;

pub(super) struct Slack(pub(super) Format);

impl Dialect for Slack {
    fn limit(&self) -> usize {
        LIMIT
    }

    fn measure(&self, _seen: &str, written: &str) -> usize {
        written.chars().count()
    }

    fn text(&self, text: &str, _beside: Beside) -> String {
        if self.0 == Format::Native {
            return text.to_owned();
        }
        text.replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;")
    }

    fn code(&self, code: &str) -> String {
        self.text(code, Beside::default())
            .replace("```", "`\u{200b}`\u{200b}`")
    }

    fn emphasis(&self, mark: Mark) -> Option<Span> {
        let mark = match mark {
            Mark::Strong => "*",
            Mark::Emphasis => "_",
            Mark::Strike => "~",
        };
        Some(Span::marks(mark, mark))
    }

    fn heading(&self, _level: u8) -> Option<Span> {
        self.emphasis(Mark::Strong)
    }

    fn inline_code(&self, code: &str) -> Option<Span> {
        (!code.contains('`')).then(|| Span::marks("`", "`"))
    }

    fn block(&self, _language: &str, _code: &str) -> Option<Span> {
        let (open, close) = ("```".to_owned(), "```".to_owned());
        Some(Span::Fence { open, close })
    }

    fn quote(&self) -> Option<Span> {
        Some(Span::Quote("> ".to_owned()))
    }

    fn link(&self, address: &str) -> Option<Span> {
        let address = address
            .replace('&', "&amp;")
            .replace('<', "%3C")
            .replace('>', "%3E")
            .replace('|', "%7C");
        Some(Span::marks(format!("<{address}|"), ">"))
    }

    fn tag_mark(&self) -> Option<&'static str> {
        (self.0 == Format::Native).then_some("&lt;")
    }

    fn marks_in_links(&self) -> bool {
        false
    }

    fn marks_need_edges(&self) -> bool {
        true
    }
}
