//! Scripted targets and a path over them, so that tests read like facts.

mod house;
mod target;

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use moltbot_types::call::CallParts;
use moltbot_types::{
    Attempt, Call, CallError, Caller, Dialect, Head, Operation, Outcome, Remembered, Reply,
    RequestId, Step,
};
use moltbot_wire::OPENAI;
use tokio::time::Instant;

pub(crate) use house::{House, path};
pub(crate) use target::{
    Piece, Target, content, end, error_frame, failure, ping, role, target, wait,
};

/// The model that is asked for.
pub(crate) const MODEL: &str = "m";

/// A call for [`MODEL`].
pub(crate) fn call(stream: bool) -> Call {
    let dialect: &'static dyn Dialect = &OPENAI;
    Call::new(CallParts {
        id: RequestId::new(),
        caller: Caller::anonymous(),
        head: Head {
            operation: Operation::Chat,
            model: MODEL.into(),
            model_at: None,
            stream,
            tools: false,
            user: None,
            max_tokens: None,
            limited: false,
            store: false,
            size: 0,
        },
        body: Bytes::new(),
        dialect,
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

/// What a caller heard in the end.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Told {
    text: String,
    from: Option<String>,
    pub(crate) error: Option<(u16, &'static str)>,
    attempts: usize,
}

pub(crate) fn answer(text: &str) -> Told {
    Told {
        text: text.to_owned(),
        attempts: 1,
        ..Told::default()
    }
}

pub(crate) fn refusal(status: u16, word: &'static str) -> Told {
    Told {
        error: Some((status, word)),
        attempts: 1,
        ..Told::default()
    }
}

impl Told {
    pub(crate) fn from(mut self, target: &str) -> Self {
        self.from = Some(target.to_owned());
        self
    }

    pub(crate) fn after(mut self, attempts: usize) -> Self {
        self.attempts = attempts;
        self
    }

    pub(crate) fn then_cut(mut self, status: u16, word: &'static str) -> Self {
        self.error = Some((status, word));
        self
    }
}

/// One step around one target.
pub(crate) async fn through(
    step: impl Step,
    target: &Target,
    call: Call,
) -> Result<Reply, CallError> {
    step.run(call, target).await
}

/// How attempts ended, in words.
pub(crate) fn outcomes(attempts: &[Attempt]) -> Vec<(&str, Outcome)> {
    attempts
        .iter()
        .map(|attempt| (attempt.target.as_str(), attempt.outcome))
        .collect()
}
