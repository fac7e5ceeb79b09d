//! Writes answers, whole and in pieces.

use bytes::Bytes;
use moltbot_types::{Answer, Finish, Operation};
use serde_json::{Value, json};

/// Writes a whole answer.
pub(super) fn whole(operation: Operation, answer: &Answer) -> Bytes {
    let finish = finish(answer);
    let body = match operation {
        Operation::Embed => json!({
            "object": "list",
            "data": [],
            "model": answer.model,
            "usage": usage(answer),
        }),
        Operation::Complete => json!({
            "id": answer.id,
            "object": "text_completion",
            "created": answer.created,
            "model": answer.model,
            "choices": [{"index": 0, "text": answer.text, "logprobs": null, "finish_reason": finish}],
            "usage": usage(answer),
        }),
        _ => json!({
            "id": answer.id,
            "object": "chat.completion",
            "created": answer.created,
            "model": answer.model,
            "choices": [{
                "index": 0,
                "message": {"role": "assistant", "content": answer.text, "refusal": null},
                "logprobs": null,
                "finish_reason": finish,
            }],
            "usage": usage(answer),
        }),
    };
    body.to_string().into()
}

/// Writes one piece of a streamed answer.
pub(super) fn piece(operation: Operation, answer: &Answer, piece: &str) -> Bytes {
    let choice = match operation {
        Operation::Complete => {
            json!({"index": 0, "text": piece, "logprobs": null, "finish_reason": null})
        }
        _ => {
            let delta = if opens(answer, piece) {
                json!({"role": "assistant", "content": piece})
            } else {
                json!({"content": piece})
            };
            json!({"index": 0, "delta": delta, "logprobs": null, "finish_reason": null})
        }
    };
    event(&chunk(operation, answer, choice)).into()
}

/// Writes the end of a streamed answer.
///
/// Usage stands in the last chunk: one without choices would be a surprise to callers that did not ask for it.
pub(super) fn end(operation: Operation, answer: &Answer) -> Bytes {
    let finish = finish(answer);
    let choice = match operation {
        Operation::Complete => {
            json!({"index": 0, "text": "", "logprobs": null, "finish_reason": finish})
        }
        _ => json!({"index": 0, "delta": {}, "logprobs": null, "finish_reason": finish}),
    };
    let mut last = chunk(operation, answer, choice);
    last["usage"] = usage(answer);
    let mut text = event(&last);
    text.push_str("data: [DONE]\n\n");
    text.into()
}

/// Whether `piece` is the answer's first, which alone names the role: clients join what the pieces say.
///
/// It is the slice with which the answer's text begins, or an empty one ahead of it.
fn opens(answer: &Answer, piece: &str) -> bool {
    piece.is_empty() || answer.text.is_empty() || std::ptr::eq(answer.text.as_ptr(), piece.as_ptr())
}

fn chunk(operation: Operation, answer: &Answer, choice: Value) -> Value {
    let object = match operation {
        Operation::Complete => "text_completion",
        _ => "chat.completion.chunk",
    };
    json!({
        "id": answer.id,
        "object": object,
        "created": answer.created,
        "model": answer.model,
        "choices": [choice],
    })
}

fn event(chunk: &Value) -> String {
    format!("data: {chunk}\n\n")
}

fn finish(answer: &Answer) -> &'static str {
    match answer.finish {
        Finish::Stop => "stop",
        Finish::Length => "length",
    }
}

fn usage(answer: &Answer) -> Value {
    let usage = answer.usage;
    json!({
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.input + usage.output,
    })
}

#[cfg(test)]
mod tests;
