//! Finds the few keys of a body that matter, in one scan and without decoding the rest.
//!
//! Two scans give the same answer. The *full scan* checks all of the body and serves small ones. The
//! *near search* serves large ones: it reads both ends, looks for the keys in between, and proves that a
//! hit stands at the top level by reading only from the nearer end. What it can't prove it hands to the full
//! scan. Of the middle of a large body it checks only that it is text: there the upstream says what is broken.

use std::fmt::Write;

use moltbot_types::{CallError, Kind};
use smallvec::{SmallVec, smallvec};

use crate::json::{
    self, Broken, Key, Members, line_column, nothing_follows, skip_blanks, skip_string, which,
};

/// How far the near search reads from either end, in bytes.
const NEAR: usize = 4 * 1024;

/// Bodies up to this size are scanned in full.
const SMALL: usize = 2 * NEAR;

/// How many bytes are looked at together.
const LINE: usize = 128;

/// Keys at whatever level: where each stands, and its value.
type Hits = SmallVec<[(usize, usize); 8]>;

/// Where each wanted key stands, in the order they were asked for.
pub(crate) type Found = SmallVec<[Option<Key>; 8]>;

#[derive(Debug, PartialEq)]
enum Refusal {
    Broken(Broken),
    NoObject,
    /// The key of that index stands at this position for the second time.
    Twice(usize, usize),
}

impl From<Broken> for Refusal {
    fn from(broken: Broken) -> Self {
        Self::Broken(broken)
    }
}

/// Finds `names` among the keys of the object `body`.
///
/// # Errors
/// `BadRequest` where the body is no JSON object, is broken where it was read, or gives one of `names` twice.
pub(crate) fn locate(body: &[u8], names: &[&str]) -> Result<Found, CallError> {
    let found = if body.len() > SMALL {
        near(body, names).unwrap_or_else(|| full(body, names))
    } else {
        full(body, names)
    };
    let found = found.and_then(|found| {
        json::readable(body)?;
        Ok(found)
    });
    found.map_err(|refusal| explain(body, names, &refusal))
}

/// A request that can't be taken, with the field at fault.
pub(crate) fn bad_field(name: &str, message: impl Into<String>) -> CallError {
    CallError::new(Kind::BadRequest, message).param(name)
}

fn explain(body: &[u8], names: &[&str], refusal: &Refusal) -> CallError {
    let place = |at: usize| {
        let (line, column) = line_column(body, at);
        format!("at line {line} column {column}")
    };
    match refusal {
        Refusal::Twice(index, at) => {
            let name = names[*index];
            let message = format!(
                "the body gives `{name}` twice, the second time {}",
                place(*at)
            );
            bad_field(name, message)
        }
        _ if skip_blanks(body, 0) == body.len() => {
            CallError::new(Kind::BadRequest, "the body is empty: send a JSON object")
        }
        Refusal::NoObject => CallError::new(
            Kind::BadRequest,
            "the body is JSON but no object: send `{…}`",
        ),
        Refusal::Broken(broken) => {
            let mut message = format!("the body is not valid JSON: {}", broken.what);
            if broken.at >= body.len() && !broken.what.ends_with("ends") {
                message.push_str(", but the text ends");
            }
            // Writing to a string does not fail.
            let _ = write!(message, " {}", place(broken.at));
            CallError::new(Kind::BadRequest, message)
        }
    }
}

/// Scans all of `body`.
fn full(body: &[u8], names: &[&str]) -> Result<Found, Refusal> {
    let start = skip_blanks(body, 0);
    if body.get(start) != Some(&b'{') {
        let end = json::skip_value(body, start)?;
        nothing_follows(body, end)?;
        return Err(Refusal::NoObject);
    }
    let mut found: Found = smallvec![None; names.len()];
    let mut members = Members::open(body, start)?;
    while let Some(key) = members.key()? {
        members.pass(&key)?;
        note(&mut found, names, body, key)?;
    }
    nothing_follows(body, members.position())?;
    Ok(found)
}

fn note(found: &mut Found, names: &[&str], body: &[u8], key: Key) -> Result<(), Refusal> {
    let raw = &body[key.at.clone()];
    match which(raw, names) {
        Some(index) if found[index].is_some() => Err(Refusal::Twice(index, key.at.start)),
        Some(index) => {
            found[index] = Some(key);
            Ok(())
        }
        None => Ok(()),
    }
}

/// Looks for `names` near both ends of `body`; `None` where only the full scan can tell.
fn near(body: &[u8], names: &[&str]) -> Option<Result<Found, Refusal>> {
    let mut found: Found = smallvec![None; names.len()];
    let settled = match front(body, names, &mut found)? {
        Ok(settled) => settled,
        Err(refusal) => return Some(Err(refusal)),
    };
    let hits = hits(body, names, settled)?;
    for (at, value) in top_level(body, &hits)? {
        let end = skip_string(body, at).ok()?;
        let key = Key { at: at..end, value };
        if let Err(refusal) = note(&mut found, names, body, key) {
            return Some(Err(refusal));
        }
    }
    Some(Ok(found))
}

/// Reads the first bytes of `body`. Gives the position before which all keys are known.
fn front(body: &[u8], names: &[&str], found: &mut Found) -> Option<Result<usize, Refusal>> {
    let window = &body[..NEAR];
    let mut members = Members::open(window, 0).ok()?;
    loop {
        let key = match members.key() {
            Ok(Some(key)) => key,
            Ok(None) => return None, // the object ends here: the rest is garbage
            Err(broken) if broken.at >= NEAR => return Some(Ok(members.member)),
            Err(_) => return None,
        };
        let passed = members.pass(&key);
        let value = key.value;
        if let Err(refusal) = note(found, names, body, key) {
            return Some(Err(refusal));
        }
        match passed {
            Ok(range) if range.end < NEAR => {}
            // Cut at the window's end: what stands before the token that was cut is known.
            Ok(_) => return Some(Ok(value)),
            Err(broken) if broken.at >= NEAR => return Some(Ok(broken.token.max(value))),
            Err(_) => return None,
        }
    }
}

/// Where one of `names` stands as a key, at whatever level, from `from` on: the key and its value.
///
/// Invariant: a key begins with a quote that no backslash precedes. In a text quotes are escaped, so few are looked at.
fn hits(body: &[u8], names: &[&str], from: usize) -> Option<Hits> {
    let mut first = [false; 256];
    first[usize::from(b'\\')] = true;
    for name in names {
        first[usize::from(*name.as_bytes().first()?)] = true;
    }
    // Written in escapes of six bytes each, a key is at most this long.
    let longest = 6 * names.iter().map(|name| name.len()).max()? + 2;
    let far = body.len() - NEAR;
    let mut hits = Hits::new();
    let mut provable = true;
    each_quote(body, from, |at| {
        if !body
            .get(at + 1)
            .is_some_and(|next| first[usize::from(*next)])
        {
            return;
        }
        let window = &body[..body.len().min(at + longest)];
        let Ok(end) = skip_string(window, at) else {
            return; // too long for a key that is wanted
        };
        let colon = skip_blanks(body, end);
        let key = &body[at..end];
        if body.get(colon) == Some(&b':') && which(key, names).is_some() {
            provable &= at >= far;
            hits.push((at, skip_blanks(body, colon + 1)));
        }
    });
    provable.then_some(hits)
}

/// Calls `each` with the place of every quote from `from` on that no backslash precedes.
fn each_quote(body: &[u8], from: usize, mut each: impl FnMut(usize)) {
    let mut at = from.max(1);
    // Lines of fixed length without a branch inside become vector code.
    for line in body[at..].chunks(LINE) {
        let before = &body[at - 1..];
        let quotes = line.iter().zip(before).fold(0, |seen, (byte, before)| {
            seen | (u8::from(*byte == b'"') & u8::from(*before != b'\\'))
        });
        if quotes != 0 {
            for (index, byte) in line.iter().enumerate() {
                if *byte == b'"' && before[index] != b'\\' {
                    each(at + index);
                }
            }
        }
        at += line.len();
    }
}

/// Keeps the `hits` that stand at the top level, reading from the first one to the end of `body`.
fn top_level(body: &[u8], hits: &[(usize, usize)]) -> Option<Hits> {
    let mut at = match hits.first() {
        Some((at, _)) => *at,
        // Nothing to prove. The full scan says what is wrong with a body that was cut off.
        None => return body.trim_ascii_end().ends_with(b"}").then(Hits::new),
    };
    // Levels relative to the first hit's, which the end tells: the body closes one below the top.
    let mut level = 0i32;
    let mut levels: SmallVec<[i32; 8]> = SmallVec::new();
    while at < body.len() {
        match body[at] {
            b'"' => {
                if hits.get(levels.len()).is_some_and(|(hit, _)| *hit == at) {
                    levels.push(level);
                }
                at = skip_string(body, at).ok()?;
                continue;
            }
            b'{' | b'[' => level += 1,
            b'}' | b']' => level -= 1,
            _ => {}
        }
        at += 1;
    }
    if levels.len() != hits.len() || !body.trim_ascii_end().ends_with(b"}") {
        return None;
    }
    let top = level + 1;
    Some(
        hits.iter()
            .zip(levels)
            .filter(|(_, hit)| *hit == top)
            .map(|(hit, _)| *hit)
            .collect(),
    )
}

#[cfg(test)]
mod tests;
