//! Answers that are given again: which may be, and how a stream becomes one piece and one piece a stream.

use bytes::Bytes;
use moltbot_types::{Canonical, Frames, Mark, Operation, Usage};
use serde_json::{Map, Value, json};

use crate::canonical::canonical as canonical_of;
use crate::json::each_member;
use crate::sse;

/// Members of a request on which no answer depends, or which are part of a key otherwise.
const APART: [&str; 5] = ["model", "stream", "stream_options", "user", "metadata"];
/// Bytes of text in a frame that is made here.
const PIECE: usize = 64;

/// What a request asks, but for what its answer does not depend on.
pub(super) fn canonical(body: &[u8]) -> Option<Canonical> {
    let text = canonical_of(body, |key| APART.contains(&key))?;
    let (mut temperature, mut usage) = (None, false);
    each_member(body, |key, value| match key {
        b"temperature" if value != b"null" => {
            // what is no number is refused by the model, and nothing is remembered of it
            let text = std::str::from_utf8(value).unwrap_or_default();
            temperature = Some(text.parse().unwrap_or(f64::NAN));
        }
        b"stream_options" => {
            let _ = each_member(value, |key, value| {
                usage |= key == b"include_usage" && value == b"true";
            });
        }
        _ => {}
    })
    .ok()?;
    Some(Canonical {
        text,
        temperature,
        usage,
    })
}

/// Whether an answer ended by itself, without a tool call.
pub(super) fn repeats(operation: Operation, body: &[u8]) -> bool {
    let Ok(answer) = serde_json::from_slice::<Value>(body) else {
        return false;
    };
    if !operation.generates() {
        return answer["data"].is_array();
    }
    let said = |choice: &Value| {
        let message = &choice["message"];
        let calls = ["tool_calls", "function_call"]
            .iter()
            .any(|key| match &message[*key] {
                Value::Null => false,
                Value::Array(calls) => !calls.is_empty(),
                _ => true,
            });
        choice["finish_reason"] == "stop" && !calls
    };
    let choices = answer["choices"].as_array();
    choices.is_some_and(|choices| !choices.is_empty() && choices.iter().all(said))
}

/// One piece of a stream's frames. `None` where they say something that can't be joined.
pub(super) fn whole_of(operation: Operation, frames: &[u8], usage: Option<Usage>) -> Option<Bytes> {
    let mut answer = Map::new();
    let mut choices: Vec<Map<String, Value>> = Vec::new();
    let mut told = None;
    for event in frames_of(frames) {
        let data = sse::data(event)?;
        if data.trim_ascii() == b"[DONE]" {
            continue;
        }
        let mut chunk: Map<String, Value> = serde_json::from_slice(&data).ok()?;
        if let Some(usage) = chunk.remove("usage").filter(|usage| !usage.is_null()) {
            told = Some(usage);
        }
        let said = chunk.remove("choices");
        for (key, value) in chunk {
            // blind text of changing length, made for each frame
            if key != "obfuscation" {
                answer.entry(key).or_insert(value);
            }
        }
        for choice in said
            .as_ref()
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            join(operation, choice, &mut choices)?;
        }
    }
    let kind = match operation {
        Operation::Complete => "text_completion",
        _ => "chat.completion",
    };
    answer.insert("object".to_owned(), kind.into());
    answer.insert("choices".to_owned(), choices.into());
    let told = told.or_else(|| usage.map(usage_json));
    if let Some(told) = told {
        answer.insert("usage".to_owned(), told);
    }
    serde_json::to_vec(&answer).ok().map(Bytes::from)
}

/// The frames of a stream's text, without comments.
fn frames_of(raw: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut cutter = sse::Cutter::new(usize::MAX);
    let cut = cutter.push(Bytes::copy_from_slice(raw)).unwrap_or_default();
    let mut start = 0;
    let ends = cut.ends.into_iter();
    let frames = ends.map(move |end| {
        let frame = start..end;
        start = end;
        frame
    });
    let frames = frames.filter_map(|at| raw.get(at));
    frames.filter(|frame| sse::data(frame).is_some_and(|data| !data.trim_ascii().is_empty()))
}

fn join(operation: Operation, choice: &Value, choices: &mut Vec<Map<String, Value>>) -> Option<()> {
    let index = choice["index"].as_u64().unwrap_or_default();
    let known = choices.iter().position(|known| known["index"] == index);
    let at = known.unwrap_or_else(|| {
        let mut new = Map::new();
        new.insert("index".to_owned(), index.into());
        if operation != Operation::Complete {
            new.insert(
                "message".to_owned(),
                json!({ "role": "assistant", "content": "" }),
            );
        }
        new.insert("finish_reason".to_owned(), Value::Null);
        choices.push(new);
        choices.len() - 1
    });
    let whole = &mut choices[at];
    for (key, value) in choice.as_object()? {
        match (key.as_str(), value) {
            ("index", _) | (_, Value::Null) => {}
            ("delta", Value::Object(delta)) => {
                let message = whole.get_mut("message")?.as_object_mut()?;
                for (key, value) in delta {
                    add(message, key, value)?;
                }
            }
            ("text", _) => add(whole, key, value)?,
            ("finish_reason", _) => {
                whole.insert(key.clone(), value.clone());
            }
            _ => return None,
        }
    }
    Some(())
}

/// Adds to a text; other values can't be joined.
fn add(object: &mut Map<String, Value>, key: &str, value: &Value) -> Option<()> {
    match (value, object.get_mut(key)) {
        (Value::Null, _) => {}
        (Value::Array(list), _) if list.is_empty() => {}
        (Value::String(text), Some(Value::String(so_far))) if key != "role" => {
            so_far.push_str(text)
        }
        (Value::String(text), _) => {
            object.insert(key.to_owned(), text.as_str().into());
        }
        _ => return None,
    }
    Some(())
}

fn usage_json(usage: Usage) -> Value {
    json!({
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.input + usage.output,
    })
}

/// A stream of a whole answer, with a frame of its usage where that is asked for.
pub(super) fn stream_of(operation: Operation, body: &[u8], usage: bool) -> Option<Frames> {
    let mut answer: Map<String, Value> = serde_json::from_slice(body).ok()?;
    let told = answer.remove("usage");
    let choices = answer.remove("choices")?;
    let kind = match operation {
        Operation::Complete => "text_completion",
        _ => "chat.completion.chunk",
    };
    answer.insert("object".to_owned(), kind.into());
    let mut out = Out {
        base: answer,
        raw: String::new(),
        marks: Vec::new(),
    };
    for choice in choices.as_array()? {
        out.choice(operation, choice)?;
    }
    if let (true, Some(told)) = (usage, told) {
        out.base.insert("usage".to_owned(), told);
        out.event(json!([]), Mark::End);
    }
    out.raw.push_str("data: [DONE]\n\n");
    out.marks.push((out.raw.len() as u32, Mark::End));
    Some(Frames::new(out.raw.into(), out.marks))
}

/// A stream under construction.
struct Out {
    /// What stands in every chunk.
    base: Map<String, Value>,
    raw: String,
    marks: Vec<(u32, Mark)>,
}

impl Out {
    fn event(&mut self, choices: Value, mark: Mark) {
        self.base.insert("choices".to_owned(), choices);
        let chunk = serde_json::to_string(&self.base).unwrap_or_default();
        self.raw.push_str("data: ");
        self.raw.push_str(&chunk);
        self.raw.push_str("\n\n");
        self.marks.push((self.raw.len() as u32, mark));
    }

    fn choice(&mut self, operation: Operation, choice: &Value) -> Option<()> {
        let index = &choice["index"];
        let reason = &choice["finish_reason"];
        if operation == Operation::Complete {
            for piece in pieces(choice["text"].as_str()?) {
                let said = json!([{ "index": index, "text": piece, "finish_reason": null }]);
                self.event(said, Mark::Content);
            }
            let end = json!([{ "index": index, "text": "", "finish_reason": reason }]);
            self.event(end, Mark::End);
            return Some(());
        }
        let message = choice["message"].as_object()?;
        let (texts, mut first): (Map<String, Value>, Map<String, Value>) = message
            .clone()
            .into_iter()
            .partition(|(key, value)| value.is_string() && key != "role");
        first.retain(|_, value| !value.is_null());
        first.insert("content".to_owned(), "".into());
        self.event(
            json!([{ "index": index, "delta": first, "finish_reason": null }]),
            Mark::Role,
        );
        // what a model thought comes before what it said
        let (last, before): (Vec<_>, Vec<_>) = texts.iter().partition(|(key, _)| *key == "content");
        for (key, text) in before.into_iter().chain(last) {
            for piece in pieces(text.as_str()?) {
                let said =
                    json!([{ "index": index, "delta": { key: piece }, "finish_reason": null }]);
                self.event(said, Mark::Content);
            }
        }
        self.event(
            json!([{ "index": index, "delta": {}, "finish_reason": reason }]),
            Mark::End,
        );
        Some(())
    }
}

/// A text in pieces of a line or so.
fn pieces(mut text: &str) -> impl Iterator<Item = &str> {
    std::iter::from_fn(move || {
        let (piece, rest) = text.split_at(text.ceil_char_boundary(PIECE.min(text.len())));
        text = rest;
        (!piece.is_empty()).then_some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = r#"{"id":"1","model":"x","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"Hello 你好","reasoning_content":"hm"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7}}"#;

    fn value(bytes: &[u8]) -> Value {
        serde_json::from_slice(bytes).unwrap()
    }

    #[test]
    fn a_whole_answer_becomes_a_stream_and_that_the_same_answer() {
        for (operation, whole) in [
            (Operation::Chat, WHOLE),
            (
                Operation::Complete,
                r#"{"id":"1","object":"text_completion","choices":[{"index":0,"text":"abc","finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1}}"#,
            ),
        ] {
            let frames = stream_of(operation, whole.as_bytes(), true).unwrap();
            assert!(frames.has(Mark::Content) && frames.raw().ends_with(b"data: [DONE]\n\n"));
            let again = whole_of(operation, frames.raw(), None).unwrap();
            assert_eq!(value(&again), value(whole.as_bytes()));
        }
    }

    #[test]
    fn usage_is_told_where_it_is_asked_for() {
        let text = |usage| {
            let frames = stream_of(Operation::Chat, WHOLE.as_bytes(), usage).unwrap();
            String::from_utf8(frames.into_raw().to_vec()).unwrap()
        };
        assert!(text(true).contains("prompt_tokens") && !text(false).contains("prompt_tokens"));
    }

    #[test]
    fn what_calls_tools_or_was_cut_short_is_not_repeated() {
        assert!(repeats(Operation::Chat, WHOLE.as_bytes()));
        assert!(!repeats(
            Operation::Chat,
            WHOLE.replace("stop", "length").as_bytes()
        ));
        let call = WHOLE.replace(r#""content""#, r#""tool_calls":[{"id":"c"}],"content""#);
        assert!(!repeats(Operation::Chat, call.as_bytes()));
        assert!(repeats(
            Operation::Embed,
            br#"{"data":[{"embedding":[1]}]}"#
        ));
    }

    #[test]
    fn streams_that_call_tools_have_no_whole_form() {
        let raw =
            b"data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0}]}}]}\n\n";
        assert_eq!(whole_of(Operation::Chat, raw, None), None);
    }

    #[test]
    fn temperature_and_the_wish_for_usage_are_read() {
        let read = |body: &str| canonical(body.as_bytes()).unwrap();
        assert_eq!(read(r#"{"model":"m"}"#).temperature, None);
        assert_eq!(read(r#"{"temperature": 0.0}"#).temperature, Some(0.0));
        assert!(read(r#"{"stream_options":{"include_usage":true}}"#).usage);
        assert_eq!(
            read(r#"{"user":"a","n":1}"#).text,
            read(r#"{"n":1,"stream":true}"#).text
        );
    }
}
