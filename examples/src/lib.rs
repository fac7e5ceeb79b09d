//! What the examples share: a call as a door would make it.

use std::sync::Arc;

use bytes::Bytes;
use moltbot_types::call::CallParts;
use moltbot_types::{
    Body, Call, CallError, Caller, Dialect, Operation, Remembered, Reply, RequestId, Trail,
};
use moltbot_wire::openai::OPENAI;
use serde_json::{Value, json};

/// A question to a model, in the OpenAI dialect.
///
/// # Errors
/// None for names that are plain text.
pub fn ask(model: &str, text: &str) -> Result<Call, CallError> {
    let body = json!({ "model": model, "messages": [{ "role": "user", "content": text }] });
    let body = Bytes::from(body.to_string());
    Ok(Call::new(CallParts {
        id: RequestId::new(),
        caller: Caller::anonymous(),
        head: OPENAI.peek(Operation::Chat, &body)?,
        body,
        dialect: &OPENAI,
        headers: http::HeaderMap::new(),
        query: None,
        filtered: false,
        remembered: Remembered::default(),
        begun: tokio::time::Instant::now(),
        deadline: None,
        skills: moltbot_types::Skills::Off,
        trail: Arc::new(Trail::default()),
    }))
}

/// The text of a whole answer.
pub fn text(reply: Reply) -> String {
    let (_, _, body, _) = reply.into_parts();
    let Body::Whole(body) = body else {
        return String::new();
    };
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    body["choices"][0]["message"]["content"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}
