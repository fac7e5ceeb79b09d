//! Atoms written into pieces of a limited length.

use unicode_segmentation::UnicodeSegmentation;

use super::atoms::{Atom, Gap, Span};
use super::dialect::{Beside, Dialect};
use crate::send::Chunk;

/// What parts a mark from a letter where the platform needs that; nobody sees it.
const EDGE: &str = "\u{200b}";

pub(super) fn write(atoms: &[Atom], dialect: &dyn Dialect, limit: usize) -> Vec<Chunk> {
    let mut pieces = Vec::new();
    let mut writer = Writer::new(atoms, dialect, limit);
    loop {
        let rest = writer.fill();
        let piece = match rest {
            None => writer.end(),
            Some(ref cut) => writer.cut(cut),
        };
        if !piece.plain.trim().is_empty() {
            pieces.push(piece);
        }
        match rest {
            Some(cut) => writer.go_on(cut),
            None => return pieces,
        }
    }
}

/// A place where the piece at hand may end.
#[derive(Clone, Debug)]
struct Cut {
    /// The lengths of the piece up to here.
    text: usize,
    plain: usize,
    /// What closes the spans that are open here.
    close: String,
    /// Where the next piece begins: the atom, and the byte within its text.
    atom: usize,
    byte: usize,
    /// The spans that are open there.
    open: Vec<usize>,
}

/// How a text is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum As {
    Text,
    Code,
    /// As it is.
    Mark,
}

/// The piece at hand and how far the atoms are written.
struct Writer<'a> {
    atoms: &'a [Atom],
    dialect: &'a dyn Dialect,
    limit: usize,
    piece: Chunk,
    size: usize,
    /// The open spans, as indices of their atoms; the first `written` of them have their marks in the piece.
    open: Vec<usize>,
    written: usize,
    /// Line breaks that are written only before more text.
    breaks: usize,
    /// Whether the last thing written was the closing mark of a span, which a letter may not follow.
    closed: bool,
    /// The best place so far of each kind, best kind first.
    cuts: [Option<Cut>; 4],
    atom: usize,
    byte: usize,
}

impl<'a> Writer<'a> {
    fn new(atoms: &'a [Atom], dialect: &'a dyn Dialect, limit: usize) -> Self {
        Self {
            atoms,
            dialect,
            limit,
            piece: Chunk::default(),
            size: 0,
            open: Vec::new(),
            written: 0,
            breaks: 0,
            closed: false,
            cuts: [const { None }; 4],
            atom: 0,
            byte: 0,
        }
    }

    /// Writes atoms until all are written, or until one does not fit; then gives the best place to cut.
    fn fill(&mut self) -> Option<Cut> {
        while let Some(atom) = self.atoms.get(self.atom) {
            match atom {
                Atom::Open(_) => self.open.push(self.atom),
                Atom::Close => self.close(),
                Atom::Break(gap, lines) => {
                    self.atom += 1;
                    self.may_cut(*gap, 0);
                    if !self.piece.text.is_empty() {
                        self.breaks = self.breaks.max(*lines);
                    }
                    continue;
                }
                Atom::Mark(mark) => {
                    if !self.put(mark, As::Mark) {
                        return self.best();
                    }
                }
                // A blank line of code is a line too.
                Atom::Text(line) | Atom::Code(line) if line.is_empty() => {
                    if !self.put("", As::Code) {
                        return self.best();
                    }
                }
                Atom::Text(text) | Atom::Code(text) => {
                    let way = match atom {
                        Atom::Code(_) => As::Code,
                        _ => As::Text,
                    };
                    if let Some(cut) = self.text(text, way) {
                        return Some(cut);
                    }
                    self.byte = 0;
                }
            }
            self.atom += 1;
        }
        None
    }

    /// Writes a text from `byte` on.
    fn text(&mut self, text: &str, way: As) -> Option<Cut> {
        for word in text[self.byte..].split_word_bounds() {
            if self.piece.text.is_empty() && way == As::Text && word.trim().is_empty() {
                self.byte += word.len();
                continue;
            }
            if !self.put(word, way) {
                if let Some(cut) = self.best() {
                    return Some(cut);
                }
                // No better place in the whole piece: within the word.
                for part in parts(word, self.limit, self.dialect) {
                    if !self.put(part, way) && !self.piece.text.is_empty() {
                        return Some(self.here(self.byte));
                    }
                    self.byte += part.len();
                }
                continue;
            }
            self.byte += word.len();
            if ends_a_word(word) {
                self.may_cut(Gap::Word, self.byte);
            }
        }
        None
    }

    /// Writes a text if it fits. An empty piece takes it in any case.
    fn put(&mut self, text: &str, way: As) -> bool {
        let (size, length, plain) = (self.size, self.piece.text.len(), self.piece.plain.len());
        let state = (self.written, self.breaks, self.closed);
        let empty = self.piece.plain.is_empty();
        self.begin(text, way == As::Code);
        let written = match way {
            As::Code => self.dialect.code(text),
            As::Text => self.dialect.text(text, self.beside(text.len())),
            As::Mark => text.to_owned(),
        };
        self.push(text, &written);
        let fits = self.size + self.measure(&self.closing()) <= self.limit;
        if fits || empty && parts(text, self.limit, self.dialect).count() <= 1 {
            return true;
        }
        self.piece.text.truncate(length);
        self.piece.plain.truncate(plain);
        self.size = size;
        (self.written, self.breaks, self.closed) = state;
        false
    }

    /// Writes what stands before a text: line breaks, and the marks of spans that begin with it.
    fn begin(&mut self, text: &str, code: bool) {
        let breaks = std::mem::take(&mut self.breaks);
        for index in 1..=breaks {
            // A blank line is not indented.
            self.line(code || index < breaks);
        }
        let edges = self.dialect.marks_need_edges() && breaks == 0;
        let joins = text.starts_with(char::is_alphanumeric) || self.written < self.open.len();
        if edges && self.closed && joins {
            self.push("", EDGE);
        }
        self.closed = false;
        while self.written < self.open.len() {
            let starts = self.starts();
            let last = self.piece.text.ends_with(char::is_alphanumeric);
            let Some(span) = self.span(self.written) else {
                return;
            };
            self.written += 1;
            match span {
                Span::Marks { open, .. } => {
                    if edges && last {
                        self.push("", EDGE);
                    }
                    self.push("", open);
                }
                Span::Fence { open, .. } => {
                    self.push("", open);
                    self.line(true);
                }
                Span::Quote(mark) if starts => self.push("", mark),
                Span::Quote(_) | Span::Indent(_) => {}
            }
        }
    }

    /// Ends a line, and writes what stands before the next: indents only where it is not `bare`.
    fn line(&mut self, bare: bool) {
        self.push("\n", "\n");
        for index in 0..self.written {
            match self.span(index) {
                Some(Span::Indent(blanks)) if !bare => self.push(blanks, blanks),
                Some(Span::Quote(mark)) => self.push("", mark),
                _ => {}
            }
        }
    }

    /// Ends the innermost span; one without text leaves no marks.
    fn close(&mut self) {
        if self.written == self.open.len() {
            let close = self.closing_of(self.open.len() - 1);
            self.push("", &close);
            self.written -= 1;
            self.closed = !close.is_empty();
        }
        self.open.pop();
    }

    /// What stands beside the next `length` bytes of the text at hand.
    fn beside(&self, length: usize) -> Beside {
        let Some(Atom::Text(text)) = self.atoms.get(self.atom) else {
            return Beside::default();
        };
        let (before, after) = (&text[..self.byte], &text[self.byte + length..]);
        Beside {
            starts: before.trim().is_empty() && (self.starts() || !before.is_empty()),
            before: before.chars().next_back(),
            after: after.chars().next(),
        }
    }

    /// Whether the next text begins a line.
    fn starts(&self) -> bool {
        self.piece.text.is_empty() || self.piece.text.ends_with('\n')
    }

    fn push(&mut self, seen: &str, written: &str) {
        self.piece.plain.push_str(seen);
        self.piece.text.push_str(written);
        self.size += self.dialect.measure(seen, written);
    }

    fn measure(&self, marks: &str) -> usize {
        self.dialect.measure("", marks)
    }

    fn span(&self, index: usize) -> Option<&'a Span> {
        match self.atoms.get(*self.open.get(index)?) {
            Some(Atom::Open(span)) => Some(span),
            _ => None,
        }
    }

    /// What closes all spans whose marks are written.
    fn closing(&self) -> String {
        (0..self.written)
            .rev()
            .map(|index| self.closing_of(index))
            .collect()
    }

    fn closing_of(&self, index: usize) -> String {
        match self.span(index) {
            Some(Span::Marks { close, .. }) => close.clone(),
            Some(Span::Fence { close, .. }) => {
                let quotes = (0..index).filter_map(|outer| match self.span(outer) {
                    Some(Span::Quote(mark)) => Some(mark.as_str()),
                    _ => None,
                });
                format!("\n{}{close}", quotes.collect::<String>())
            }
            Some(Span::Indent(_) | Span::Quote(_)) | None => String::new(),
        }
    }

    /// Remembers that the piece may end here.
    fn may_cut(&mut self, gap: Gap, byte: usize) {
        if !self.piece.plain.trim().is_empty() {
            let cut = self.here(byte);
            self.cuts[gap as usize] = Some(cut);
        }
    }

    fn here(&self, byte: usize) -> Cut {
        Cut {
            text: self.piece.text.len(),
            plain: self.piece.plain.len(),
            close: self.closing(),
            atom: self.atom,
            byte,
            open: self.open.clone(),
        }
    }

    fn best(&mut self) -> Option<Cut> {
        self.cuts.iter_mut().find_map(Option::take)
    }

    /// The piece up to a cut.
    fn cut(&mut self, cut: &Cut) -> Chunk {
        let mut piece = std::mem::take(&mut self.piece);
        piece.text.truncate(cut.text);
        piece.plain.truncate(cut.plain);
        piece.text.truncate(piece.text.trim_end().len());
        piece.text.push_str(&cut.close);
        piece
    }

    /// The last piece.
    fn end(&mut self) -> Chunk {
        std::mem::take(&mut self.piece)
    }

    /// Begins the next piece at a cut.
    fn go_on(&mut self, cut: Cut) {
        *self = Self {
            open: cut.open,
            atom: cut.atom,
            byte: cut.byte,
            ..Self::new(self.atoms, self.dialect, self.limit)
        };
    }
}

/// A word in parts that a piece has room for: its characters as people see them. Only one that is longer than half a
/// piece, as endless accents make it, comes apart.
fn parts<'t>(
    word: &'t str,
    limit: usize,
    dialect: &'t dyn Dialect,
) -> impl Iterator<Item = &'t str> {
    word.graphemes(true).flat_map(move |grapheme| {
        let whole = dialect.measure(grapheme, grapheme) <= limit / 2;
        let step = match whole {
            true => grapheme.len(),
            false => 0,
        };
        let mut rest = grapheme;
        std::iter::from_fn(move || {
            let first = rest.chars().next()?;
            let (part, after) = rest.split_at(step.max(first.len_utf8()));
            rest = after;
            Some(part)
        })
    })
}

/// Whether a piece may well end behind this: a blank, or the end of a part of a sentence in a script without blanks.
fn ends_a_word(word: &str) -> bool {
    let ends = |last: char| {
        last.is_whitespace()
            || matches!(
                last,
                '，' | '。' | '！' | '？' | '；' | '：' | '、' | '”' | '）' | '」'
            )
    };
    word.ends_with(ends)
}
