//! `POST /v1/feedback`: what someone thought of an answer.

use jiff::{SignedDuration, Timestamp};
use moltbot_types::{CallError, Kind, RequestId, Role, Workspace};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::runtime::Runtime;

/// How long an answer may be judged.
const KNOWN: SignedDuration = SignedDuration::from_hours(24);

/// The body.
#[derive(Deserialize)]
struct Judgement<'a> {
    request_id: String,
    metric: Option<String>,
    #[serde(borrow)]
    value: Option<&'a RawValue>,
}

/// Takes a judgement; it is on the disk when this returns.
///
/// # Errors
/// 400 for a body that is none, 404 for a request that this workspace does not know, 503 where it can't be kept.
pub(super) async fn take(
    rt: &Runtime,
    workspace: &Workspace,
    role: Role,
    body: &[u8],
) -> Result<(), CallError> {
    if role < Role::User {
        let words = "this key reads: it may judge no answer";
        return Err(CallError::new(Kind::Forbidden, words));
    }
    let judged: Judgement<'_> = serde_json::from_slice(body).map_err(|error| {
        let form = r#"{"request_id": "req_…", "metric": "feedback", "value": 0.5}"#;
        wrong(format!("the body is no feedback ({error}): send {form}"))
    })?;
    let value = judged
        .value
        .and_then(|value| value.get().parse::<f64>().ok());
    let value = value
        .filter(|value| (0.0..=1.0).contains(value))
        .ok_or_else(|| wrong("`value` is a number from 0 to 1".to_owned()).param("value"))?;
    let request: RequestId = judged.request_id.parse().map_err(|_| unknown())?;
    let row = rt
        .store
        .ledger
        .find(workspace, request)
        .await
        .map_err(kept)?;
    row.filter(|row| row.at + KNOWN > Timestamp::now())
        .ok_or_else(unknown)?;
    let metric = judged.metric.as_deref().unwrap_or("feedback");
    for test in rt.tests.list(workspace) {
        let taken = test.feedback(request, metric, value);
        let taken = taken.map_err(|error| match error {
            moltbot_abtest::Error::Invalid(words) => wrong(words).param("metric"),
            other => kept(other),
        })?;
        if taken {
            rt.store.experiments.settle().await.map_err(kept)?;
            break;
        }
    }
    Ok(())
}

fn wrong(words: String) -> CallError {
    CallError::new(Kind::BadRequest, words)
}

fn unknown() -> CallError {
    let words = "no call of this workspace had that `request_id` within a day";
    CallError::new(Kind::NotFound, words).param("request_id")
}

fn kept(error: impl std::fmt::Display) -> CallError {
    tracing::warn!(%error, "feedback is not kept");
    CallError::new(
        Kind::Unavailable,
        "the feedback could not be kept; send it again",
    )
}
