//! A word in a text: whole where its script has spaces, anywhere where it has none.

use std::sync::LazyLock;

use regex::Regex;

/// Letters, marks and digits of scripts that part words by spaces, and `_`.
const WORD: &str = r"^[\p{Alphabetic}\p{M}\p{Nd}_--[\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}\p{Bopomofo}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}\p{Yi}ー]]$";

static IS_WORD: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(WORD).ok());

/// A word to look for.
#[derive(Clone, Debug)]
pub(super) struct Keyword {
    word: String,
    /// The word in any case.
    anywhere: Regex,
    /// It begins, it ends with a letter of a script with spaces: there it needs an edge.
    edges: (bool, bool),
}

impl Keyword {
    /// # Errors
    /// An empty word, and one that is too long.
    pub(super) fn new(word: &str) -> Result<Self, String> {
        let word = word.trim();
        let ends = word.chars().next().zip(word.chars().next_back());
        let (first, last) = ends.ok_or("a keyword is a word that is not empty")?;
        let anywhere = super::build(&format!("(?is){}", regex::escape(word)));
        Ok(Self {
            word: word.to_owned(),
            anywhere: anywhere.map_err(|_| "is too long a keyword")?,
            edges: (is_word(first), is_word(last)),
        })
    }

    /// As it was written.
    pub(super) fn word(&self) -> &str {
        &self.word
    }

    /// The word as the text has it, where it has it.
    pub(super) fn find<'t>(&self, text: &'t str) -> Option<&'t str> {
        let mut from = 0;
        loop {
            let found = self.anywhere.find_at(text, from)?;
            let before = text[..found.start()].chars().next_back();
            let after = text[found.end()..].chars().next();
            let within = |asked: bool, beside: Option<char>| asked && beside.is_some_and(is_word);
            if !within(self.edges.0, before) && !within(self.edges.1, after) {
                return Some(found.as_str());
            }
            from = found.start() + text[found.start()..].chars().next()?.len_utf8();
        }
    }
}

fn is_word(c: char) -> bool {
    let is_word = IS_WORD.as_ref();
    is_word.is_some_and(|regex| regex.is_match(c.encode_utf8(&mut [0; 4])))
}
