//! One call, and what became of it.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::{HeaderMap, Request, Response};
use moltbot_faultd::{Verdict, check};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

use crate::client::{Client, PATIENCE};
use crate::lab::Failure;

/// What is asked.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) nonce: String,
    pub(crate) model: String,
    pub(crate) stream: bool,
    pub(crate) events: u32,
    pub(crate) pace_ms: u32,
}

/// What became of a call.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) outcome: Outcome,
    /// 0 without an answer.
    pub(crate) status: u16,
    /// When it was to be sent.
    pub(crate) due: Instant,
    /// From then to its last byte.
    pub(crate) latency: Duration,
    /// From then until it was really sent: the lag of the generator.
    pub(crate) lag: Duration,
    /// As the gateway tells; 1 where it does not.
    pub(crate) attempts: u32,
    /// The model and the target that answered, as the gateway tells.
    pub(crate) model: String,
    pub(crate) target: String,
    /// The path and the `max_tokens` that the upstream saw.
    pub(crate) fingerprint: String,
}

/// How it ended for the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The right answer, whole.
    Complete,
    /// An error status with an error that says so; its code.
    Refused(String),
    /// A stream that was cut, with an error event.
    Cut,
    /// No answer, or cut without a word.
    Lost(String),
    /// Not the answer to this call.
    Wrong(String),
    /// It looks complete and is not.
    Silent(String),
}

/// What was read of an answer.
#[derive(Default)]
struct Read {
    text: String,
    fingerprint: String,
    finished: bool,
    done: bool,
    error: bool,
    malformed: bool,
}

impl Ask {
    fn request(&self, client: &Client) -> Result<Request<Full<Bytes>>, Failure> {
        let Self {
            nonce,
            events,
            pace_ms,
            ..
        } = self;
        let content = format!("nonce:{nonce} events:{events} pace_ms:{pace_ms}");
        let mut body =
            json!({ "model": self.model, "messages": [{ "role": "user", "content": content }] });
        if self.stream {
            body["stream"] = true.into();
        }
        let request = Request::post("/v1/chat/completions")
            .header("host", client.address().to_string())
            .header("content-type", "application/json");
        Ok(request.body(Full::new(body.to_string().into()))?)
    }

    /// Makes the call that was due at `due`.
    pub(crate) async fn make(self, client: &Client, due: Instant) -> Answer {
        let mut answer = Answer {
            outcome: Outcome::Lost(format!("no answer within {PATIENCE:?}")),
            status: 0,
            due,
            latency: Duration::ZERO,
            lag: due.elapsed(),
            attempts: 1,
            model: String::new(),
            target: String::new(),
            fingerprint: String::new(),
        };
        // A stream that is paced may take its own time beyond our patience.
        let paced = Duration::from_millis(u64::from(self.events) * u64::from(self.pace_ms));
        match timeout(PATIENCE + paced, self.exchange(client, &mut answer)).await {
            Ok(Ok(outcome)) => answer.outcome = outcome,
            Ok(Err(error)) => answer.outcome = Outcome::Lost(format!("no answer: {error}")),
            Err(_) => {}
        }
        answer.latency = due.elapsed();
        answer
    }

    async fn exchange(&self, client: &Client, answer: &mut Answer) -> Result<Outcome, Failure> {
        let (response, connection) = client.send(self.request(client)?).await?;
        answer.note(&response);
        let status = response.status();
        let (body, whole) = read(response.into_body()).await;
        if whole.is_ok() {
            client.keep(connection);
        }
        if !status.is_success() {
            return Ok(refused(&body, whole));
        }
        let read = match self.stream {
            true => Read::stream(&body),
            false => match (&whole, Read::whole(&body)) {
                (Err(error), _) => return Ok(Outcome::Lost(format!("cut: {error}"))),
                (Ok(()), Some(read)) => read,
                (Ok(()), None) => {
                    return Ok(Outcome::Wrong("200 without a chat completion".to_owned()));
                }
            },
        };
        answer.fingerprint.clone_from(&read.fingerprint);
        Ok(read.judge(&self.nonce, whole))
    }
}

impl Answer {
    fn note(&mut self, response: &Response<Incoming>) {
        let header = |name| text(response.headers(), name);
        self.status = response.status().as_u16();
        self.attempts = header("x-moltbot-attempts").parse().unwrap_or(1);
        self.model = header("x-moltbot-model");
        self.target = header("x-moltbot-target");
    }
}

fn text(headers: &HeaderMap, name: &str) -> String {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.unwrap_or_default().to_owned()
}

/// What came of a body, and whether it came to its end.
async fn read(mut body: Incoming) -> (Vec<u8>, Result<(), String>) {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => bytes.extend_from_slice(frame.data_ref().unwrap_or(&Bytes::new())),
            Err(error) => return (bytes, Err(error.to_string())),
        }
    }
    (bytes, Ok(()))
}

fn refused(body: &[u8], whole: Result<(), String>) -> Outcome {
    let error: Value = serde_json::from_slice(body).unwrap_or_default();
    match (whole, error["error"]["message"].as_str()) {
        (Err(error), _) => Outcome::Lost(format!("an error was cut: {error}")),
        (Ok(()), None) => Outcome::Wrong("an error status without an error".to_owned()),
        (Ok(()), Some(_)) => {
            let code = error["error"]["code"].as_str().unwrap_or_default();
            Outcome::Refused(code.to_owned())
        }
    }
}

impl Read {
    fn whole(body: &[u8]) -> Option<Self> {
        let body: Value = serde_json::from_slice(body).ok()?;
        let choice = &body["choices"][0];
        Some(Self {
            text: choice["message"]["content"].as_str()?.to_owned(),
            fingerprint: body["system_fingerprint"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
            finished: choice["finish_reason"] == "stop",
            done: true,
            ..Self::default()
        })
    }

    fn stream(body: &[u8]) -> Self {
        let mut read = Self::default();
        let body = String::from_utf8_lossy(body);
        let events = body.lines().filter_map(|line| line.strip_prefix("data: "));
        for event in events {
            if event == "[DONE]" {
                read.done = true;
                continue;
            }
            let Ok(event) = serde_json::from_str::<Value>(event) else {
                read.malformed = true;
                continue;
            };
            read.error |= event.get("error").is_some();
            let choice = &event["choices"][0];
            read.text
                .push_str(choice["delta"]["content"].as_str().unwrap_or_default());
            read.finished |= choice["finish_reason"].is_string();
            if let Some(fingerprint) = event["system_fingerprint"].as_str() {
                fingerprint.clone_into(&mut read.fingerprint);
            }
        }
        read
    }

    fn judge(&self, nonce: &str, whole: Result<(), String>) -> Outcome {
        let verdict = check(&self.text, nonce);
        if verdict == Verdict::Foreign {
            return Outcome::Wrong(format!("{nonce} was told `{}`", self.text));
        }
        if self.error {
            return match self.done || self.finished {
                true => Outcome::Silent("an error and a terminal marker".to_owned()),
                false => Outcome::Cut,
            };
        }
        if let Err(error) = whole {
            return Outcome::Lost(format!("cut without an error event: {error}"));
        }
        if self.malformed {
            return Outcome::Wrong("a malformed event".to_owned());
        }
        match (verdict, self.finished && self.done) {
            (Verdict::Whole, true) => Outcome::Complete,
            (Verdict::Whole, false) => Outcome::Silent("no terminal marker".to_owned()),
            (_, true) => Outcome::Silent("terminal markers after a part of the answer".to_owned()),
            (_, false) => {
                Outcome::Silent("ended in good order after a part of the answer".to_owned())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(events: &str, whole: Result<(), String>) -> Outcome {
        Read::stream(events.as_bytes()).judge("n1", whole)
    }

    fn content(text: &str) -> String {
        format!(
            "data: {{\"choices\":[{{\"delta\":{{\"content\":\"{text}\"}},\"finish_reason\":null}}]}}\n\n"
        )
    }

    const STOP: &str = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
    const DONE: &str = "data: [DONE]\n\n";
    const ERROR: &str = "data: {\"error\":{\"message\":\"cut\"}}\n\n";

    #[test]
    fn a_stream_is_what_its_caller_can_know_of_it() {
        let (part, end) = (content("n1@a#0:0 "), content("1end"));
        let good = format!("{part}{end}{STOP}{DONE}");
        assert_eq!(judged(&good, Ok(())), Outcome::Complete);
        assert_eq!(judged(&format!("{part}{ERROR}"), Ok(())), Outcome::Cut);
        assert_eq!(
            judged(&format!("{part}{ERROR}"), Err("reset".into())),
            Outcome::Cut
        );
        for silent in [
            part.clone(),
            format!("{part}{STOP}{DONE}"),
            format!("{part}{end}{STOP}"),
            format!("{part}{ERROR}{DONE}"),
        ] {
            assert!(
                matches!(judged(&silent, Ok(())), Outcome::Silent(_)),
                "{silent}"
            );
        }
        assert!(matches!(
            judged(&part, Err("reset".into())),
            Outcome::Lost(_)
        ));
        let foreign = format!("{}{STOP}{DONE}", content("n2@a#0:0 1end"));
        assert!(matches!(judged(&foreign, Ok(())), Outcome::Wrong(_)));
    }
}
