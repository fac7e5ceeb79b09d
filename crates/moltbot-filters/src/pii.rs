//! Personal data: addresses, phones, numbers of people, cards and accounts.
//!
//! Ordinary text is passed over in lanes: only digits, `:` and `@` are looked at more closely.

mod email;
mod iban;
mod ip;
mod number;
mod phone;

use crate::detect::{Detector, Found, Step};
use crate::window::{More, Window};

/// Longest part of a match before its `@`, and one byte more to see that a part is too long.
const LEAD: usize = 65;

/// Finds personal data.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pii;

/// What an anchor turned out to be.
enum Look {
    Found(Found),
    /// Nothing; go on there.
    Pass(usize),
    /// A match may begin there, or before it in the same run.
    Held(usize),
}

impl Look {
    fn of(what: &'static str, start: usize, end: Result<Option<usize>, More>, on: usize) -> Self {
        match end {
            Ok(Some(end)) => Self::Found(Found {
                at: start..end,
                what,
            }),
            Ok(None) => Self::Pass(on),
            Err(More) => Self::Held(start),
        }
    }
}

impl Detector for Pii {
    fn next(&self, text: Window<'_>, floor: usize, from: usize) -> Step {
        let mut cursor = from;
        while let Some(anchor) = anchor(text.bytes(), cursor) {
            let look = match text.bytes()[anchor] {
                b'@' => email::look(text, floor, anchor),
                b':' => ip::look_v6(text, floor, anchor),
                _ => number::look(text, floor, anchor),
            };
            match look {
                Look::Found(found) => return Step::Found(found),
                Look::Held(start) => {
                    return Step::Held(text.run_back(start.max(from), from, LEAD, is_lead));
                }
                Look::Pass(on) => cursor = on,
            }
        }
        if text.is_whole() {
            return Step::Nothing;
        }
        let lead = text.run_back(text.len(), from, LEAD, is_lead);
        if lead == text.len() {
            Step::Nothing
        } else {
            Step::Held(lead)
        }
    }
}

/// The next byte from `from` on with which a closer look begins.
fn anchor(text: &[u8], from: usize) -> Option<usize> {
    /// Looked at together.
    const LANE: usize = 32;
    // the digits and `:` stand side by side
    let is_anchor = |byte: u8| byte.wrapping_sub(b'0') <= 10 || byte == b'@';
    let rest = &text[from..];
    let quiet = rest
        .chunks_exact(LANE)
        .take_while(|lane| !lane.iter().fold(false, |any, byte| any | is_anchor(*byte)))
        .count();
    let at = from + quiet * LANE;
    let found = text[at..].iter().position(|byte| is_anchor(*byte))?;
    Some(at + found)
}

/// What may stand in a match before that by which it is noticed.
fn is_lead(byte: u8) -> bool {
    email::is_local(byte) || matches!(byte, b'(')
}

#[cfg(test)]
mod tests;
