//! Addresses of the internet, but for those that every machine has.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::Look;
use crate::window::{More, Window, is_word};

/// Longest form of an address of version 6.
const LONGEST: usize = 45;

/// The end of the address of version 4 that begins at `start`.
pub(super) fn v4(text: Window<'_>, start: usize) -> Result<Option<usize>, More> {
    // `Chrome/131.0.0.0` is a version
    if text.before(start) == Some(b'/') && text.before(start - 1).is_some_and(is_word) {
        return Ok(None);
    }
    let mut at = start;
    for part in 0..4 {
        if part > 0 {
            if !text.is(at, |byte| byte == b'.')? {
                return Ok(None);
            }
            at += 1;
        }
        let end = text.run(at, 4, |byte| byte.is_ascii_digit())?;
        if end == at || end - at > 3 {
            return Ok(None);
        }
        at = end;
    }
    let longer = text.is(at, is_word)?
        || text.is(at, |byte| byte == b'.')? && text.is(at + 1, |byte| byte.is_ascii_digit())?;
    let address = text.text()[start..at].parse::<Ipv4Addr>();
    let tells = address.is_ok_and(|it| !it.is_loopback() && !matches!(it.octets()[0], 0 | 255));
    Ok((tells && !longer).then_some(at))
}

/// Looks around the `:` at `at`.
pub(super) fn look_v6(text: Window<'_>, floor: usize, at: usize) -> Look {
    let start = text.run_back(at, floor, 5, |byte| byte.is_ascii_hexdigit());
    let lead = at - start;
    let before = text.before(start);
    if lead > 4 || before.is_some_and(|byte| is_word(byte) || byte == b':' || byte == b'.') {
        return Look::Pass(at + 1);
    }
    match run(text, start) {
        Err(More) => Look::Held(start),
        Ok(end) => {
            let end = v6(text, start, end, lead);
            Look::of("ip", start, Ok(end), at + 1)
        }
    }
}

/// The end of what an address may be made of.
fn run(text: Window<'_>, start: usize) -> Result<usize, More> {
    // most colons stand in times, keys and paths of code: two bytes tell them
    let first = text.run(start, 5, |byte| byte.is_ascii_hexdigit())?;
    if !text.is(first + 1, |byte| byte.is_ascii_hexdigit() || byte == b':')? {
        return Ok(first);
    }
    text.run(start, LONGEST + 1, |byte| {
        byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.')
    })
    .and_then(|end| text.byte(end).map(|_| end))
}

fn v6(text: Window<'_>, start: usize, end: usize, lead: usize) -> Option<usize> {
    let next = text.bytes().get(end).copied();
    if end - start > LONGEST || next.is_some_and(is_word) {
        return None;
    }
    let word = text.text()[start..end].trim_end_matches('.');
    let word = match word.strip_suffix(':') {
        Some(rest) if !rest.ends_with(':') => rest,
        _ => word,
    };
    let address: Ipv6Addr = word.parse().ok()?;
    // `a::b` is a path of code: a short form counts where it begins as addresses in use do
    let short = word.contains("::");
    let in_use = lead == 4 && word.bytes().any(|byte| byte.is_ascii_digit());
    let in_use = in_use || word.contains('.') || word.starts_with("64:ff9b::");
    let tells = !address.is_loopback() && !address.is_unspecified();
    (tells && (!short || in_use)).then_some(start + word.len())
}
