//! An answer's Markdown in a platform's own formatting, in pieces that the platform takes.
//!
//! Markdown is read into a small tree, the tree is laid out as atoms (text, spans, breaks) in a platform's
//! dialect, and the atoms are written into pieces. Length is counted while writing, in the platform's unit, so a
//! piece is never cut after it was made: a span that is open at a cut is closed there and opened again in the next piece.

mod atoms;
mod dialect;
mod feishu;
mod layout;
mod mentions;
mod native;
mod plain;
mod slack;
mod table;
mod telegram;
#[cfg(test)]
mod tests;
mod tree;
mod write;

use crate::send::{Chunk, Format};
use dialect::Dialect;

/// Whose formatting and limits an answer gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Platform {
    /// mrkdwn; 4,000 characters, the most that `chat.update` takes.
    Slack,
    /// HTML, which needs three characters escaped where MarkdownV2 needs eighteen; 4,096 UTF-16 units of what is
    /// seen, tags not counted. `plain` and `native` go out without a parse mode.
    Telegram,
    /// A card's Markdown, or a text message for `plain` and `native`; 28,000 bytes of the content as JSON, which
    /// leaves room for the card around it in the 30 KB that the platform takes.
    Feishu,
    /// Markdown as it is, of any length: for those who show it themselves.
    Text,
}

/// Renders an answer; none where there is nothing to see. Every piece but the last is as long as paragraphs allow.
///
/// ```
/// use moltbot_channels::Format;
/// use moltbot_channels::render::{Platform, render};
/// let chunks = render("**2 < 3**, says @everyone", Platform::Slack, Format::Markdown);
/// assert_eq!(chunks[0].text, "*2 &lt; 3*, says @\u{200b}everyone");
/// ```
#[must_use]
pub fn render(answer: &str, platform: Platform, format: Format) -> Vec<Chunk> {
    let dialect: &dyn Dialect = match platform {
        Platform::Slack => &slack::Slack(format),
        Platform::Telegram => &telegram::Telegram(format),
        Platform::Feishu => &feishu::Feishu(format),
        Platform::Text => &plain::Text,
    };
    let format = match (platform, format) {
        (Platform::Text, Format::Markdown) => Format::Native,
        _ => format,
    };
    let mut chunks = pieces(answer, dialect, format, dialect.limit());
    for chunk in &mut chunks {
        chunk.marked = format == Format::Markdown;
    }
    chunks
}

fn pieces(answer: &str, dialect: &dyn Dialect, format: Format, limit: usize) -> Vec<Chunk> {
    let mut atoms = match format {
        Format::Markdown => layout::layout(&tree::read(answer), dialect, limit),
        Format::Plain => layout::layout(&tree::read(answer), &plain::Unmarked(dialect), limit),
        Format::Native => native::layout(answer),
    };
    mentions::defuse(&mut atoms, dialect, format != Format::Markdown);
    write::write(&atoms, dialect, limit)
}
