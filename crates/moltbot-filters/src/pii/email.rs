//! Addresses of mail.

use super::Look;
use crate::window::{More, Window};

/// Longest part before the `@`.
const LOCAL: usize = 64;
/// Longest part behind it.
const DOMAIN: usize = 255;

/// Ends of file names: `icon@2x.png` is no address.
const FILES: [&str; 10] = [
    "png", "jpg", "jpeg", "gif", "svg", "webp", "ico", "css", "js", "html",
];

/// What may stand before the `@`.
pub(super) fn is_local(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'%' | b'+' | b'-' | b'\'')
}

/// Looks around the `@` at `at`.
pub(super) fn look(text: Window<'_>, floor: usize, at: usize) -> Look {
    let run = text.run_back(at, floor, LOCAL + 1, is_local);
    let bytes = text.bytes();
    let lead = bytes[run..at]
        .iter()
        .take_while(|byte| !byte.is_ascii_alphanumeric() && **byte != b'_')
        .count();
    let start = run + lead;
    let local = &bytes[start..at];
    // `git@host:path` names a repository, not a person
    if at - run > LOCAL || local.is_empty() || local.ends_with(b".") || local == b"git" {
        return Look::Pass(at + 1);
    }
    Look::of("email", start, domain(text, at + 1), at + 1)
}

/// The end of the domain that begins at `from`: labels, the last of which is a word.
fn domain(text: Window<'_>, from: usize) -> Result<Option<usize>, More> {
    let mut end = None;
    let mut label = from;
    loop {
        let most = DOMAIN - (label - from).min(DOMAIN);
        let stop = text.run(label, most, |byte| {
            byte.is_ascii_alphanumeric() || byte == b'-'
        })?;
        let word = text.text()[label..stop].trim_end_matches('-');
        if word.is_empty() || word.starts_with('-') {
            break;
        }
        let is_file = FILES.iter().any(|file| file.eq_ignore_ascii_case(word));
        if label > from && is_top(word) && !is_file {
            end = Some(label + word.len());
        }
        // a dot that ends a sentence is followed by no label
        if stop - label != word.len() || !text.is(stop, |byte| byte == b'.')? {
            break;
        }
        label = stop + 1;
    }
    Ok(end)
}

fn is_top(label: &str) -> bool {
    let letters = label.bytes().all(|byte| byte.is_ascii_alphabetic());
    label.len() >= 2 && (letters || label.starts_with("xn--"))
}
