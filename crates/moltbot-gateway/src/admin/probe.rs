//! One short call of our own, down the path that callers take.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use moltbot_config::config::{Model, ModelKind};
use moltbot_types::call::CallParts;
use moltbot_types::record::Tried;
use moltbot_types::{
    Body, Call, CallError, Caller, Dialect, Ending, Next, Operation, Remembered, Reply, RequestId,
    Trail, Workspace,
};
use moltbot_wire::openai::OPENAI;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::workspace::WorkspacePath;

/// What came of a call.
pub(super) struct Probed {
    /// What the model said, as far as a line shows it.
    pub(super) answer: Result<String, CallError>,
    /// From the call's start to its answer.
    pub(super) took: Duration,
    /// Who was asked.
    pub(super) tried: Tried,
}

/// Asks a model that the workspace sees for one short answer of at most so many tokens.
pub(super) async fn probe(workspace: &WorkspacePath, model: &Model, tokens: u32) -> Probed {
    let begun = Instant::now();
    let trail = Arc::new(Trail::default());
    let answer = match call(&workspace.name, model, tokens, begun, &trail) {
        Ok(call) => workspace.path().call(call).await,
        Err(error) => Err(error),
    };
    Probed {
        answer: answer.map(text),
        took: begun.elapsed(),
        tried: trail.with(Clone::clone),
    }
}

fn call(
    workspace: &Workspace,
    model: &Model,
    tokens: u32,
    begun: Instant,
    trail: &Arc<Trail>,
) -> Result<Call, CallError> {
    let (operation, mut body) = match model.kind {
        ModelKind::Embedding => (Operation::Embed, json!({ "input": "Hello" })),
        _ => (
            Operation::Chat,
            json!({ "messages": [{ "role": "user", "content": "Say hello." }], "max_tokens": tokens }),
        ),
    };
    body["model"] = model.name.as_str().into();
    let body = Bytes::from(body.to_string());
    Ok(Call::new(CallParts {
        id: RequestId::new(),
        caller: Caller {
            workspace: workspace.clone(),
            ..Caller::anonymous()
        },
        head: OPENAI.peek(operation, &body)?,
        body,
        dialect: &OPENAI,
        headers: HeaderMap::new(),
        query: None,
        filtered: false,
        remembered: Remembered::default(),
        begun,
        deadline: None,
        skills: moltbot_types::Skills::Off,
        trail: Arc::clone(trail),
    }))
}

fn text(reply: Reply) -> String {
    let (_, _, body, mut holds) = reply.into_parts();
    holds.end(&Ending::Complete);
    let Body::Whole(body) = body else {
        return String::new();
    };
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    match body["choices"][0]["message"]["content"].as_str() {
        Some(text) => text.trim().to_owned(),
        None => match body["data"][0]["embedding"].as_array() {
            Some(vector) => format!("a vector of {} numbers", vector.len()),
            None => String::new(),
        },
    }
}
