//! The script of an answer: what is sent and how it ends, made from the request and its fault alone.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use serde_json::{Value, json};

use crate::text::Asked;
use crate::{Fault, Hint, Request};

/// The answer to every `GET`.
const MODELS: &[u8] =
    br#"{"object":"list","data":[{"id":"faultd","object":"model","owned_by":"faultd"}]}"#;

/// One step of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Send(Bytes),
    /// Sends byte by byte.
    Dribble(Bytes),
    Wait(Duration),
    /// Nothing more until the caller leaves.
    Hang,
    /// Ends the connection with a reset.
    Reset,
    /// Ends the connection in good order.
    Close,
}

/// The steps of the answer to a request. Where the last one does not end the connection, it is used again.
pub(crate) fn script(
    request: &Request,
    asked: &Asked,
    source: &Source,
    fault: Option<Fault>,
) -> Vec<Step> {
    let answer = Answer {
        asked,
        source,
        fault,
        fingerprint: fingerprint(request),
    };
    match fault {
        Some(Fault::Reset) => vec![Step::Reset],
        Some(Fault::HangBeforeHeaders) => vec![Step::Hang],
        Some(Fault::Status(status)) => vec![refuse(status, "", "server_error", "server_error")],
        Some(Fault::RateLimited(hint)) => vec![rate_limited(hint)],
        Some(Fault::Unauthorized) => {
            vec![refuse(401, "", "invalid_request_error", "invalid_api_key")]
        }
        Some(Fault::ContextWindow) => {
            vec![refuse(
                400,
                "",
                "invalid_request_error",
                "context_length_exceeded",
            )]
        }
        Some(Fault::ContentPolicy) => {
            vec![refuse(
                400,
                "",
                "invalid_request_error",
                "content_policy_violation",
            )]
        }
        Some(Fault::BadType) => vec![whole(
            "200 OK",
            "text/html",
            "",
            b"<!doctype html><title>Sign in to the network</title>",
        )],
        _ if request.method() == "GET" => vec![whole("200 OK", "application/json", "", MODELS)],
        _ if wants_stream(&request.body) => answer.stream(),
        _ => answer.whole(),
    }
}

/// Who answers, and which request of his this is.
pub(crate) struct Source {
    pub(crate) name: String,
    pub(crate) number: u64,
    /// A number that depends on seed and request alone.
    pub(crate) dice: u64,
}

impl Source {
    /// Tokens that its answer tells, read and written; they differ from request to request.
    pub(crate) fn tokens(&self) -> [u64; 2] {
        [5 + self.dice % 11, 1 + self.dice / 11 % 7]
    }
}

struct Answer<'a> {
    asked: &'a Asked,
    source: &'a Source,
    fault: Option<Fault>,
    fingerprint: String,
}

impl Answer<'_> {
    fn pieces(&self) -> impl Iterator<Item = String> {
        self.asked.pieces(&self.source.name, self.source.number)
    }

    fn usage(&self) -> Value {
        match self.fault {
            Some(Fault::WrongUsage) => {
                json!({ "prompt_tokens": -5, "completion_tokens": 4_000_000_000_u64, "total_tokens": -1 })
            }
            _ => {
                let [input, output] = self.source.tokens();
                json!({ "prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output })
            }
        }
    }

    fn object(&self, kind: &str, choice: Value) -> Value {
        json!({
            "id": format!("chatcmpl-{}", self.source.number),
            "object": kind,
            "created": 1_700_000_000,
            "model": "faultd",
            "system_fingerprint": self.fingerprint,
            "choices": [choice],
        })
    }

    fn whole(&self) -> Vec<Step> {
        let text: String = self.pieces().collect();
        let message = json!({ "role": "assistant", "content": text });
        let choice = json!({ "index": 0, "message": message, "finish_reason": "stop" });
        let mut object = self.object("chat.completion", choice);
        object["usage"] = self.usage();
        let body = object.to_string();
        let head = |length| {
            head(
                "200 OK",
                "application/json",
                &format!("content-length: {length}\r\n"),
            )
        };
        let half = || Bytes::copy_from_slice(&body.as_bytes()[..body.len() / 2]);
        let pause = self.asked.pace_ms * self.asked.events;
        let (head, begin) = (
            Step::Send(head(body.len())),
            Step::Wait(Duration::from_millis(pause.into())),
        );
        match self.fault {
            Some(Fault::HangAfterHeaders) => vec![head, Step::Hang],
            Some(Fault::HangMidway) => vec![begin, head, Step::Send(half()), Step::Hang],
            Some(Fault::ResetMidway) => vec![begin, head, Step::Send(half()), Step::Reset],
            Some(Fault::EndEarly | Fault::Truncated) => {
                vec![begin, head, Step::Send(half()), Step::Close]
            }
            Some(Fault::BadJson) => {
                let bad = body.replacen("\"choices\":", "\"choices\";", 1);
                vec![
                    begin,
                    whole("200 OK", "application/json", "", bad.as_bytes()),
                ]
            }
            Some(Fault::Huge) => huge("application/json", b"{\"padding\":\"", b"\"}"),
            Some(Fault::ErrorInside) => {
                let body = error("the model crashed", "server_error", "server_error");
                vec![
                    begin,
                    whole("200 OK", "application/json", "", body.as_bytes()),
                ]
            }
            Some(Fault::Dribble) => vec![begin, head, Step::Dribble(body.into())],
            _ => vec![
                begin,
                whole("200 OK", "application/json", "", body.as_bytes()),
            ],
        }
    }

    fn stream(&self) -> Vec<Step> {
        let open = Step::Send(head(
            "200 OK",
            "text/event-stream",
            "transfer-encoding: chunked\r\n",
        ));
        let event = |delta: Value, finish: Value| {
            let choice = json!({ "index": 0, "delta": delta, "finish_reason": finish });
            self.object("chat.completion.chunk", choice)
        };
        let role =
            data(&event(json!({ "role": "assistant", "content": "" }), Value::Null).to_string());
        let mut steps = vec![open, role];
        match self.fault {
            Some(Fault::HangAfterHeaders) => {
                steps.truncate(1);
                steps.push(Step::Hang);
                return steps;
            }
            Some(Fault::Truncated) => {
                steps.push(Step::Close);
                return steps;
            }
            Some(Fault::ErrorInside) => {
                steps.truncate(1);
                steps.push(data(&error(
                    "the model crashed",
                    "server_error",
                    "server_error",
                )));
                steps.push(end_of_chunks());
                return steps;
            }
            Some(Fault::Huge) => {
                return huge("text/event-stream", b"data: {\"padding\":\"", b"\"}\n\n");
            }
            _ => {}
        }
        // At least one piece of content goes out before a late fault, and at least one is missing.
        let strike = 1 + self.source.dice % u64::from(self.asked.events.max(1));
        for (at, piece) in (0..).zip(self.pieces()) {
            if at == strike {
                match self.fault {
                    Some(Fault::HangMidway) => steps.push(Step::Hang),
                    Some(Fault::ResetMidway) => steps.push(Step::Reset),
                    Some(Fault::EndEarly) => steps.extend([end_of_chunks(), Step::Close]),
                    Some(Fault::BadEvent) => steps.push(data("{\"choices\":[{\"delta\":")),
                    _ => {}
                }
            }
            if self.asked.pace_ms > 0 {
                steps.push(Step::Wait(Duration::from_millis(self.asked.pace_ms.into())));
            }
            let content = event(json!({ "content": piece }), Value::Null).to_string();
            steps.push(match self.fault {
                Some(Fault::BadJson) => data(&content.replacen("\"choices\":", "\"choices\";", 1)),
                _ => data(&content),
            });
        }
        let mut last = event(json!({}), json!("stop"));
        last["usage"] = self.usage();
        steps.extend([data(&last.to_string()), data("[DONE]"), end_of_chunks()]);
        if self.fault == Some(Fault::Dribble) {
            for step in &mut steps {
                if let Step::Send(bytes) = step {
                    *step = Step::Dribble(bytes.clone());
                }
            }
        }
        steps
    }
}

/// Where the request came and what it said of `max_tokens`: it comes back with the answer, so that a caller sees which configuration it went through.
fn fingerprint(request: &Request) -> String {
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    format!("{} {}", request.path(), body["max_tokens"])
}

fn wants_stream(body: &[u8]) -> bool {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    body["stream"] == true
}

fn rate_limited(hint: Hint) -> Step {
    let (hint, code) = match hint {
        Hint::Seconds => ("retry-after: 1\r\n".to_owned(), "rate_limit_exceeded"),
        Hint::Millis => ("retry-after-ms: 200\r\n".to_owned(), "rate_limit_exceeded"),
        Hint::Date => {
            let now = SystemTime::now();
            let (now, then) = (
                httpdate::fmt_http_date(now),
                httpdate::fmt_http_date(now + Duration::from_secs(1)),
            );
            (
                format!("date: {now}\r\nretry-after: {then}\r\n"),
                "rate_limit_exceeded",
            )
        }
        Hint::None => (String::new(), "rate_limit_exceeded"),
        Hint::Garbage => (
            format!("retry-after: {}\r\n", "9".repeat(40)),
            "rate_limit_exceeded",
        ),
        Hint::Money => (String::new(), "insufficient_quota"),
    };
    let kind = match code {
        "insufficient_quota" => code,
        _ => "requests",
    };
    refuse(429, &hint, kind, code)
}

fn refuse(status: u16, headers: &str, kind: &str, code: &str) -> Step {
    let body = error("this upstream fails as it is told", kind, code);
    whole(
        &format!("{status} Fault"),
        "application/json",
        headers,
        body.as_bytes(),
    )
}

fn error(message: &str, kind: &str, code: &str) -> String {
    json!({ "error": { "message": message, "type": kind, "code": code, "param": null } })
        .to_string()
}

/// A good head with 20 MiB of padding between `open` and `close`.
fn huge(kind: &str, open: &'static [u8], close: &'static [u8]) -> Vec<Step> {
    let piece = Bytes::from(vec![b'x'; 1 << 20]);
    let length = open.len() + close.len() + 20 * piece.len();
    let mut steps = vec![
        Step::Send(head(
            "200 OK",
            kind,
            &format!("content-length: {length}\r\n"),
        )),
        Step::Send(Bytes::from_static(open)),
    ];
    steps.extend(std::iter::repeat_n(Step::Send(piece), 20));
    steps.push(Step::Send(Bytes::from_static(close)));
    steps
}

fn head(status: &str, kind: &str, headers: &str) -> Bytes {
    format!("HTTP/1.1 {status}\r\ncontent-type: {kind}\r\n{headers}\r\n").into()
}

fn whole(status: &str, kind: &str, headers: &str, body: &[u8]) -> Step {
    let length = format!("{headers}content-length: {}\r\n", body.len());
    let mut bytes = head(status, kind, &length).to_vec();
    bytes.extend_from_slice(body);
    Step::Send(bytes.into())
}

/// One event, in one chunk.
fn data(json: &str) -> Step {
    let event = format!("data: {json}\n\n");
    Step::Send(format!("{:x}\r\n{event}\r\n", event.len()).into())
}

fn end_of_chunks() -> Step {
    Step::Send(Bytes::from_static(b"0\r\n\r\n"))
}
