//! Errors: what an upstream says of its failure, what that means, and how ours are written.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use moltbot_types::{CallError, Kind, Retry, UpstreamFault};
use serde_json::{Value, json};

use crate::words::{plain, sanitise};

/// How long a target rests after a refusal for its limits that says no time.
const REST: Duration = Duration::from_secs(1);

/// Most bytes of an error's body that are looked at.
const LOOK: usize = 64 * 1024;

/// Reads the body of an answer that failed with `status`.
pub(super) fn fault(status: StatusCode, body: &[u8]) -> UpstreamFault {
    let body = &body[..body.len().min(LOOK)];
    match serde_json::from_slice::<Value>(body) {
        Ok(value) => read(status, &value),
        Err(_) => UpstreamFault {
            message: plain(body).unwrap_or_else(|| status_words(status)),
            ..bare(status)
        },
    }
}

/// Reads an error that stands within an answer of status 200: its status is what its words mean.
pub(super) fn embedded(error: &[u8]) -> UpstreamFault {
    let value = serde_json::from_slice(error).unwrap_or(Value::Null);
    let guess = meaning(&value).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    read(guess, &value)
}

/// The JSON forms in use: `{"error": {…}}`, `{"error": "…"}`, `{"message": …}`, `{"detail": …}`, a list of one.
fn read(status: StatusCode, value: &Value) -> UpstreamFault {
    let error = inner(value);
    let text = |name: &str| match error.get(name)? {
        Value::String(text) if !text.is_empty() => Some(sanitise(text)),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let message = match error {
        Value::String(text) => Some(sanitise(text)),
        _ => text("message")
            .or_else(|| text("detail"))
            .or_else(|| text("msg"))
            .or_else(|| {
                error
                    .get("detail")
                    .map(|detail| sanitise(&detail.to_string()))
            }),
    };
    UpstreamFault {
        message: message
            .filter(|text| !text.is_empty())
            .unwrap_or_else(|| status_words(status)),
        kind: text("type"),
        code: text("code"),
        param: text("param"),
        status,
    }
}

fn inner(value: &Value) -> &Value {
    let value = value.get(0).unwrap_or(value);
    match value.get("error") {
        Some(error @ (Value::Object(_) | Value::String(_))) => error,
        _ => value,
    }
}

fn bare(status: StatusCode) -> UpstreamFault {
    UpstreamFault {
        status,
        message: String::new(),
        kind: None,
        code: None,
        param: None,
    }
}

fn status_words(status: StatusCode) -> String {
    let reason = status.canonical_reason().unwrap_or("an unknown status");
    format!("the upstream answered {} {reason}", status.as_u16())
}

/// The status that an error means, by its own number, else by its words.
fn meaning(value: &Value) -> Option<StatusCode> {
    let error = inner(value);
    let number = ["status", "code", "status_code", "http_status"]
        .iter()
        .filter_map(|name| match error.get(name)? {
            Value::Number(number) => number.as_u64(),
            Value::String(text) => text.parse().ok(),
            _ => None,
        })
        .find(|number| (400..600).contains(number));
    if let Some(number) = number {
        return StatusCode::from_u16(number as u16).ok();
    }
    let words = ["code", "type", "status"]
        .iter()
        .filter_map(|name| error.get(name)?.as_str())
        .chain(error.as_str());
    for word in words {
        let word = word.to_ascii_lowercase();
        let has = |parts: &[&str]| parts.iter().any(|part| word.contains(part));
        let status = if has(&["rate_limit", "ratelimit", "too_many", "quota", "throttl"]) {
            StatusCode::TOO_MANY_REQUESTS
        } else if has(&[
            "authentication",
            "api_key",
            "unauthorized",
            "unauthenticated",
        ]) {
            StatusCode::UNAUTHORIZED
        } else if has(&["billing", "payment", "insufficient_balance", "credit"]) {
            StatusCode::PAYMENT_REQUIRED
        } else if has(&["permission", "forbidden", "access_denied"]) {
            StatusCode::FORBIDDEN
        } else if has(&["not_found", "notfound"]) {
            StatusCode::NOT_FOUND
        } else if has(&["overload", "unavailable", "capacity"]) {
            StatusCode::SERVICE_UNAVAILABLE
        } else if has(&["timeout", "timed_out"]) {
            StatusCode::GATEWAY_TIMEOUT
        } else if has(&["server_error", "internal", "api_error"]) {
            StatusCode::INTERNAL_SERVER_ERROR
        } else if has(&["invalid", "badrequest", "bad_request", "context", "content"]) {
            StatusCode::BAD_REQUEST
        } else {
            continue;
        };
        return Some(status);
    }
    None
}

/// Turns what an upstream said into the failure of the attempt, as far as status and words tell.
///
/// The headers' hints (`Retry-After`) are for whoever holds them to add.
pub(super) fn classify(fault: UpstreamFault) -> CallError {
    let (kind, retry) = decide(&fault);
    let message = match kind {
        Kind::UpstreamAuth => "the upstream refused the gateway's credential".to_owned(),
        Kind::UpstreamMoney => "the upstream account has no quota left".to_owned(),
        _ => fault.message.clone(),
    };
    CallError::new(kind, message).retry(retry).upstream(fault)
}

fn decide(fault: &UpstreamFault) -> (Kind, Retry) {
    let word = |words: &[&str]| {
        [&fault.code, &fault.kind]
            .into_iter()
            .flatten()
            .any(|own| words.contains(&own.to_ascii_lowercase().as_str()))
    };
    let status = fault.status.as_u16();
    if status == 402
        || (matches!(status, 403 | 429)
            && word(&[
                "insufficient_quota",
                "billing_hard_limit_reached",
                "billing_not_active",
                "credit_balance_exhausted",
                "insufficient_balance",
                "enforced_spend_limit_reached",
                "quota_exceeded",
            ]))
    {
        return (Kind::UpstreamMoney, Retry::Elsewhere);
    }
    if matches!(status, 400 | 413 | 422) {
        if word(&[
            "context_length_exceeded",
            "exceed_context_size_error",
            "context_window_exceeded",
            "string_above_max_length",
        ]) || speaks_of_context(&fault.message)
        {
            return (Kind::ContextWindow, Retry::Never);
        }
        if word(&[
            "content_policy_violation",
            "content_filter",
            "responsibleaipolicyviolation",
            "moderation_blocked",
            "data_inspection_failed",
        ]) {
            return (Kind::ContentPolicy, Retry::Never);
        }
    }
    match status {
        401 | 403 => (Kind::UpstreamAuth, Retry::Elsewhere),
        404 => (Kind::ModelNotFound, Retry::Elsewhere),
        408 | 409 | 425 => (Kind::Unavailable, Retry::Anywhere),
        429 => (Kind::RateLimited, Retry::After(REST)),
        400..500 => (Kind::Upstream, Retry::Never),
        _ => (Kind::Unavailable, Retry::Anywhere),
    }
}

/// Servers without a code of their own say it in words.
fn speaks_of_context(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    [
        "maximum context length",
        "context window",
        "context size",
        "context_length",
        "longer than the maximum model length",
        "prompt is too long",
    ]
    .iter()
    .any(|words| message.contains(words))
}

/// Writes an error as a whole answer.
pub(super) fn whole(error: &CallError) -> Bytes {
    object(error).to_string().into()
}

/// Writes an error as an event.
pub(super) fn event(error: &CallError) -> Bytes {
    format!("data: {}\n\n", object(error)).into()
}

fn object(error: &CallError) -> Value {
    // What is passed on to the caller keeps the upstream's own words.
    let fault = error.fault().filter(|_| {
        matches!(
            error.kind(),
            Kind::Upstream | Kind::ContextWindow | Kind::ContentPolicy
        )
    });
    let own =
        |field: fn(&UpstreamFault) -> &Option<String>| fault.and_then(|it| field(it).as_deref());
    json!({"error": {
        "message": fault.map_or(error.message(), |it| &it.message),
        "type": own(|it| &it.kind).unwrap_or(kind_word(error.kind())),
        "param": own(|it| &it.param).or(error.field()),
        // A bare number repeats the status; our word says more.
        "code": own(|it| &it.code)
            .filter(|code| code.parse::<u16>().is_err())
            .unwrap_or(error.word()),
    }})
}

/// The `type` that goes with a kind.
fn kind_word(kind: Kind) -> &'static str {
    match kind {
        Kind::Unauthorized => "authentication_error",
        Kind::Forbidden => "permission_error",
        Kind::RateLimited => "rate_limit_error",
        Kind::UpstreamMoney | Kind::UpstreamAuth => "upstream_error",
        Kind::Overloaded
        | Kind::Unavailable
        | Kind::Timeout
        | Kind::BadReply
        | Kind::Cut
        | Kind::Cancelled
        | Kind::ShuttingDown
        | Kind::Internal => "server_error",
        _ => "invalid_request_error",
    }
}

#[cfg(test)]
mod tests;
