//! One question down the path that every call takes, and the text that climbs back, piece by piece.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt;
use http::HeaderMap;
use moltbot_types::call::{CallParts, Remembered};
use moltbot_types::reply::{FrameStream, Holds};
use moltbot_types::skill::Occasion;
use moltbot_types::{
    Body, Call, CallError, Caller, Dialect, Door, Ending, Frames, Kind, Mark, Operation, RequestId,
    Skills, Trail, Workspace,
};
use moltbot_wire::openai::OPENAI;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::house::Model;
use moltbot_store::sessions::Exchange;

/// What is asked.
pub(crate) struct Question<'a> {
    pub(crate) id: RequestId,
    pub(crate) workspace: &'a Workspace,
    pub(crate) channel: &'a str,
    pub(crate) sender: &'a str,
    pub(crate) model: &'a Model,
    pub(crate) system: Option<&'a str>,
    pub(crate) history: &'a [Exchange],
    pub(crate) text: &'a str,
    pub(crate) images: &'a [String],
    /// Nothing that a skill writes is kept.
    pub(crate) dry: bool,
    /// The answer shall come in pieces.
    pub(crate) stream: bool,
    /// Its text and the answer's are looked at by the turn.
    pub(crate) filtered: bool,
}

/// An answer under way.
pub(crate) struct Answering {
    source: Source,
    holds: Holds,
    trail: Arc<Trail>,
}

enum Source {
    Whole(Option<Bytes>),
    Stream(FrameStream),
}

/// Asks.
///
/// # Errors
/// As the path.
pub(crate) async fn ask(door: &dyn Door, question: &Question<'_>) -> Result<Answering, CallError> {
    let call = call(question)?;
    let trail = Arc::clone(&call.trail);
    let (_, _, body, holds) = door.enter(call).await?.into_parts();
    let source = match body {
        Body::Whole(body) => Source::Whole(Some(body)),
        Body::Stream(frames) => Source::Stream(frames),
    };
    Ok(Answering {
        source,
        holds,
        trail,
    })
}

impl Answering {
    /// The next piece of text, which may be empty; `None` at the proper end.
    ///
    /// # Errors
    /// The answer broke off or can't be read.
    pub(crate) async fn next(&mut self) -> Result<Option<String>, CallError> {
        let piece = match &mut self.source {
            Source::Whole(body) => body.take().map(|body| whole(&body)).transpose(),
            Source::Stream(frames) => match frames.next().await {
                Some(Ok(frames)) => {
                    self.holds.note(frames.usage);
                    pieces(&frames).map(Some)
                }
                Some(Err(error)) => Err(error),
                None => Ok(None),
            },
        };
        match &piece {
            Ok(Some(_)) => {}
            Ok(None) => self.holds.end(&Ending::Complete),
            Err(error) => self.holds.end(&Ending::Cut {
                kind: error.kind(),
                message: error.message().to_owned(),
            }),
        }
        piece
    }

    /// The skill that answers, if one does.
    pub(crate) fn skill(&self) -> Option<&str> {
        self.trail.skill()
    }

    /// The model that answers.
    pub(crate) fn model(&self) -> Option<String> {
        let served = self.trail.with(|tried| tried.served.clone());
        served.map(|served| served.model.to_string())
    }
}

fn call(question: &Question<'_>) -> Result<Call, CallError> {
    let mut messages = Vec::with_capacity(question.history.len() * 2 + 2);
    if let Some(system) = question.system {
        messages.push(json!({ "role": "system", "content": system }));
    }
    for exchange in question.history {
        messages.push(json!({ "role": "user", "content": exchange.user }));
        messages.push(json!({ "role": "assistant", "content": exchange.assistant }));
    }
    messages.push(json!({ "role": "user", "content": content(question) }));
    let mut body = json!({ "model": question.model.name.as_str(), "messages": messages });
    if question.stream {
        body["stream"] = Value::Bool(true);
    }
    let body = Bytes::from(body.to_string());
    let mut head = OPENAI.peek(Operation::Chat, &body)?;
    // The sender is a unit of comparisons, and no business of the model's provider: he is not in the body.
    head.user = Some(question.sender.into());
    Ok(Call::new(CallParts {
        id: question.id,
        caller: Caller {
            workspace: question.workspace.clone(),
            ..Caller::anonymous()
        },
        head,
        body,
        dialect: &OPENAI,
        headers: HeaderMap::new(),
        query: None,
        filtered: question.filtered,
        remembered: Remembered::default(),
        begun: Instant::now(),
        deadline: None,
        skills: Skills::allow(Occasion {
            sender: Some(question.sender.into()),
            channel: Some(question.channel.into()),
            dry: question.dry,
        }),
        trail: Arc::default(),
    }))
}

fn content(question: &Question<'_>) -> Value {
    if question.images.is_empty() || !question.model.vision {
        return Value::from(question.text);
    }
    let mut parts = vec![json!({ "type": "text", "text": question.text })];
    for url in question.images {
        parts.push(json!({ "type": "image_url", "image_url": { "url": url } }));
    }
    Value::Array(parts)
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    choices: Vec<Choice>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default)]
    index: u64,
    #[serde(alias = "delta")]
    message: Option<Text>,
}

#[derive(Deserialize)]
struct Text {
    content: Option<String>,
    refusal: Option<String>,
}

impl Answer {
    fn text(self) -> String {
        let first = self.choices.into_iter().filter(|choice| choice.index == 0);
        first
            .filter_map(|choice| choice.message)
            .filter_map(|text| text.content.or(text.refusal))
            .collect()
    }
}

fn whole(body: &[u8]) -> Result<String, CallError> {
    let answer: Result<Answer, _> = serde_json::from_slice(body);
    answer.map(Answer::text).map_err(unreadable)
}

fn pieces(frames: &Frames) -> Result<String, CallError> {
    let mut text = String::new();
    for (frame, mark) in frames.iter() {
        match mark {
            Mark::Ping | Mark::Role => {}
            Mark::Error => return Err(CallError::new(Kind::Cut, "the answer broke off")),
            Mark::Content | Mark::End => text.push_str(&events(&frame)?),
        }
    }
    Ok(text)
}

/// The text of server-sent events; the end of an answer may be two of them in one frame.
fn events(frame: &[u8]) -> Result<String, CallError> {
    let frame = String::from_utf8_lossy(frame);
    let mut text = String::new();
    let mut data: Vec<&str> = Vec::new();
    for line in frame.lines().chain([""]) {
        if let Some(part) = line.strip_prefix("data:") {
            data.push(part.trim());
        } else if line.is_empty() {
            text.push_str(&event(&data.join("\n"))?);
            data.clear();
        }
    }
    Ok(text)
}

/// The text in the data of one event.
fn event(data: &str) -> Result<String, CallError> {
    if data.is_empty() || data == "[DONE]" {
        return Ok(String::new());
    }
    let answer: Result<Answer, _> = serde_json::from_str(data);
    answer.map(Answer::text).map_err(unreadable)
}

fn unreadable(error: serde_json::Error) -> CallError {
    CallError::new(Kind::BadReply, "the model's answer can't be read").because(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_an_answer_is_read_whole_and_in_pieces() {
        let body = br#"{"choices":[{"index":0,"message":{"role":"assistant","content":"hi","tool_calls":[]}}]}"#;
        assert_eq!(whole(body).unwrap(), "hi");
        let refusal = br#"{"choices":[{"message":{"content":null,"refusal":"no"}}]}"#;
        assert_eq!(whole(refusal).unwrap(), "no");
        assert_eq!(whole(b"{}").unwrap(), "");
        assert!(whole(b"nothing").is_err());
        let piece = br#"data: {"choices":[{"index":0,"delta":{"content":"a\nb"}},{"index":1,"delta":{"content":"x"}}]}"#;
        assert_eq!(events(piece).unwrap(), "a\nb");
        assert_eq!(events(b"data: [DONE]\n\n").unwrap(), "");
        let end = b"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"z\"}}]}\r\n\r\ndata: [DONE]\r\n\r\n";
        assert_eq!(events(end).unwrap(), "z");
        assert_eq!(events(b": ping\n\n").unwrap(), "");
        assert!(events(b"data: {\n\n").is_err());
    }

    #[test]
    fn a_prompt_holds_the_conversation_in_order_and_no_sender() {
        let model = Model {
            name: "m".into(),
            vision: false,
        };
        let workspace = Workspace::default();
        let history = [Exchange {
            user: "a".to_owned(),
            assistant: "b".to_owned(),
        }];
        let images = ["https://example.com/a.png".to_owned()];
        let mut question = Question {
            id: RequestId::new(),
            workspace: &workspace,
            channel: "c",
            sender: "secret-sender",
            model: &model,
            system: Some("be kind"),
            history: &history,
            text: "c",
            images: &images,
            dry: false,
            stream: false,
            filtered: true,
        };
        let said = call(&question).unwrap();
        let body = String::from_utf8(said.body.to_vec()).unwrap();
        assert_eq!(
            body,
            r#"{"model":"m","messages":[{"role":"system","content":"be kind"},{"role":"user","content":"a"},{"role":"assistant","content":"b"},{"role":"user","content":"c"}]}"#
        );
        assert_eq!(said.head.user.as_deref(), Some("secret-sender"));
        let sees = Model {
            vision: true,
            ..model.clone()
        };
        question.model = &sees;
        let said = call(&question).unwrap();
        let body: Value = serde_json::from_slice(&said.body).unwrap();
        let image = &body["messages"][3]["content"][1]["image_url"]["url"];
        assert_eq!(image, "https://example.com/a.png");
    }
}
