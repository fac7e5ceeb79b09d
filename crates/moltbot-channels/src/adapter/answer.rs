//! What a platform's API answered, read within a bound.

use std::time::Duration;

use http::header::RETRY_AFTER;
use http::{HeaderName, StatusCode};
use serde_json::Value;

use crate::client::unanswered;
use crate::send::SendError;

/// Most bytes of an answer; a poll of a hundred long messages has less.
const LIMIT: usize = 8 * 1024 * 1024;

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// How long the platform wants to be left alone.
    pub(super) after: Option<Duration>,
    /// The body; nothing where it is no JSON.
    pub(super) body: Option<Value>,
}

/// Sends a request and reads the answer. `reset` is a header in which the platform says how many seconds it wants to
/// be left alone, beside `Retry-After`.
pub(super) async fn ask(
    request: reqwest::RequestBuilder,
    reset: Option<HeaderName>,
) -> Result<Answer, SendError> {
    let mut response = request.send().await.map_err(unanswered)?;
    let status = response.status();
    let seconds = |name: &HeaderName| {
        let value = response.headers().get(name)?.to_str().ok()?;
        value.trim().parse().ok().map(Duration::from_secs)
    };
    let after = seconds(&RETRY_AFTER).or_else(|| reset.as_ref().and_then(seconds));
    let mut bytes = Vec::new();
    // The platform has done its part: that the answer is lost says nothing of it.
    let lost = |error: reqwest::Error| SendError::Unknown(error.without_url().to_string());
    while let Some(part) = response.chunk().await.map_err(lost)? {
        if bytes.len() + part.len() > LIMIT {
            return Err(SendError::Unknown("the answer is too long".to_owned()));
        }
        bytes.extend_from_slice(&part);
    }
    Ok(Answer {
        status,
        after,
        body: serde_json::from_slice(&bytes).ok(),
    })
}

/// A text of a JSON object; empty where there is none.
pub(super) fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap_or_default()
}
