//! Reads prompts, and what an answer or one event of it says.

use std::sync::LazyLock;

use memchr::memmem::Finder;
use moltbot_types::{CallError, Kind, Operation, Prompt, Retry, Turn, Usage};
use serde_json::Value;
use smallvec::SmallVec;

use super::error;
use crate::json::{Broken, each_element, each_member};
use crate::peek::bad_field;

/// More tokens than any call has: a number above is nonsense.
const ABSURD: u64 = 1_000_000_000;

/// Words by which a choice may tell more than the answer around it; an escape may spell one of them.
static TELLING: LazyLock<[Finder<'static>; 3]> =
    LazyLock::new(|| ["\"error\"", "\"usage\"", "\\u"].map(Finder::new));

/// Reads the texts of a prompt.
pub(super) fn prompt(operation: Operation, body: &[u8]) -> Result<Prompt, CallError> {
    let body: Value = serde_json::from_slice(body).map_err(|error| {
        CallError::new(
            Kind::BadRequest,
            format!("the body can't be read as JSON: {error}"),
        )
    })?;
    let turns = match operation {
        Operation::Chat => messages(&body)?,
        Operation::Complete => prompts(&body, "prompt")?,
        _ => prompts(&body, "input")?,
    };
    Ok(Prompt { turns })
}

fn messages(body: &Value) -> Result<Vec<Turn>, CallError> {
    let list = body["messages"]
        .as_array()
        .filter(|list| !list.is_empty())
        .ok_or_else(|| {
            bad_field(
                "messages",
                "`messages` must be a list of at least one message",
            )
        })?;
    list.iter()
        .enumerate()
        .map(|(index, message)| {
            let role = message["role"].as_str().ok_or_else(|| {
                let field = format!("messages[{index}].role");
                bad_field(&field, format!("`{field}` must be a string"))
            })?;
            Ok(Turn {
                role: role.to_owned(),
                text: content(&message["content"]),
            })
        })
        .collect()
}

/// The text of a message's content: a string, or the text parts of a list.
fn content(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts
            .iter()
            .filter_map(|part| part["text"].as_str())
            .collect(),
        _ => String::new(),
    }
}

/// One text or a list of texts, each a user turn. Token numbers hold no text and are left out.
fn prompts(body: &Value, field: &str) -> Result<Vec<Turn>, CallError> {
    let turn = |text: &str| Turn {
        role: "user".to_owned(),
        text: text.to_owned(),
    };
    match &body[field] {
        Value::String(text) => Ok(vec![turn(text)]),
        Value::Array(list) if !list.is_empty() => {
            Ok(list.iter().filter_map(Value::as_str).map(turn).collect())
        }
        _ => Err(bad_field(
            field,
            format!("`{field}` must be a text or a list of texts"),
        )),
    }
}

/// Checks a whole answer and reads its usage.
pub(super) fn check(body: &[u8]) -> Result<Option<Usage>, CallError> {
    let answer = Reading::whole(body).map_err(|broken| {
        let message = format!(
            "the upstream's answer is no JSON object: {} at byte {}",
            broken.what, broken.at
        );
        CallError::new(Kind::BadReply, message).retry(Retry::Anywhere)
    })?;
    match answer.error {
        Some(failure) => Err(error::embedded(failure)),
        None => Ok(answer.usage),
    }
}

/// What an answer, or one event of it, says that matters here.
#[derive(Debug, Default)]
pub(super) struct Reading<'a> {
    /// Its choices, in order.
    pub(super) choices: SmallVec<[Choice<'a>; 1]>,
    /// Tokens, where it tells them believably.
    pub(super) usage: Option<Usage>,
    /// The JSON text of an error in place of an answer.
    pub(super) error: Option<&'a [u8]>,
}

/// One choice, or what an event adds to it.
#[derive(Debug, Default)]
pub(super) struct Choice<'a> {
    /// Which one it is.
    pub(super) index: u64,
    /// It carries something that is neither empty nor blank.
    pub(super) content: bool,
    /// It says why it ended.
    pub(super) finished: bool,
    /// Its `delta`'s content as raw JSON text, where that is a string.
    pub(super) text: Option<&'a [u8]>,
    error: bool,
}

impl<'a> Reading<'a> {
    /// Reads the JSON object `text`, which is one event of a stream.
    pub(super) fn of(text: &'a [u8]) -> Result<Self, Broken> {
        Self::read(text, |_| true)
    }

    /// Reads the whole answer `text`. Its choices are read only where they tell more than the answer.
    fn whole(text: &'a [u8]) -> Result<Self, Broken> {
        Self::read(text, |choices| {
            TELLING.iter().any(|word| word.find(choices).is_some())
        })
    }

    fn read(text: &'a [u8], chosen: impl Fn(&[u8]) -> bool) -> Result<Self, Broken> {
        let mut reading = Self::default();
        let mut is_error = false;
        let end = each_member(text, |name, value| match name {
            b"choices" if chosen(value) => {
                // What is no list holds no choices.
                let _ = each_element(value, |choice| reading.choice(choice));
            }
            b"usage" => reading.usage = usage(value).or(reading.usage),
            b"x_groq" => {
                let _ = each_member(value, |name, value| {
                    if name == b"usage" {
                        reading.usage = usage(value).or(reading.usage);
                    }
                });
            }
            b"error" if !matches!(value, b"null" | b"false" | b"\"\"" | b"{}") => {
                reading.error = Some(value);
            }
            b"object" => is_error = value == br#""error""#,
            _ => {}
        });
        end?;
        if reading.error.is_none()
            && (is_error || reading.choices.iter().any(|choice| choice.error))
        {
            reading.error = Some(text);
        }
        Ok(reading)
    }

    fn choice(&mut self, text: &'a [u8]) {
        let mut choice = Choice::default();
        let mut error = None;
        // What is no object says nothing.
        let _ = each_member(text, |name, value| match name {
            b"index" => choice.index = number(value).unwrap_or_default(),
            b"delta" | b"message" => {
                let _ = each_member(value, |name, value| match name {
                    b"content" => {
                        choice.content |= is_content(value);
                        choice.text = value.starts_with(b"\"").then_some(value);
                    }
                    b"reasoning_content" | b"reasoning" | b"reasoning_details" | b"refusal"
                    | b"tool_calls" | b"function_call" | b"audio" => {
                        choice.content |= is_content(value);
                    }
                    _ => {}
                });
            }
            b"text" => choice.content |= is_content(value),
            b"finish_reason" => {
                choice.error = value == br#""error""#;
                choice.finished = is_content(value) && !choice.error;
            }
            b"error" if value.starts_with(b"{") && value != b"{}" => error = Some(value),
            b"usage" => self.usage = usage(value).or(self.usage),
            _ => {}
        });
        self.error = error.or(self.error);
        self.choices.push(choice);
    }
}

/// Whether a JSON value carries something: a string that is more than blanks, a container that is not empty.
fn is_content(value: &[u8]) -> bool {
    match value {
        b"null" | b"false" | b"[]" | b"{}" => false,
        [b'"', inner @ .., b'"'] => !is_blank(inner),
        _ => true,
    }
}

/// Whether the inside of a JSON string is blanks alone.
pub(super) fn is_blank(mut inner: &[u8]) -> bool {
    loop {
        inner = match inner {
            [] => return true,
            [b' ', rest @ ..] | [b'\\', b'n' | b't' | b'r', rest @ ..] => rest,
            _ => return false,
        };
    }
}

/// Reads `{"prompt_tokens", "completion_tokens"}`; nothing where a number is negative or absurd.
fn usage(value: &[u8]) -> Option<Usage> {
    let mut usage = Usage::default();
    let mut sane = true;
    let mut read = |value: &[u8], into: &mut u64| match number(value) {
        Some(tokens) if tokens <= ABSURD => *into = tokens,
        _ if value == b"null" => {}
        _ => sane = false,
    };
    each_member(value, |name, value| match name {
        b"prompt_tokens" => read(value, &mut usage.input),
        b"completion_tokens" => read(value, &mut usage.output),
        _ => {}
    })
    .ok()?;
    (sane && usage != Usage::default()).then_some(usage)
}

fn number(value: &[u8]) -> Option<u64> {
    std::str::from_utf8(value).ok()?.parse().ok()
}
