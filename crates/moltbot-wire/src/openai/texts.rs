//! Where the texts of a request, of an answer and of one chunk of it stand.

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;
use moltbot_types::{Additions, CallError, Operation, Slot, Text};
use serde_json::{Value, json};

use crate::json::{decode, each_element, each_member, skip_blanks};
use crate::sse;
use crate::texts::strings;

/// Keys whose values are names, ids, addresses or encoded files.
const NO_TEXTS: [&[u8]; 31] = [
    b"model",
    b"role",
    b"type",
    b"id",
    b"object",
    b"name",
    b"index",
    b"tool_call_id",
    b"call_id",
    b"item_id",
    b"url",
    b"image_url",
    b"file_url",
    b"file_id",
    b"file_data",
    b"data",
    b"b64_json",
    b"detail",
    b"format",
    b"encoding_format",
    b"tool_choice",
    b"user",
    b"safety_identifier",
    b"prompt_cache_key",
    b"service_tier",
    b"reasoning_effort",
    b"finish_reason",
    b"system_fingerprint",
    b"$ref",
    b"required",
    b"stream",
];

/// Fields of a chunk's choice that make running texts; the place of each is its number in [`Slot`].
const FIELDS: [&[u8]; 7] = [
    b"content",
    b"reasoning_content",
    b"reasoning",
    b"refusal",
    b"text",
    b"arguments",
    b"transcript",
];
const ARGUMENTS: u8 = 5;

/// The texts of a body.
pub(super) fn all(body: &[u8]) -> Result<Vec<Text<'_>>, CallError> {
    strings(body, |key| NO_TEXTS.contains(&key))
}

/// An answer or a frame without log probabilities, which say every token once more.
pub(super) fn plain(answer: Bytes) -> Bytes {
    let answer = match sse::data(&answer) {
        // several lines of data are one value, whose line breaks mean nothing
        Some(Cow::Owned(mut data)) => {
            data.iter_mut()
                .filter(|byte| matches!(byte, b'\n' | b'\r'))
                .for_each(|byte| *byte = b' ');
            Bytes::from([b"data: ", &data[..], b"\n\n"].concat())
        }
        _ => answer,
    };
    let mut found = Vec::new();
    let json = json_of(&answer);
    let base = json.start;
    let _ = each_choice(&answer[json], |choice| {
        let _ = each_member(choice, |key, value| {
            if key == b"logprobs" && value != b"null" {
                found.push(place(&answer[base..], value));
            }
        });
    });
    if found.is_empty() {
        return answer;
    }
    let mut out = Vec::with_capacity(answer.len());
    let mut done = 0;
    for at in found {
        out.extend_from_slice(&answer[done..base + at.start]);
        out.extend_from_slice(b"null");
        done = base + at.end;
    }
    out.extend_from_slice(&answer[done..]);
    out.into()
}

/// What a chunk adds to the texts of its choices.
pub(super) fn additions(frame: &[u8]) -> Additions<'_> {
    let mut added = Additions::default();
    let json = json_of(frame);
    let base = json.start;
    let body = &frame[json];
    let _ = each_choice(body, |choice| {
        let (mut index, mut ended, mut found) = (0, false, Vec::new());
        let _ = each_member(choice, |key, value| match key {
            b"index" => index = number(value),
            b"finish_reason" => ended = !matches!(value, b"null" | b"\"\""),
            b"delta" | b"message" => fields(value, None, &mut found),
            b"text" => add(key, value, None, &mut found),
            _ => {}
        });
        for (field, call, value) in found {
            let at = place(body, value);
            if let Some(text) = decode(value) {
                let at = base + at.start..base + at.end;
                let slot = Slot {
                    choice: index,
                    field,
                    call,
                };
                added.texts.push((slot, Text { at, text }));
            }
        }
        if ended {
            added.ended.push(index);
        }
    });
    added.texts.sort_by_key(|(_, text)| text.at.start);
    added
}

type Found<'a> = Vec<(u8, Option<u64>, &'a [u8])>;

fn fields<'a>(object: &'a [u8], call: Option<u64>, found: &mut Found<'a>) {
    let _ = each_member(object, |key, value| match key {
        b"tool_calls" => {
            let _ = each_element(value, |call| {
                let mut index = 0;
                let _ = each_member(call, |key, value| {
                    if key == b"index" {
                        index = number(value);
                    }
                });
                fields(call, Some(index), found);
            });
        }
        b"function" | b"audio" => fields(value, call, found),
        b"function_call" => fields(value, Some(0), found),
        _ => add(key, value, call, found),
    });
}

fn add<'a>(key: &[u8], value: &'a [u8], call: Option<u64>, found: &mut Found<'a>) {
    let field = FIELDS.iter().position(|field| *field == key);
    if let (Some(field), true) = (field, value.starts_with(b"\"")) {
        // a name of a field is no text of a tool call, nor the other way round
        if (field as u8 == ARGUMENTS) == call.is_some() {
            found.push((field as u8, call, value));
        }
    }
}

/// A chunk of the same answer that adds `text` to `slot` alone.
pub(super) fn piece_like(operation: Operation, frame: &[u8], slot: Slot, text: &str) -> Bytes {
    let like: Value = serde_json::from_slice(&frame[json_of(frame)]).unwrap_or_default();
    let mut chunk = like;
    if let Some(chunk) = chunk.as_object_mut() {
        chunk.remove("usage");
    }
    let name = FIELDS
        .get(usize::from(slot.field))
        .copied()
        .unwrap_or(b"content");
    let name = String::from_utf8_lossy(name);
    let mut choice = json!({ "index": slot.choice, "finish_reason": null });
    match (operation, slot.call) {
        (Operation::Complete, _) => choice[&*name] = text.into(),
        (_, Some(call)) => {
            choice["delta"] =
                json!({ "tool_calls": [{ "index": call, "function": { &*name: text } }] });
        }
        (_, None) => choice["delta"] = json!({ &*name: text }),
    }
    chunk["choices"] = json!([choice]);
    format!("data: {chunk}\n\n").into()
}

fn each_choice<'a>(body: &'a [u8], mut each: impl FnMut(&'a [u8])) -> Option<()> {
    each_member(body, |key, value| {
        if key == b"choices" {
            let _ = each_element(value, &mut each);
        }
    })
    .ok()
}

/// Where the JSON of a frame stands; of a whole answer, all of it.
fn json_of(frame: &[u8]) -> Range<usize> {
    match sse::data(frame) {
        Some(Cow::Borrowed(data)) => place(frame, data),
        Some(Cow::Owned(_)) => 0..0,
        None => skip_blanks(frame, 0)..frame.len(),
    }
}

/// Where `part`, which was cut out of `whole`, lies in it.
fn place(whole: &[u8], part: &[u8]) -> Range<usize> {
    let start = part.as_ptr().addr().saturating_sub(whole.as_ptr().addr());
    start..start + part.len()
}

fn number(value: &[u8]) -> u64 {
    let text = std::str::from_utf8(value).unwrap_or_default();
    text.parse().unwrap_or_default()
}

#[cfg(test)]
mod tests;
