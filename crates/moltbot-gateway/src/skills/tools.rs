//! Skills as a model's tools: it calls them, hears what they say, and answers; a few rounds at most.

use futures_util::future::join_all;
use moltbot_skills::{Outcome, Ready};
use moltbot_types::{Body, Call, CallError, Ending, Kind, Next, Occasion, Operation, Reply, Usage};
use serde_json::{Value, json};

use super::Shelf;
use super::step::{reply, said, set_body};

/// Rounds in which tools run; the next one goes out without them.
const ROUNDS: usize = 4;
/// Calls of tools in a turn.
const CALLS: usize = 16;

/// Whether tools can be offered in the dialect of a call.
pub(super) fn speaks(call: &Call) -> bool {
    call.dialect.name() == "openai" && call.head.operation == Operation::Chat
}

/// Asks the model, with skills as tools, until it answers.
///
/// A streamed answer comes as a whole here: which of its pieces would be a tool's is known at its end.
pub(super) async fn answer<N: Next>(
    shelf: &Shelf,
    tools: &[Ready],
    mut call: Call,
    occasion: &Occasion,
    next: &N,
) -> Result<Reply, CallError> {
    let unread = |error: serde_json::Error| CallError::new(Kind::BadRequest, error.to_string());
    let streamed = call.head.stream;
    let mut body: Value = serde_json::from_slice(&call.body).map_err(unread)?;
    let asked = call.clone();
    let theirs = body.get("tools").cloned();
    body["tools"] = offered(theirs.as_ref(), tools);
    if let Some(body) = body.as_object_mut() {
        body.remove("stream");
        body.remove("stream_options");
    }
    let (mut spent, mut calls) = (Usage::default(), 0);
    for round in 0.. {
        set_body(&mut call, &body)?;
        let mut answered = next.call(call.clone()).await?;
        let told: Value = match &answered.body {
            Body::Whole(bytes) => serde_json::from_slice(bytes).unwrap_or_default(),
            Body::Stream(_) => return Ok(answered),
        };
        let message = &told["choices"][0]["message"];
        let wanted = message["tool_calls"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let ours = |wanted: &Value| find(tools, wanted).is_some();
        if wanted.is_empty() || round == ROUNDS || !wanted.iter().all(ours) {
            add(&mut spent, answered.usage);
            answered.usage = answered.usage.map(|_| spent);
            return Ok(match streamed && wanted.is_empty() {
                true => as_stream(&asked, answered, message),
                false => answered,
            });
        }
        add(&mut spent, answered.usage);
        let (_, _, _, mut holds) = answered.into_parts();
        holds.end(&Ending::Complete);
        let messages = &mut body["messages"];
        let results = wanted.iter().enumerate().map(|(index, wanted)| {
            let allowed = calls + index < CALLS;
            run(shelf, tools, &asked, occasion, wanted, allowed)
        });
        let results = join_all(results).await;
        calls += wanted.len();
        if let Some(messages) = messages.as_array_mut() {
            messages.push(message.clone());
            messages.extend(results);
        }
        if round + 1 == ROUNDS || calls >= CALLS {
            // Enough: the model answers with what it has heard.
            match (&theirs, body.as_object_mut()) {
                (Some(theirs), _) => body["tools"] = theirs.clone(),
                (None, Some(body)) => {
                    body.remove("tools");
                    body.remove("tool_choice");
                }
                (None, None) => {}
            }
        }
    }
    Err(CallError::new(
        Kind::Internal,
        "the rounds of tools have no end",
    ))
}

/// The caller's own tools, then skills whose names are free.
fn offered(theirs: Option<&Value>, tools: &[Ready]) -> Value {
    let mut offered = theirs
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    let taken = |offered: &[Value], name: &str| {
        let mut names = offered.iter().map(|tool| &tool["function"]["name"]);
        names.any(|known| known == name)
    };
    for tool in tools {
        if !taken(&offered, tool.name()) {
            let manifest = tool.manifest();
            offered.push(json!({ "type": "function", "function": {
                "name": manifest.name,
                "description": manifest.description,
                "parameters": manifest.parameters,
            } }));
        }
    }
    Value::Array(offered)
}

fn find<'t>(tools: &'t [Ready], wanted: &Value) -> Option<&'t Ready> {
    let name = wanted["function"]["name"].as_str()?;
    tools.iter().find(|tool| tool.name() == name)
}

/// Runs what the model wants; what it hears is a message.
async fn run(
    shelf: &Shelf,
    tools: &[Ready],
    asked: &Call,
    occasion: &Occasion,
    wanted: &Value,
    allowed: bool,
) -> Value {
    let given = wanted["function"]["arguments"].as_str().unwrap_or_default();
    let given = if given.trim().is_empty() { "{}" } else { given };
    let arguments = serde_json::from_str::<Value>(given).ok();
    let heard = match (find(tools, wanted), arguments) {
        _ if !allowed => "error: no more calls of tools in this turn".to_owned(),
        (Some(tool), Some(arguments)) if arguments.is_object() => {
            if let Err(wrong) = tool.manifest().fits(&arguments) {
                return result(wanted, format!("error: {wrong}"));
            }
            let mut said = said(asked, occasion, String::new(), Vec::new());
            said.arguments = Some(arguments);
            heard(shelf.run(tool, said).await.outcome)
        }
        (Some(_), _) => "error: the arguments are no JSON object".to_owned(),
        (None, _) => "error: there is no such tool".to_owned(),
    };
    result(wanted, heard)
}

/// What the model hears of a tool that it wanted.
fn result(wanted: &Value, heard: String) -> Value {
    json!({ "role": "tool", "tool_call_id": wanted["id"], "content": heard })
}

/// What a model hears of an outcome. Why a tool failed is told to operators alone.
pub(super) fn heard(outcome: Outcome) -> String {
    match outcome {
        Outcome::Answer(text) | Outcome::Pass(text) => text,
        Outcome::Nothing => String::new(),
        Outcome::Fault(_) => "error: the tool failed".to_owned(),
    }
}

/// A whole answer as the stream that was asked for.
fn as_stream(asked: &Call, answered: Reply, message: &Value) -> Reply {
    let text = message["content"].as_str().unwrap_or_default().to_owned();
    let (headers, usage) = (answered.headers.clone(), answered.usage);
    let mut streamed = reply(asked, text);
    streamed.headers = headers;
    streamed.usage = usage.or(streamed.usage);
    let (_, _, _, mut holds) = answered.into_parts();
    holds.end(&Ending::Complete);
    streamed
}

fn add(spent: &mut Usage, usage: Option<Usage>) {
    if let Some(usage) = usage {
        spent.input += usage.input;
        spent.output += usage.output;
        spent.estimated |= usage.estimated;
    }
}
