//! The text of answers: every piece says whose it is, so that a foreign, spliced or cut answer shows.

use memchr::memmem;

/// What a request asks of the fake upstream, in its user message: `nonce:N [events:N] [pace_ms:N]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Comes back in every piece of the answer; letters, digits, `-` and `_`.
    pub nonce: String,
    /// Pieces of content; 8 where it is not said, 100,000 at most.
    pub events: u32,
    /// Milliseconds before each piece; 0 where it is not said, 60,000 at most.
    pub pace_ms: u32,
}

impl Default for Asked {
    fn default() -> Self {
        Self {
            nonce: "none".to_owned(),
            events: 8,
            pace_ms: 0,
        }
    }
}

impl Asked {
    /// Reads it from a request's body, wherever it stands in there.
    pub fn find(body: &[u8]) -> Option<Self> {
        let at = memmem::find(body, b"nonce:")?;
        let message = &body[at..];
        let end = message.iter().position(|byte| matches!(byte, b'"' | b'\\'));
        let message = std::str::from_utf8(&message[..end?]).ok()?;
        let word = |key: &str| message.split(' ').find_map(|word| word.strip_prefix(key));
        let number = |key, default: u32, most| {
            let said = word(key).and_then(|number| number.parse().ok());
            said.unwrap_or(default).min(most)
        };
        Some(Self {
            nonce: word("nonce:")?.chars().take(64).collect(),
            events: number("events:", 8, 100_000),
            pace_ms: number("pace_ms:", 0, 60_000),
        })
    }

    /// The pieces of the answer that request `number` of server `name` gets.
    pub(crate) fn pieces<'a>(
        &'a self,
        name: &'a str,
        number: u64,
    ) -> impl Iterator<Item = String> + 'a {
        let nonce = &self.nonce;
        let all = 0..self.events;
        let end = std::iter::once(format!("{}end", self.events));
        all.map(move |at| format!("{nonce}@{name}#{number}:{at} "))
            .chain(end)
    }
}

/// What a text is to the one who asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The whole answer to this request, from one attempt at one server.
    Whole,
    /// The beginning of it.
    Cut,
    /// Something else: another's answer, or pieces of two.
    Foreign,
}

/// Compares `text` with what an upstream says to `nonce`.
pub fn check(text: &str, nonce: &str) -> Verdict {
    let mut source = None;
    let mut pieces = text.split_inclusive(' ').peekable();
    let mut next = 0_u32;
    while let Some(piece) = pieces.next() {
        if let Some(count) = piece.strip_suffix("end") {
            return match pieces.peek() {
                None if count.parse() == Ok(next) => Verdict::Whole,
                _ => Verdict::Foreign,
            };
        }
        let cut = pieces.peek().is_none() && !piece.ends_with(' ');
        if cut {
            return Verdict::Cut;
        }
        let Some((from, at)) = piece.trim_end().rsplit_once(':') else {
            return Verdict::Foreign;
        };
        let mine = from
            .split_once('@')
            .is_some_and(|(named, _)| named == nonce);
        let same = *source.get_or_insert(from) == from;
        if !mine || !same || at.parse() != Ok(next) {
            return Verdict::Foreign;
        }
        next += 1;
    }
    Verdict::Cut
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(nonce: &str, number: u64) -> Vec<String> {
        let asked = Asked {
            nonce: nonce.to_owned(),
            events: 3,
            pace_ms: 0,
        };
        asked.pieces("a", number).collect()
    }

    #[test]
    fn what_is_asked_is_found_in_the_body() {
        let body = br#"{"messages":[{"role":"user","content":"nonce:n-7 events:3 pace_ms:20"}]}"#;
        let asked = Asked::find(body).expect("it is there");
        assert_eq!(
            (asked.nonce.as_str(), asked.events, asked.pace_ms),
            ("n-7", 3, 20)
        );
        assert_eq!(Asked::find(br#"{"messages":[]}"#), None);
        assert_eq!(Asked::find(b"nonce:"), None);
    }

    #[test]
    fn a_whole_answer_is_known() {
        assert_eq!(answer("n1", 4).concat(), "n1@a#4:0 n1@a#4:1 n1@a#4:2 3end");
        assert_eq!(check(&answer("n1", 4).concat(), "n1"), Verdict::Whole);
    }

    #[test]
    fn every_beginning_of_an_answer_is_cut() {
        let whole = answer("n1", 4).concat();
        for end in 0..whole.len() {
            assert_eq!(
                check(&whole[..end], "n1"),
                Verdict::Cut,
                "{}",
                &whole[..end]
            );
        }
    }

    #[test]
    fn an_answer_to_another_is_foreign() {
        assert_eq!(check(&answer("n2", 4).concat(), "n1"), Verdict::Foreign);
        assert_eq!(
            check("some page of a captive portal", "n1"),
            Verdict::Foreign
        );
    }

    #[test]
    fn pieces_of_two_answers_are_foreign() {
        let (one, two) = (answer("n1", 4), answer("n1", 5));
        let spliced = [&one[..1], &two[1..]].concat().concat();
        assert_eq!(check(&spliced, "n1"), Verdict::Foreign);
        let doubled = [&one[..2], &one[1..]].concat().concat();
        assert_eq!(check(&doubled, "n1"), Verdict::Foreign);
        let lacking = [&one[..2], &one[3..]].concat().concat();
        assert_eq!(check(&lacking, "n1"), Verdict::Foreign);
        assert_eq!(check("n1@a#4:0 1end 1end", "n1"), Verdict::Foreign);
    }
}
