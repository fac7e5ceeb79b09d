//! The Markdown of Feishu's cards.

use super::atoms::Span;
use super::dialect::{Beside, Dialect, Mark};
use crate::send::Format;

/// Bytes of text as JSON in a message: the platform takes 30 KB of a card, a little of which stands around the text.
const LIMIT: usize = 28_000;

pub(super) struct Feishu(pub(super) Format);

impl Dialect for Feishu {
    fn limit(&self) -> usize {
        LIMIT
    }

    fn measure(&self, _seen: &str, written: &str) -> usize {
        written.chars().map(in_json).sum()
    }

    fn text(&self, text: &str, beside: Beside) -> String {
        match self.0 {
            Format::Markdown => escape(text, beside),
            Format::Plain | Format::Native => text.to_owned(),
        }
    }

    fn code(&self, code: &str) -> String {
        code.to_owned()
    }

    fn emphasis(&self, mark: Mark) -> Option<Span> {
        let mark = match mark {
            Mark::Strong => "**",
            Mark::Emphasis => "*",
            Mark::Strike => "~~",
        };
        Some(Span::marks(mark, mark))
    }

    fn heading(&self, level: u8) -> Option<Span> {
        let marks = "#".repeat(level.into());
        Some(Span::marks(format!("{marks} "), ""))
    }

    fn inline_code(&self, code: &str) -> Option<Span> {
        let fence = "`".repeat(longest_run(code) + 1);
        Some(match fence.len() {
            1 => Span::marks("`", "`"),
            _ => Span::marks(format!("{fence} "), format!(" {fence}")),
        })
    }

    fn block(&self, language: &str, code: &str) -> Option<Span> {
        let close = "`".repeat(longest_run(code).max(2) + 1);
        let open = format!("{close}{language}");
        Some(Span::Fence { open, close })
    }

    fn quote(&self) -> Option<Span> {
        Some(Span::Quote("> ".to_owned()))
    }

    fn link(&self, address: &str) -> Option<Span> {
        let address = address
            .replace(' ', "%20")
            .replace('(', "%28")
            .replace(')', "%29");
        Some(Span::marks("[", format!("]({address})")))
    }

    fn tag_mark(&self) -> Option<&'static str> {
        (self.0 != Format::Markdown).then_some("<\u{200b}")
    }

    fn rule(&self) -> Option<String> {
        Some("---".to_owned())
    }

    fn bullet(&self) -> &'static str {
        "- "
    }
}

/// The bytes of a character within a string of JSON.
fn in_json(character: char) -> usize {
    match character {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
        '\0'..='\u{1f}' => 6,
        _ => character.len_utf8(),
    }
}

/// Writes what would be a mark as the platform's escape for it, which is HTML's.
fn escape(text: &str, beside: Beside) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut starts = beside.starts;
    for (at, character) in text.char_indices() {
        let next = text[at + character.len_utf8()..].chars().next();
        let next = next.or(beside.after);
        let last = text[..at].chars().next_back().or(beside.before);
        let joins = |beside: Option<char>| beside.is_some_and(char::is_alphanumeric);
        match character {
            '&' if next.is_some_and(|next| next == '#' || next.is_ascii_alphabetic()) => {
                escaped.push_str("&#38;");
            }
            '<' | '>' | '*' | '~' | '`' | '[' | ']' | '\\' => push(&mut escaped, character),
            '_' if !joins(last) || !joins(next) => push(&mut escaped, character),
            '#' if starts => push(&mut escaped, character),
            '-' | '+' if starts && next.is_none_or(char::is_whitespace) => {
                push(&mut escaped, character)
            }
            _ => escaped.push(character),
        }
        starts = starts && character.is_whitespace();
    }
    escaped
}

fn push(escaped: &mut String, character: char) {
    escaped.push_str(&format!("&#{};", u32::from(character)));
}

/// The longest run of backticks.
fn longest_run(code: &str) -> usize {
    let runs = code.split(|character| character != '`');
    runs.map(str::len).max().unwrap_or(0)
}
