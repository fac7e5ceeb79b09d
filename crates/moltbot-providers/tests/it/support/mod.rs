//! What every test needs: an upstream that does as it is told, a target at it, a call.

mod upstream;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt;
use http::{HeaderMap, HeaderValue, header};
use moltbot_providers::{Client, ClientSettings, Http, TargetSpec};
use moltbot_types::call::CallParts;
use moltbot_types::{
    Body, Call, CallError, Caller, Credential, Dialect, Frames, Headers, Operation, Remembered,
    Reply, RequestId,
};
use moltbot_wire::OPENAI;
use tokio::time::Instant;

pub(crate) use upstream::{Act, Upstream, json, sse};

/// A good whole answer.
pub(crate) const HELLO: &str = r#"{"id":"1","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"hello"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":1,"total_tokens":4}}"#;

/// A key that is sent as it is.
pub(crate) struct Key {
    renews: AtomicBool,
}

impl Key {
    pub(crate) const SECRET: &str = "sk-very-secret";

    /// A key that stays the same.
    pub(crate) fn fixed() -> Arc<Self> {
        Arc::new(Self {
            renews: AtomicBool::new(false),
        })
    }

    /// A key that is new after its first refusal.
    pub(crate) fn renewed_once() -> Arc<Self> {
        Arc::new(Self {
            renews: AtomicBool::new(true),
        })
    }
}

#[async_trait]
impl Credential for Key {
    fn id(&self) -> &str {
        "key"
    }

    fn ready(&self) -> Option<Headers> {
        None
    }

    async fn fetch(&self) -> Result<Headers, CallError> {
        let value = HeaderValue::from_str(&format!("Bearer {}", Self::SECRET)).unwrap();
        Ok([(header::AUTHORIZATION, value)].into_iter().collect())
    }

    async fn refused(&self, shown: &Headers) -> bool {
        assert_eq!(shown.len(), 1);
        self.renews.swap(false, Ordering::Relaxed)
    }
}

/// What a target at `url` is set up with; the provider calls the model `gpt-upstream`.
pub(crate) fn spec(url: impl Into<String>) -> TargetSpec {
    let mut spec = TargetSpec::new("primary", url, &OPENAI, Key::fixed());
    spec.upstream_model = "gpt-upstream".to_owned();
    spec
}

/// A target with a pool of its own.
pub(crate) fn target(spec: TargetSpec) -> Http {
    let client = Client::new(ClientSettings::default()).unwrap();
    Http::new(spec, client).unwrap()
}

/// A chat call whose body has `more` fields after the messages.
pub(crate) fn call_with(more: &str) -> Call {
    let body = format!(
        r#"{{"model": "primary", "messages": [{{"role": "user", "content": "hi there"}}]{more}}}"#
    );
    call_of(Operation::Chat, body)
}

/// A chat call.
pub(crate) fn call() -> Call {
    call_with("")
}

/// A chat call for a stream.
pub(crate) fn stream_call() -> Call {
    call_with(r#", "stream": true"#)
}

/// Any call.
pub(crate) fn call_of(operation: Operation, body: String) -> Call {
    let body = Bytes::from(body);
    Call::new(CallParts {
        id: RequestId::new(),
        caller: Caller::anonymous(),
        head: OPENAI.peek(operation, &body).unwrap(),
        body,
        dialect: &OPENAI,
        headers: HeaderMap::new(),
        query: None,
        filtered: false,
        remembered: Remembered::default(),
        begun: Instant::now(),
        deadline: None,
        skills: moltbot_types::Skills::Off,
        trail: Arc::default(),
    })
}

/// The body of a whole reply.
pub(crate) fn text(reply: Reply) -> String {
    let (_, _, body, mut holds) = reply.into_parts();
    holds.end(&moltbot_types::Ending::Complete);
    match body {
        Body::Whole(text) => String::from_utf8(text.to_vec()).unwrap(),
        Body::Stream(_) => panic!("a stream"),
    }
}

/// All frames of a streamed reply, and the error that ended it.
pub(crate) async fn frames(reply: Reply) -> (Vec<Frames>, Option<CallError>) {
    let (_, _, body, _holds) = reply.into_parts();
    let Body::Stream(mut stream) = body else {
        panic!("a whole body");
    };
    let mut all = Vec::new();
    while let Some(item) = stream.next().await {
        match item {
            Ok(frames) => all.push(frames),
            Err(error) => {
                assert!(stream.next().await.is_none(), "an error is the end");
                return (all, Some(error));
            }
        }
    }
    (all, None)
}

/// The bytes of frames, joined.
pub(crate) fn joined(frames: &[Frames]) -> String {
    let bytes: Vec<u8> = frames.iter().flat_map(|f| f.raw().to_vec()).collect();
    String::from_utf8(bytes).unwrap()
}
