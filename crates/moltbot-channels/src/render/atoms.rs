//! What a laid-out answer consists of.

/// The smallest part of a laid-out answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Atom {
    /// Text without a line break.
    Text(String),
    /// Text of code without a line break.
    Code(String),
    /// What is written as it is: the number or mark of an item, a rule.
    Mark(String),
    /// Begins a span; it reaches to its [`Atom::Close`].
    Open(Span),
    /// Ends the innermost span.
    Close,
    /// One line break or several; none are written at the end of a piece.
    Break(Gap, usize),
}

/// How good a place is to end a piece, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gap {
    /// Between paragraphs.
    Paragraph,
    /// Between lines.
    Line,
    /// Between lines of code.
    CodeLine,
    /// Between words; also below a heading, which belongs to what follows.
    Word,
}

/// What is written around text, or before each of its lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Span {
    /// Marks around a part of a line, or around lines.
    Marks {
        /// The mark before it.
        open: String,
        /// The mark behind it.
        close: String,
    },
    /// Marks on lines of their own, with code between them.
    Fence {
        /// The line before it.
        open: String,
        /// The line behind it.
        close: String,
    },
    /// Stands before each line, but for code.
    Indent(String),
    /// Stands before each line, also of code.
    Quote(String),
}

impl Span {
    /// Marks around text.
    pub(super) fn marks(open: impl Into<String>, close: impl Into<String>) -> Self {
        let (open, close) = (open.into(), close.into());
        Self::Marks { open, close }
    }
}
