//! A model server that is no bottleneck: OpenAI's shapes, prepared answers, no delay but the pace it is asked for.
//!
//! A streamed request that holds `"pace_ms":N` gets a chunk each N milliseconds, any other its chunks at once.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use clap::Parser;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Request, Response, StatusCode};
use memchr::memmem;
use moltbot_benches::{on_one_thread, serve};
use tokio::time::{Sleep, sleep};

/// A fake model server with prepared answers, the upstream of `load`.
#[derive(Parser)]
struct Args {
    /// Port to listen on; 0 picks a free one
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Size of a whole answer, in bytes (at least 300)
    #[arg(long, default_value_t = 400)]
    answer_bytes: usize,
    /// Content chunks of a streamed answer; the finish and `[DONE]` follow
    #[arg(long, default_value_t = 50)]
    chunks: u32,
}

fn main() -> io::Result<()> {
    let args = Args::parse();
    let answers = Arc::new(Answers::new(args.answer_bytes, args.chunks));
    on_one_thread(serve(args.port, move |request| {
        let answers = answers.clone();
        async move { answers.to(request).await }
    }))
}

/// Every answer there is, made once.
struct Answers {
    chat: Bytes,
    embedding: Bytes,
    chunk: Bytes,
    chunks: u32,
    end: Bytes,
}

impl Answers {
    fn new(answer_bytes: usize, chunks: u32) -> Self {
        let chat = |text: &str| {
            format!(
                r#"{{"id":"chatcmpl-1","object":"chat.completion","created":1700000000,"model":"fake","choices":[{{"index":0,"message":{{"role":"assistant","content":"{text}"}},"logprobs":null,"finish_reason":"stop"}}],"usage":{{"prompt_tokens":50,"completion_tokens":20,"total_tokens":70}}}}"#
            )
        };
        let event = |delta: &str, rest: &str| {
            format!(
                r#"data: {{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"fake","choices":[{{"index":0,"delta":{delta},"finish_reason":{rest}}}"#
            ) + "\n\n"
        };
        let text = "word ".repeat(answer_bytes.saturating_sub(chat("").len()) / 5);
        let numbers = vec!["0.0125"; 256].join(",");
        Self {
            chat: chat(&text).into(),
            embedding: format!(
                r#"{{"object":"list","data":[{{"object":"embedding","index":0,"embedding":[{numbers}]}}],"model":"fake","usage":{{"prompt_tokens":50,"total_tokens":50}}}}"#
            )
            .into(),
            chunk: event(r#"{"content":"word "}"#, "null}]").into(),
            chunks,
            end: format!(
                "{}data: [DONE]\n\n",
                event("{}", r#""stop"}],"usage":{"prompt_tokens":50,"completion_tokens":50,"total_tokens":100}"#)
            )
            .into(),
        }
    }

    /// The answer to `request`, whose body is read to its end first.
    async fn to(&self, request: Request<Incoming>) -> Result<Response<Answer>, hyper::Error> {
        let (head, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let whole = |body: &Bytes| Answer::Whole(Some(body.clone()));
        let path = head.uri.path();
        let (kind, answer) = if path == "/health" {
            ("application/json", whole(&Bytes::from_static(b"{}")))
        } else if path.ends_with("/embeddings") {
            ("application/json", whole(&self.embedding))
        } else if !path.ends_with("/chat/completions") {
            let mut missing = Response::new(whole(&Bytes::from_static(
                br#"{"error":{"message":"no such path"}}"#,
            )));
            *missing.status_mut() = StatusCode::NOT_FOUND;
            return Ok(missing);
        } else if has(&body, b"\"stream\":true") {
            ("text/event-stream", self.stream(&body))
        } else {
            ("application/json", whole(&self.chat))
        };
        let mut response = Response::new(answer);
        response
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        Ok(response)
    }

    fn stream(&self, body: &[u8]) -> Answer {
        let pace = memmem::find(body, b"\"pace_ms\":").and_then(|at| {
            let digits = &body[at + 10..];
            let end = digits.iter().position(|b| !b.is_ascii_digit())?;
            std::str::from_utf8(&digits[..end]).ok()?.parse().ok()
        });
        Answer::Stream {
            chunk: self.chunk.clone(),
            left: self.chunks,
            end: Some(self.end.clone()),
            pace: pace.map(|ms| {
                let pace = Duration::from_millis(ms);
                (pace, Box::pin(sleep(pace)))
            }),
        }
    }
}

/// Whether `needle` stands near the start or the end of `body`, where the settings of a request stand: a long prompt is not searched.
fn has(body: &[u8], needle: &[u8]) -> bool {
    const NEAR: usize = 512;
    let start = &body[..body.len().min(NEAR)];
    let end = &body[body.len().saturating_sub(NEAR)..];
    memmem::find(start, needle).is_some() || memmem::find(end, needle).is_some()
}

/// The body of an answer: known in length, or a chunk a frame.
enum Answer {
    Whole(Option<Bytes>),
    Stream {
        chunk: Bytes,
        left: u32,
        end: Option<Bytes>,
        pace: Option<(Duration, Pin<Box<Sleep>>)>,
    },
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let data = match self.get_mut() {
            Self::Whole(body) => body.take(),
            Self::Stream { left: 0, end, .. } => end.take(),
            Self::Stream {
                chunk, left, pace, ..
            } => {
                if let Some((pace, timer)) = pace {
                    ready!(timer.as_mut().poll(cx));
                    let next = timer.deadline() + *pace;
                    timer.as_mut().reset(next);
                }
                *left -= 1;
                Some(chunk.clone())
            }
        };
        Poll::Ready(data.map(|data| Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(body) => {
                SizeHint::with_exact(body.as_ref().map_or(0, |body| body.len() as u64))
            }
            Self::Stream { .. } => SizeHint::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::Instant;

    #[test]
    fn a_whole_answer_is_json_of_the_size_that_was_asked_for() {
        let answers = Answers::new(400, 1);
        assert!(
            (395..=400).contains(&answers.chat.len()),
            "{}",
            answers.chat.len()
        );
        for answer in [answers.chat, answers.embedding] {
            serde_json::from_slice::<serde_json::Value>(&answer).expect("a JSON answer");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_paced_stream_takes_its_time_and_every_event_is_json() {
        let start = Instant::now();
        let stream = Answers::new(400, 50).stream(br#"{"stream":true,"pace_ms":5}"#);
        let body = stream.collect().await.expect("a body").to_bytes();
        assert_eq!(start.elapsed(), Duration::from_millis(250));

        let body = std::str::from_utf8(&body).expect("text");
        let events: Vec<_> = body
            .split_terminator("\n\n")
            .map(|event| event.strip_prefix("data: "))
            .collect();
        assert_eq!(events.len(), 52);
        assert_eq!(events[51], Some("[DONE]"));
        for event in &events[..51] {
            serde_json::from_str::<serde_json::Value>(event.expect("data")).expect("a JSON event");
        }
    }

    #[test]
    fn only_the_ends_of_a_prompt_are_searched() {
        let far = [b' '; 600];
        let with = |start: &[u8], end: &[u8]| [start, &far, b"\"stream\":true", &far, end].concat();
        assert!(!has(&with(b"{", b"}"), b"\"stream\":true"));
        assert!(has(&with(b"{", b",\"stream\":true}"), b"\"stream\":true"));
        assert!(has(&with(b"{\"stream\":true", b"}"), b"\"stream\":true"));
    }
}
