//! Numbers of phones: Chinese mobiles and landlines, North American ones, and all with `+` and a country.

use super::number::{ends, groups};
use crate::window::{More, Window};

const SEPARATORS: &[u8] = b"-.";

/// The end of the number that begins at `start`, at its `+` or `(` where it has one.
pub(super) fn end(text: Window<'_>, start: usize) -> Result<Option<usize>, More> {
    for find in [mobile, international, landline, american] {
        if let Some(end) = find(text, start)?
            && ends(text, end)?
        {
            return Ok(Some(end));
        }
    }
    Ok(None)
}

/// `13812345678`, `138-1234-5678`, with or without `+86`, `86` or `0086`.
fn mobile(text: Window<'_>, start: usize) -> Result<Option<usize>, More> {
    let mut at = start;
    for prefix in ["+86", "0086", "86"] {
        if text.has(start, prefix)? {
            at += prefix.len();
            at += usize::from(text.is(at, |byte| matches!(byte, b' ' | b'-'))?);
            break;
        }
    }
    let is_mobile =
        text.is(at, |byte| byte == b'1')? && text.is(at + 1, |byte| matches!(byte, b'3'..=b'9'))?;
    match is_mobile {
        true => groups(text, at, &[3, 4, 4], b" -"),
        false => Ok(None),
    }
}

/// `+44 20 7946 0958`: `+`, then 8 to 15 digits with single separators.
fn international(text: Window<'_>, start: usize) -> Result<Option<usize>, More> {
    if !text.is(start, |byte| byte == b'+')?
        || !text.is(start + 1, |byte| matches!(byte, b'1'..=b'9'))?
    {
        return Ok(None);
    }
    let (mut at, mut digits, mut end) = (start + 1, 0, None);
    loop {
        let run = text.run(at, 16, |byte| byte.is_ascii_digit())?;
        digits += run - at;
        if run == at || digits > 15 {
            break;
        }
        if digits >= 8 {
            end = Some(run);
        }
        at = run;
        for _ in 0..2 {
            at +=
                usize::from(text.is(at, |byte| matches!(byte, b' ' | b'-' | b'.' | b'(' | b')'))?);
        }
    }
    Ok(end)
}

/// `010-12345678`, `(0571) 12345678`.
fn landline(text: Window<'_>, start: usize) -> Result<Option<usize>, More> {
    let open = text.is(start, |byte| byte == b'(')?;
    let area = start + usize::from(open);
    if !text.is(area, |byte| byte == b'0')?
        || !text.is(area + 1, |byte| matches!(byte, b'1'..=b'9'))?
    {
        return Ok(None);
    }
    let mut at = text.run(area, 5, |byte| byte.is_ascii_digit())?;
    if !matches!(at - area, 3 | 4) {
        return Ok(None);
    }
    if open {
        if !text.is(at, |byte| byte == b')')? {
            return Ok(None);
        }
        at += 1;
    }
    let apart = text.is(at, |byte| matches!(byte, b' ' | b'-'))?;
    let number = at + usize::from(apart);
    if !(apart || open) || !text.is(number, |byte| matches!(byte, b'2'..=b'8'))? {
        return Ok(None);
    }
    for sizes in [[4, 4], [3, 4]] {
        if let Some(end) = groups(text, number, &sizes, b" -")?
            && ends(text, end)?
        {
            return Ok(Some(end));
        }
    }
    Ok(None)
}

/// `(415) 555-2671`, `415-555-2671`, `1-415-555-2671`.
fn american(text: Window<'_>, start: usize) -> Result<Option<usize>, More> {
    let is_area = |at| -> Result<bool, More> { text.is(at, |byte| matches!(byte, b'2'..=b'9')) };
    if text.is(start, |byte| byte == b'(')? {
        let area = groups(text, start + 1, &[3], b"")?;
        let Some(close) = area.filter(|_| matches!(text.bytes()[start + 1], b'2'..=b'9')) else {
            return Ok(None);
        };
        if !text.is(close, |byte| byte == b')')? {
            return Ok(None);
        }
        let at = close + 1 + usize::from(text.is(close + 1, |byte| byte == b' ')?);
        return match is_area(at)? {
            true => apart(text, at, &[3, 4]),
            false => Ok(None),
        };
    }
    let country = text.is(start, |byte| byte == b'1')?
        && text.is(start + 1, |byte| SEPARATORS.contains(&byte))?;
    let at = start + if country { 2 } else { 0 };
    match is_area(at)? {
        true => apart(text, at, &[3, 3, 4]),
        false => Ok(None),
    }
}

/// Groups that are written apart: without separators any number of ten digits would do.
fn apart(text: Window<'_>, start: usize, sizes: &[usize]) -> Result<Option<usize>, More> {
    let end = groups(text, start, sizes, SEPARATORS)?;
    let digits: usize = sizes.iter().sum();
    let second = start + sizes[0] + 1;
    Ok(end.filter(|end| {
        *end - start == digits + sizes.len() - 1
            && (sizes.len() == 2 || matches!(text.bytes()[second], b'2'..=b'9'))
    }))
}
