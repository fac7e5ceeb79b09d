//! Blocks of private keys, in the form of PEM.

use std::ops::Range;

use crate::window::{More, Window};

/// How a block begins.
pub(super) const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";
/// Longest name of what a block holds.
const NAME: usize = 64;
/// Longest block that is looked at; what follows it is text again.
const LONGEST: usize = 16 * 1024;

/// Where the block of a private key stands that begins at `at`, if one does.
///
/// It ends at its last line, or where something stands that no block holds.
pub(super) fn look(text: Window<'_>, at: usize) -> Result<Option<Range<usize>>, More> {
    if !text.bytes()[at..].starts_with(BEGIN.as_bytes()) {
        return Ok(None);
    }
    let Some(body) = line(text, at + BEGIN.len())? else {
        return Ok(None);
    };
    if !text.text()[at..body].contains("PRIVATE KEY") {
        return Ok(None);
    }
    let mut end = body;
    while end - at < LONGEST && text.is(end, is_body)? {
        if text.is(end, |byte| byte == b'-')? && text.has(end, END)? {
            let last = line(text, end + END.len())?;
            return Ok(Some(at..last.unwrap_or(end + END.len())));
        }
        end += 1;
    }
    Ok(Some(at..end))
}

/// The end of the dashes that follow a name.
fn line(text: Window<'_>, from: usize) -> Result<Option<usize>, More> {
    let end = text.run(from, NAME, |byte| {
        byte.is_ascii_alphanumeric() || byte == b' '
    })?;
    Ok(text.has(end, DASHES)?.then_some(end + DASHES.len()))
}

/// Base64, blanks, the signs of headers, and `\n` as it stands within JSON.
fn is_body(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || byte.is_ascii_whitespace()
        || matches!(byte, b'+' | b'/' | b'=' | b'-' | b':' | b',' | b'.' | b'\\')
}
