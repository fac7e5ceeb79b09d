//! Numbers of bank accounts: IBAN of ISO 13616, with the check of ISO 7064.

use crate::window::{More, Window, is_word};

/// How long the numbers of a country are.
const LENGTHS: [(&[u8; 2], usize); 62] = [
    (b"AD", 24),
    (b"AE", 23),
    (b"AL", 28),
    (b"AT", 20),
    (b"AZ", 28),
    (b"BA", 20),
    (b"BE", 16),
    (b"BG", 22),
    (b"BH", 22),
    (b"BR", 29),
    (b"BY", 28),
    (b"CH", 21),
    (b"CR", 22),
    (b"CY", 28),
    (b"CZ", 24),
    (b"DE", 22),
    (b"DK", 18),
    (b"DO", 28),
    (b"EE", 20),
    (b"EG", 29),
    (b"ES", 24),
    (b"FI", 18),
    (b"FO", 18),
    (b"FR", 27),
    (b"GB", 22),
    (b"GE", 22),
    (b"GI", 23),
    (b"GL", 18),
    (b"GR", 27),
    (b"GT", 28),
    (b"HR", 21),
    (b"HU", 28),
    (b"IE", 22),
    (b"IL", 23),
    (b"IQ", 23),
    (b"IS", 26),
    (b"IT", 27),
    (b"JO", 30),
    (b"KW", 30),
    (b"KZ", 20),
    (b"LB", 28),
    (b"LI", 21),
    (b"LT", 20),
    (b"LU", 20),
    (b"LV", 21),
    (b"MC", 27),
    (b"MD", 24),
    (b"ME", 22),
    (b"MK", 19),
    (b"MT", 31),
    (b"NL", 18),
    (b"NO", 15),
    (b"PL", 28),
    (b"PT", 25),
    (b"QA", 29),
    (b"RO", 24),
    (b"RS", 22),
    (b"SA", 24),
    (b"SE", 24),
    (b"SI", 19),
    (b"SK", 24),
    (b"TR", 26),
];

/// Whether letters of a country end before the digit at `digit`.
pub(super) fn begins(text: Window<'_>, floor: usize, digit: usize) -> bool {
    let Some(start) = digit.checked_sub(2).filter(|start| *start >= floor) else {
        return false;
    };
    length(&text.bytes()[start..digit]).is_some() && !text.before(start).is_some_and(is_word)
}

/// The end of the number that begins at `start`, written in one piece or in groups of four.
pub(super) fn end(text: Window<'_>, start: usize) -> Result<Option<usize>, More> {
    let Some(length) = length(&text.bytes()[start..start + 2]) else {
        return Ok(None);
    };
    let mut number = [0; 34];
    let (mut at, mut filled) = (start, 0);
    while filled < length {
        match text.byte(at)? {
            Some(byte) if byte.is_ascii_digit() || byte.is_ascii_uppercase() => {
                number[filled] = byte;
                filled += 1;
            }
            Some(b' ') if filled > 0 && filled % 4 == 0 && text.before(at) != Some(b' ') => {}
            _ => return Ok(None),
        }
        at += 1;
    }
    let closed = !text.is(at, is_word)?;
    Ok((closed && is_sound(&number[..length])).then_some(at))
}

fn length(country: &[u8]) -> Option<usize> {
    let found = LENGTHS.binary_search_by(|(code, _)| code[..].cmp(country));
    found.ok().map(|index| LENGTHS[index].1)
}

/// The number, its first four characters moved to the end and letters read as 10 to 35, leaves 1 modulo 97.
fn is_sound(number: &[u8]) -> bool {
    let (head, tail) = number.split_at(4);
    let rest = tail.iter().chain(head).fold(0u32, |rest, byte| {
        let value = match byte {
            b'0'..=b'9' => u32::from(byte - b'0'),
            _ => u32::from(byte - b'A') + 10,
        };
        let shift = if value < 10 { 10 } else { 100 };
        (rest * shift + value) % 97
    });
    rest == 1 && head[2..].iter().all(u8::is_ascii_digit)
}
