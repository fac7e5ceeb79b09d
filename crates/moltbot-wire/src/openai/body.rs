//! What a request's body says, and how it is edited.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use moltbot_types::{CallError, Edit, Head, ModelName, Operation, Pieces};

use crate::json::{Key, decode, skip_blanks, skip_string, skip_value};
use crate::peek::{bad_field, locate};
use crate::splice::Splice;

const KEYS: [&str; 7] = [
    "model",
    "stream",
    "tools",
    "user",
    "max_tokens",
    "max_completion_tokens",
    "store",
];

/// Reads the facts of `body`.
pub(super) fn peek(operation: Operation, body: &[u8]) -> Result<Head, CallError> {
    let found = locate(body, &KEYS)?;
    let value = |index: usize| found[index].as_ref().map(|key: &Key| key.value);
    let (model, model_at) = model(body, value(0))?;
    let limit = |index| match value(index) {
        Some(at) => number(body, at, KEYS[index]),
        None => Ok(None),
    };
    Ok(Head {
        operation,
        model,
        model_at: Some(model_at),
        stream: stream(body, value(1))? && operation.generates(),
        tools: value(2).is_some_and(|at| offers(body, at)),
        user: value(3).and_then(|at| name(body, at)),
        max_tokens: limit(4)?.max(limit(5)?),
        limited: value(4).or(value(5)).is_some(),
        store: value(6).is_some_and(|at| body[at..].starts_with(b"true")),
        size: body.len(),
    })
}

fn model(body: &[u8], at: Option<usize>) -> Result<(ModelName, Range<usize>), CallError> {
    let Some(at) = at else {
        return Err(bad_field("model", "the body names no `model`"));
    };
    if body[at] != b'"' {
        return Err(bad_field("model", "`model` must be a string"));
    }
    let unreadable = || bad_field("model", "`model` holds characters that can't be decoded");
    let end = skip_string(body, at).map_err(|_| unreadable())?;
    let name = decode(&body[at..end]).ok_or_else(unreadable)?;
    if name.is_empty() {
        return Err(bad_field("model", "`model` is empty"));
    }
    Ok((ModelName::from(&*name), at..end))
}

fn stream(body: &[u8], at: Option<usize>) -> Result<bool, CallError> {
    let Some(value) = at.map(|at| &body[at..]) else {
        return Ok(false);
    };
    match value[0] {
        b't' => Ok(true),
        b'f' | b'n' => Ok(false),
        _ => Err(bad_field("stream", "`stream` must be true or false")),
    }
}

/// An empty list and `null` offer nothing.
fn offers(body: &[u8], at: usize) -> bool {
    body[at] == b'[' && body.get(skip_blanks(body, at + 1)) != Some(&b']')
}

fn name(body: &[u8], at: usize) -> Option<Arc<str>> {
    let end = (body[at] == b'"')
        .then(|| skip_string(body, at).ok())
        .flatten()?;
    let name = decode(&body[at..end])?;
    (!name.is_empty()).then(|| Arc::from(&*name))
}

/// A whole number. Others are left for the upstream to refuse, but for those that no reader can hold.
fn number(body: &[u8], at: usize, field: &str) -> Result<Option<u64>, CallError> {
    let end = body[at]
        .is_ascii_digit()
        .then(|| skip_value(body, at).ok())
        .flatten();
    let text = end.and_then(|end| std::str::from_utf8(&body[at..end]).ok());
    let text = text.unwrap_or_default();
    let number = text.parse().ok();
    if number.is_none() && text.parse().is_ok_and(f64::is_infinite) {
        let message = format!("`{field}` is a number beyond all bounds");
        return Err(bad_field(field, message));
    }
    Ok(number)
}

/// The dialect's own name for a param of the configuration, and all names that a caller may set it under.
fn names(configured: &str) -> (&str, &[&str]) {
    match configured {
        "max_tokens" => ("max_tokens", &["max_tokens", "max_completion_tokens"]),
        "max_completion_tokens" => (
            "max_completion_tokens",
            &["max_tokens", "max_completion_tokens"],
        ),
        "stop" | "stop_sequences" => ("stop", &["stop", "stop_sequences"]),
        _ => (configured, &[]),
    }
}

fn is_limit(own: &str) -> bool {
    names(own).1.contains(&"max_tokens")
}

/// Splices `edits` into `body`.
pub(super) fn splice(head: &Head, body: &Bytes, edits: &[Edit]) -> Result<Pieces, CallError> {
    let mut splice = Splice::default();
    let mut wanted: Vec<(&str, &str)> = Vec::new();
    for edit in edits {
        match edit {
            Edit::Model(text) => {
                let at = head.model_at.clone().filter(|at| is_string(body, at));
                let at = at.ok_or_else(|| bad_field("model", "`model` can't be replaced"))?;
                splice.replace = Some((at, text));
            }
            Edit::Default { name, value } if head.operation.generates() => {
                let own = names(name).0;
                let set = is_limit(own) && head.limited;
                if !set && wanted.iter().all(|(earlier, _)| *earlier != own) {
                    wanted.push((own, value));
                }
            }
            Edit::Default { .. } => {}
        }
    }
    // Whether the caller set a limit of tokens is known; the body is asked for other names alone.
    splice.insert = match wanted.iter().all(|(own, _)| is_limit(own)) {
        true => wanted,
        false => absent(body, wanted)?,
    };
    splice.apply(body)
}

/// Those of `wanted` that the caller did not set under any name.
fn absent<'a>(
    body: &[u8],
    wanted: Vec<(&'a str, &'a str)>,
) -> Result<Vec<(&'a str, &'a str)>, CallError> {
    let mut all: Vec<&str> = Vec::new();
    for (own, _) in &wanted {
        let synonyms = names(own).1;
        for name in std::iter::once(own).chain(synonyms) {
            if !all.contains(name) {
                all.push(name);
            }
        }
    }
    let found = locate(body, &all)?;
    let is_set = |name: &str| {
        all.iter()
            .zip(&found)
            .any(|(known, key)| *known == name && key.is_some())
    };
    Ok(wanted
        .into_iter()
        .filter(|(own, _)| !is_set(own) && !names(own).1.iter().any(|name| is_set(name)))
        .collect())
}

fn is_string(body: &[u8], at: &Range<usize>) -> bool {
    body.get(at.clone())
        .is_some_and(|text| text.len() >= 2 && text.starts_with(b"\"") && text.ends_with(b"\""))
}

#[cfg(test)]
mod tests;
