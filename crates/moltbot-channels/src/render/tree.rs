//! Markdown as a small tree. Raw HTML is text.

use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Options, Parser, Tag};

use super::dialect::Mark;

/// Containers in one another beyond this depth are left out; what is in them stays.
const DEPTH: usize = 16;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Block {
    Paragraph(Vec<Inline>),
    Heading(u8, Vec<Inline>),
    Code {
        language: String,
        code: String,
    },
    Quote(Vec<Block>),
    List {
        /// The first number, where items have numbers.
        start: Option<u64>,
        items: Vec<Vec<Block>>,
    },
    /// Rows of cells.
    Table(Vec<Vec<String>>),
    Rule,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Inline {
    Text(String),
    Code(String),
    Marked(Mark, Vec<Inline>),
    Link {
        label: Vec<Inline>,
        address: String,
    },
    /// A new line.
    Line,
}

/// What is seen of inlines, in one line.
pub(super) fn seen(inlines: &[Inline]) -> String {
    let mut text = String::new();
    for inline in inlines {
        match inline {
            Inline::Text(part) | Inline::Code(part) => text.push_str(part),
            Inline::Marked(_, inner) | Inline::Link { label: inner, .. } => {
                text.push_str(&seen(inner));
            }
            Inline::Line => text.push(' '),
        }
    }
    text
}

/// Reads Markdown as GitHub's flavour has it: with tables, strike-through and task lists.
pub(super) fn read(markdown: &str) -> Vec<Block> {
    let options =
        Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
    let mut builder = Builder {
        open: vec![Open::Blocks(Kind::Root, Vec::new())],
        kept: Vec::new(),
    };
    for event in Parser::new_ext(markdown, options) {
        builder.take(event);
    }
    match builder.open.pop() {
        Some(Open::Blocks(_, blocks)) => blocks,
        _ => Vec::new(),
    }
}

struct Builder {
    /// What is not yet whole, outermost first. Invariant: the first is the root.
    open: Vec<Open>,
    /// Of each start whose end has not come, whether it opened something.
    kept: Vec<bool>,
}

enum Open {
    Blocks(Kind, Vec<Block>),
    List(Option<u64>, Vec<Vec<Block>>),
    Inlines(Line, Vec<Inline>),
    Code(String, String),
    Table(Vec<Vec<String>>),
    Row(Vec<String>),
}

enum Kind {
    Root,
    Quote,
    Item,
}

enum Line {
    Paragraph,
    Heading(u8),
    Cell,
    Marked(Mark),
    Link(String),
}

impl Builder {
    fn take(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => {
                let opened = self.opens(tag);
                self.kept.push(opened.is_some());
                self.open.extend(opened);
            }
            Event::End(_) => {
                if self.kept.pop() == Some(true) {
                    self.close();
                }
            }
            Event::Text(text) | Event::Html(text) | Event::InlineHtml(text) => self.text(&text),
            Event::Code(code) => self.inline(Inline::Code(code.into_string())),
            Event::SoftBreak | Event::HardBreak => self.inline(Inline::Line),
            Event::Rule => self.block(Block::Rule),
            Event::TaskListMarker(done) => self.text(if done { "☑ " } else { "☐ " }),
            // Not asked for; kept as text should they ever come.
            Event::InlineMath(text) | Event::DisplayMath(text) | Event::FootnoteReference(text) => {
                self.text(&text);
            }
        }
    }

    fn opens(&self, tag: Tag<'_>) -> Option<Open> {
        let deep = self.open.len() >= DEPTH;
        let marked = |mark| (!deep).then(|| Open::Inlines(Line::Marked(mark), Vec::new()));
        match tag {
            Tag::Paragraph | Tag::HtmlBlock => Some(Open::Inlines(Line::Paragraph, Vec::new())),
            Tag::Heading { level, .. } => {
                Some(Open::Inlines(Line::Heading(number(level)), Vec::new()))
            }
            Tag::BlockQuote(_) if !deep => Some(Open::Blocks(Kind::Quote, Vec::new())),
            Tag::CodeBlock(kind) => Some(Open::Code(language(&kind), String::new())),
            // A list and its items are left out together.
            Tag::List(start) if self.open.len() + 1 < DEPTH => Some(Open::List(start, Vec::new())),
            Tag::Item => matches!(self.open.last(), Some(Open::List(..)))
                .then(|| Open::Blocks(Kind::Item, Vec::new())),
            Tag::Table(_) => Some(Open::Table(Vec::new())),
            Tag::TableHead | Tag::TableRow => Some(Open::Row(Vec::new())),
            Tag::TableCell => Some(Open::Inlines(Line::Cell, Vec::new())),
            Tag::Strong => marked(Mark::Strong),
            Tag::Emphasis => marked(Mark::Emphasis),
            Tag::Strikethrough => marked(Mark::Strike),
            Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. } if !deep => Some(
                Open::Inlines(Line::Link(dest_url.into_string()), Vec::new()),
            ),
            _ => None,
        }
    }

    fn close(&mut self) {
        let Some(open) = self.open.pop() else {
            return;
        };
        match open {
            Open::Blocks(Kind::Root, _) => {}
            Open::Blocks(Kind::Quote, blocks) => self.block(Block::Quote(blocks)),
            Open::Blocks(Kind::Item, blocks) => {
                if let Some(Open::List(_, items)) = self.open.last_mut() {
                    items.push(blocks);
                }
            }
            Open::List(start, items) => self.block(Block::List { start, items }),
            Open::Code(language, code) => self.block(Block::Code { language, code }),
            Open::Table(rows) => self.block(Block::Table(rows)),
            Open::Row(cells) => {
                if let Some(Open::Table(rows)) = self.open.last_mut() {
                    rows.push(cells);
                }
            }
            Open::Inlines(Line::Paragraph, mut inlines) => {
                while inlines.last() == Some(&Inline::Line) {
                    inlines.pop();
                }
                self.block(Block::Paragraph(inlines));
            }
            Open::Inlines(Line::Heading(level), inlines) => {
                self.block(Block::Heading(level, inlines));
            }
            Open::Inlines(Line::Cell, inlines) => {
                if let Some(Open::Row(cells)) = self.open.last_mut() {
                    cells.push(seen(&inlines));
                }
            }
            Open::Inlines(Line::Marked(mark), inner) => self.inline(Inline::Marked(mark, inner)),
            Open::Inlines(Line::Link(address), label) => {
                self.inline(Inline::Link { label, address });
            }
        }
    }

    fn block(&mut self, block: Block) {
        if let Some(Open::Blocks(_, blocks)) = self.open.last_mut() {
            blocks.push(block);
        }
    }

    fn inline(&mut self, inline: Inline) {
        match self.open.last_mut() {
            Some(Open::Inlines(_, inlines)) => inlines.push(inline),
            // The items of a tight list hold their text without a paragraph.
            Some(Open::Blocks(_, blocks)) => match blocks.last_mut() {
                Some(Block::Paragraph(inlines)) => inlines.push(inline),
                _ => blocks.push(Block::Paragraph(vec![inline])),
            },
            _ => {}
        }
    }

    fn text(&mut self, text: &str) {
        if let Some(Open::Code(_, code)) = self.open.last_mut() {
            code.push_str(text);
            return;
        }
        for (index, line) in text.trim_end_matches('\n').split('\n').enumerate() {
            if index > 0 {
                self.inline(Inline::Line);
            }
            if !line.is_empty() {
                self.inline(Inline::Text(line.to_owned()));
            }
        }
        if text.ends_with('\n') {
            self.inline(Inline::Line);
        }
    }
}

fn number(level: HeadingLevel) -> u8 {
    match level {
        HeadingLevel::H1 => 1,
        HeadingLevel::H2 => 2,
        HeadingLevel::H3 => 3,
        HeadingLevel::H4 => 4,
        HeadingLevel::H5 => 5,
        HeadingLevel::H6 => 6,
    }
}

/// The language of a block of code: a short word, whatever else the line says.
fn language(kind: &CodeBlockKind<'_>) -> String {
    let CodeBlockKind::Fenced(info) = kind else {
        return String::new();
    };
    let word = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '#' | '_' | '.');
    info.chars().take_while(word).take(32).collect()
}
