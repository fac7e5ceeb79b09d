//! Numbers: what a run of digits is.

use super::{Look, iban, ip, phone};
use crate::window::{More, Window, is_word};

/// Finds the end of the number that begins at a place, if one does.
type Find = fn(Window<'_>, usize) -> Result<Option<usize>, More>;

/// Looks at the digits that begin at `at`.
pub(super) fn look(text: Window<'_>, floor: usize, at: usize) -> Look {
    if iban::begins(text, floor, at) {
        match Look::of("iban", at - 2, iban::end(text, at - 2), at) {
            Look::Pass(_) => {}
            other => return other,
        }
    }
    let digits = match text.run(at, usize::MAX, |byte| byte.is_ascii_digit()) {
        Ok(end) => end,
        // whatever it will be, it begins with its first sign
        Err(More) => text.len(),
    };
    let on = digits.max(at + 1);
    if at > floor && text.before(at).is_some_and(is_word) || is_fraction(text, floor, at) {
        return Look::Pass(on);
    }
    let signed = at > floor && matches!(text.before(at), Some(b'+' | b'('));
    let kinds: [(_, _, Find); 5] = [
        ("phone", at - usize::from(signed), phone::end),
        ("ip", at, ip::v4),
        ("id", at, resident),
        ("card", at, card),
        ("phone", at, phone::end),
    ];
    let asked = if signed { &kinds[..] } else { &kinds[..4] };
    for (what, start, find) in asked {
        match Look::of(what, *start, find(text, *start), on) {
            Look::Pass(_) => {}
            other => return other,
        }
    }
    Look::Pass(on)
}

/// Digits behind a point or a hyphen that follows a digit are the rest of a longer number.
fn is_fraction(text: Window<'_>, floor: usize, at: usize) -> bool {
    at >= floor + 2
        && matches!(text.before(at), Some(b'.' | b'-'))
        && text
            .before(at - 1)
            .is_some_and(|byte| byte.is_ascii_digit())
}

/// Whether a number may end at `at`.
pub(super) fn ends(text: Window<'_>, at: usize) -> Result<bool, More> {
    Ok(match text.byte(at)? {
        Some(b'.') => !text.is(at + 1, |byte| byte.is_ascii_digit())?,
        Some(byte) => !is_word(byte) && byte != b'@',
        None => true,
    })
}

/// Digits in groups of `sizes`, with one and the same blank or hyphen between them, or nothing.
pub(super) fn groups(
    text: Window<'_>,
    start: usize,
    sizes: &[usize],
    separators: &[u8],
) -> Result<Option<usize>, More> {
    let mut at = start;
    let mut between = None;
    for (index, size) in sizes.iter().enumerate() {
        if index > 0 {
            let found = text.byte(at)?.filter(|byte| separators.contains(byte));
            if *between.get_or_insert(found) != found {
                return Ok(None);
            }
            at += usize::from(found.is_some());
        }
        let end = text.run(at, *size, |byte| byte.is_ascii_digit())?;
        if end - at < *size {
            return Ok(None);
        }
        at = end;
    }
    Ok(Some(at))
}

/// The end of a Chinese resident's number (GB 11643): 17 digits and a check digit, which may be `X`.
fn resident(text: Window<'_>, start: usize) -> Result<Option<usize>, More> {
    const WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
    let end = text.run(start, 17, |byte| byte.is_ascii_digit())?;
    if end - start < 17 {
        return Ok(None);
    }
    let Some(check) = text.byte(end)? else {
        return Ok(None);
    };
    let digits = &text.bytes()[start..end];
    let sum: u32 = digits
        .iter()
        .zip(WEIGHTS)
        .map(|(digit, weight)| u32::from(digit - b'0') * weight)
        .sum();
    let sound = b"10X98765432"[(sum % 11) as usize] == check.to_ascii_uppercase();
    let two = |at: usize| (digits[at] - b'0') * 10 + digits[at + 1] - b'0';
    let born = matches!(two(6), 18..=20) && matches!(two(10), 1..=12) && matches!(two(12), 1..=31);
    let closed = ends(text, end + 1)?;
    Ok((sound && born && closed && digits[0] != b'0').then_some(end + 1))
}

/// The end of a bank card's number, in one piece or in the groups that are printed on cards.
fn card(text: Window<'_>, start: usize) -> Result<Option<usize>, More> {
    const PRINTED: [&[usize]; 4] = [&[4, 4, 4, 4, 3], &[4, 4, 4, 4], &[4, 6, 5], &[4, 6, 4]];
    let is_digit = |byte: u8| byte.is_ascii_digit();
    // numbers of cards that people pay with; times and most counters begin with 1
    if !matches!(text.bytes()[start], b'2'..=b'6') {
        return Ok(None);
    }
    let run = text.run(start, 20, is_digit)?;
    if run - start >= 13 {
        let sound = run - start <= 19 && luhn(&text.bytes()[start..run]) && ends(text, run)?;
        return Ok(sound.then_some(run));
    }
    if run - start != 4 {
        return Ok(None);
    }
    for sizes in PRINTED {
        let Some(end) = groups(text, start, sizes, b" -")? else {
            continue;
        };
        let goes_on = text.is(end, |byte| byte == b'-')? && text.is(end + 1, is_digit)?;
        if !goes_on && luhn(&text.bytes()[start..end]) && ends(text, end)? {
            return Ok(Some(end));
        }
    }
    Ok(None)
}

/// The check of ISO 7812 over the digits of `number`.
fn luhn(number: &[u8]) -> bool {
    let mut digits = number.iter().filter(|byte| byte.is_ascii_digit()).rev();
    let mut sum = 0;
    let mut double = false;
    let mut same = true;
    let last = number.last().copied();
    for digit in &mut digits {
        let value = u32::from(digit - b'0') << u32::from(double);
        sum += value / 10 + value % 10;
        double = !double;
        same &= Some(*digit) == last;
    }
    sum % 10 == 0 && !same
}
