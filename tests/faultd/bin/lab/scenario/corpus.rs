//! The corpus of bad requests: hand-made cases in all their variants, and mutations of a good body.

mod http;
mod json;

use std::net::SocketAddr;

/// What must become of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expect {
    /// A 4xx, and nothing reaches the upstream.
    Refused,
    /// The right answer.
    Served,
    /// Refused or served; if it is forwarded, once and cleanly.
    Either,
}

/// A request and what must become of it.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) name: String,
    /// Stands in what is sent, followed by a full stop, and so in what is forwarded.
    pub(crate) nonce: String,
    pub(crate) bytes: Vec<u8>,
    /// The body, where it is to be compared with what is forwarded.
    pub(crate) body: Option<Vec<u8>>,
    pub(crate) expect: Expect,
    /// Whether an end of the connection is as good as an answer: it is no HTTP/1 request at all.
    pub(crate) may_be_closed: bool,
    /// Whether it ends in the middle: the daemon waits for the rest, for as long as it is patient with bodies.
    pub(crate) is_endless: bool,
}

/// Makes cases with nonces of their own.
struct Maker {
    address: SocketAddr,
    cases: Vec<Case>,
}

impl Maker {
    fn nonce(&self) -> String {
        format!("c{}", self.cases.len())
    }

    /// A good body with the nonce of the next case.
    fn body(&self) -> String {
        let nonce = self.nonce();
        format!(
            r#"{{"model":"lab","messages":[{{"role":"user","content":"nonce:{nonce} id:{nonce}."}}]}}"#
        )
    }

    fn add(&mut self, name: impl Into<String>, expect: Expect, bytes: impl Into<Vec<u8>>) {
        let nonce = self.nonce();
        self.cases.push(Case {
            name: name.into(),
            nonce,
            bytes: bytes.into(),
            body: None,
            expect,
            may_be_closed: false,
            is_endless: false,
        });
    }

    /// A body in a good request.
    fn add_body(&mut self, name: impl Into<String>, expect: Expect, body: Vec<u8>) {
        let mut bytes = crate::raw::head(self.address, body.len()).into_bytes();
        bytes.extend_from_slice(&body);
        self.add(name, expect, bytes);
        if let Some(case) = self.cases.last_mut() {
            case.body = Some(body);
        }
    }

    /// The last case ends in the middle.
    fn endless(&mut self) {
        if let Some(case) = self.cases.last_mut() {
            case.is_endless = true;
        }
    }

    /// The last case may be answered by closing.
    fn or_closed(&mut self) {
        if let Some(case) = self.cases.last_mut() {
            case.may_be_closed = true;
        }
    }
}

/// All cases for a daemon at `address`; `density` is how thickly the good body is mutated.
pub(crate) fn corpus(address: SocketAddr, density: usize, seed: u64) -> Vec<Case> {
    let mut maker = Maker {
        address,
        cases: Vec::new(),
    };
    http::add(&mut maker);
    json::add(&mut maker, density, seed);
    maker.cases
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_corpus_has_five_hundred_cases_of_all_kinds() {
        let cases = corpus(([127, 0, 0, 1], 80).into(), 1, 1);
        assert!(cases.len() >= 500, "{}", cases.len());
        for expect in [Expect::Refused, Expect::Served, Expect::Either] {
            assert!(cases.iter().any(|case| case.expect == expect), "{expect:?}");
        }
        for (at, case) in cases.iter().enumerate() {
            assert_eq!(case.nonce, format!("c{at}"));
        }
    }
}
