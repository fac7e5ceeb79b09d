//! The tree of an answer as atoms in a dialect.

use super::atoms::{Atom, Gap, Span};
use super::dialect::{Beside, Dialect, Mark};
use super::table;
use super::tree::{Block, Inline, seen};

pub(super) fn layout(blocks: &[Block], dialect: &dyn Dialect, limit: usize) -> Vec<Atom> {
    let mut layout = Layout {
        dialect,
        // A mark is repeated in every piece that it reaches into and must leave room for text.
        longest_mark: limit / 8,
        quotes: 0,
        bold: false,
        atoms: Vec::new(),
    };
    layout.blocks(blocks, Gap::Paragraph);
    layout.atoms
}

struct Layout<'a> {
    dialect: &'a dyn Dialect,
    longest_mark: usize,
    /// How many quotations this stands in.
    quotes: usize,
    /// Whether this is bold already: bold marks in one another would end it.
    bold: bool,
    atoms: Vec<Atom>,
}

impl Layout<'_> {
    fn blocks(&mut self, blocks: &[Block], gap: Gap) {
        for (index, block) in blocks.iter().enumerate() {
            if index > 0 {
                let gap = match blocks[index - 1] {
                    Block::Heading(..) => Gap::Word,
                    _ => gap,
                };
                // The list below a line of a tight list follows at once.
                let lines = if gap == Gap::Line { 1 } else { 2 };
                self.atoms.push(Atom::Break(gap, lines));
            }
            self.block(block);
        }
    }

    fn block(&mut self, block: &Block) {
        match block {
            Block::Paragraph(inlines) => self.inlines(inlines, true),
            Block::Heading(level, inlines) => {
                let span = self.dialect.heading(*level);
                self.bold = true;
                self.within(span, |layout| layout.inlines(inlines, false));
                self.bold = false;
            }
            Block::Code { language, code } => self.code(language, code.lines()),
            Block::Quote(blocks) => {
                // Marks around quotations do not stand in one another on any platform.
                let span = self.dialect.quote();
                let span = span.filter(|span| self.quotes == 0 || matches!(span, Span::Quote(_)));
                self.quotes += 1;
                self.within(span, |layout| layout.blocks(blocks, Gap::Paragraph));
                self.quotes -= 1;
            }
            Block::List { start, items } => self.list(*start, items),
            Block::Table(rows) => {
                let lines = table::lines(rows);
                self.code("", lines.iter().map(String::as_str));
            }
            Block::Rule => self.atoms.extend(self.dialect.rule().map(Atom::Mark)),
        }
    }

    fn list(&mut self, start: Option<u64>, items: &[Vec<Block>]) {
        let paragraphs = |item: &Vec<Block>| {
            let paragraph = |block: &&Block| matches!(block, Block::Paragraph(_));
            item.iter().filter(paragraph).count()
        };
        let gap = match items.iter().any(|item| paragraphs(item) > 1) {
            true => Gap::Paragraph,
            false => Gap::Line,
        };
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                let lines = if gap == Gap::Line { 1 } else { 2 };
                self.atoms.push(Atom::Break(gap, lines));
            }
            let number = start.map(|start| start.saturating_add(index as u64));
            let bullet = number.map(|number| format!("{number}. "));
            let bullet = bullet.unwrap_or_else(|| self.dialect.bullet().to_owned());
            let indent = " ".repeat(bullet.chars().count());
            self.atoms.push(Atom::Mark(bullet));
            self.atoms.push(Atom::Open(Span::Indent(indent)));
            self.blocks(item, gap);
            self.atoms.push(Atom::Close);
        }
    }

    fn code<'c>(&mut self, language: &str, lines: impl Iterator<Item = &'c str> + Clone) {
        let code: Vec<&str> = lines.collect();
        let span = self.dialect.block(language, &code.join("\n"));
        let marked = span.is_some();
        self.within(span, |layout| {
            for (index, line) in code.iter().enumerate() {
                if index > 0 {
                    layout.atoms.push(Atom::Break(Gap::CodeLine, 1));
                }
                match marked {
                    true => layout.atoms.push(Atom::Code((*line).to_owned())),
                    false => layout.text(line),
                }
            }
        });
    }

    fn inlines(&mut self, inlines: &[Inline], lines: bool) {
        for inline in inlines {
            match inline {
                Inline::Text(text) => self.text(text),
                Inline::Code(code) => {
                    let span = self.dialect.inline_code(code);
                    match span {
                        Some(span) => self.within(Some(span), |layout| {
                            layout.atoms.push(Atom::Code(code.clone()));
                        }),
                        None => self.text(code),
                    }
                }
                Inline::Marked(Mark::Strong, inner) if !self.bold => {
                    self.bold = true;
                    let span = self.dialect.emphasis(Mark::Strong);
                    self.within(span, |layout| layout.inlines(inner, lines));
                    self.bold = false;
                }
                Inline::Marked(Mark::Strong, inner) => self.inlines(inner, lines),
                Inline::Marked(mark, inner) => {
                    let span = self.dialect.emphasis(*mark);
                    self.within(span, |layout| layout.inlines(inner, lines));
                }
                Inline::Link { label, address } => self.link(label, address),
                Inline::Line if lines => self.atoms.push(Atom::Break(Gap::Line, 1)),
                Inline::Line => self.text(" "),
            }
        }
    }

    fn link(&mut self, label: &[Inline], address: &str) {
        let text = seen(label);
        let span = opens(address).then(|| self.dialect.link(address)).flatten();
        let short = |span: &Span| {
            let Span::Marks { open, close } = span else {
                return false;
            };
            self.dialect.measure("", open) + self.dialect.measure("", close) <= self.longest_mark
        };
        match span.filter(short) {
            // Platforms make links of such text themselves.
            Some(_) if text == address && self.dialect.text(&text, Beside::default()) == text => {
                self.text(&text);
            }
            Some(span) if text.trim().is_empty() => {
                self.within(Some(span), |layout| layout.text(address));
            }
            Some(span) if self.dialect.marks_in_links() => {
                self.within(Some(span), |layout| layout.inlines(label, false));
            }
            Some(span) => self.within(Some(span), |layout| layout.text(&text)),
            None if text.trim().is_empty() || text == address => self.text(address),
            None if address.is_empty() => self.inlines(label, false),
            None => {
                self.inlines(label, false);
                self.text(&format!(" ({address})"));
            }
        }
    }

    fn text(&mut self, text: &str) {
        self.atoms.push(Atom::Text(text.to_owned()));
    }

    fn within(&mut self, span: Option<Span>, inner: impl FnOnce(&mut Self)) {
        let Some(span) = span else {
            return inner(self);
        };
        self.atoms.push(Atom::Open(span));
        inner(self);
        self.atoms.push(Atom::Close);
    }
}

/// Whether a platform opens an address; others are shown.
fn opens(address: &str) -> bool {
    let scheme = address.split_once(':').map(|(scheme, _)| scheme);
    let known = ["http", "https", "mailto", "tel"];
    scheme.is_some_and(|scheme| known.iter().any(|known| scheme.eq_ignore_ascii_case(known)))
}
