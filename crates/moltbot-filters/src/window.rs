//! A text as far as it is known, and what a detector may ask of it.
//!
//! A detector that needs a byte which has not arrived says [`More`] and is asked again later. So what it finds never depends
//! on how a text was cut into pieces.

/// The answer hangs on text that has not arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct More;

/// A text, or the part of it that has arrived.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window<'a> {
    text: &'a str,
    /// Nothing follows.
    whole: bool,
}

impl<'a> Window<'a> {
    pub(crate) fn new(text: &'a str, whole: bool) -> Self {
        Self { text, whole }
    }

    pub(crate) fn text(self) -> &'a str {
        self.text
    }

    pub(crate) fn bytes(self) -> &'a [u8] {
        self.text.as_bytes()
    }

    pub(crate) fn len(self) -> usize {
        self.text.len()
    }

    pub(crate) fn is_whole(self) -> bool {
        self.whole
    }

    /// The byte at `at`; `None` behind the end of the text.
    pub(crate) fn byte(self, at: usize) -> Result<Option<u8>, More> {
        match self.bytes().get(at) {
            Some(byte) => Ok(Some(*byte)),
            None if self.whole => Ok(None),
            None => Err(More),
        }
    }

    /// Whether the byte at `at` is one of a class.
    pub(crate) fn is(self, at: usize, class: impl Fn(u8) -> bool) -> Result<bool, More> {
        Ok(self.byte(at)?.is_some_and(class))
    }

    /// The end of the run of a class that begins at `from`; runs of more than `most` bytes end there.
    pub(crate) fn run(
        self,
        from: usize,
        most: usize,
        class: impl Fn(u8) -> bool,
    ) -> Result<usize, More> {
        let mut at = from;
        while at - from < most && self.is(at, &class)? {
            at += 1;
        }
        Ok(at)
    }

    /// Whether `word` stands at `at`, without regard to case.
    pub(crate) fn has(self, at: usize, word: &str) -> Result<bool, More> {
        for (offset, wanted) in word.bytes().enumerate() {
            if !self.is(at + offset, |byte| byte.eq_ignore_ascii_case(&wanted))? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The byte before `at`.
    pub(crate) fn before(self, at: usize) -> Option<u8> {
        at.checked_sub(1).map(|at| self.bytes()[at])
    }

    /// The start of the run of a class that ends before `end`, looking back no further than `floor` and `most` bytes.
    pub(crate) fn run_back(
        self,
        end: usize,
        floor: usize,
        most: usize,
        class: impl Fn(u8) -> bool,
    ) -> usize {
        let floor = floor.max(end.saturating_sub(most));
        let run = &self.bytes()[floor..end];
        end - run.iter().rev().take_while(|byte| class(**byte)).count()
    }
}

/// Letters, digits and `_` of ASCII: beside one of them a word does not begin or end.
pub(crate) fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}
