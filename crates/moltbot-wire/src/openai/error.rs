//! Errors: what an upstream says of its failure, and how ours are written.

use bytes::Bytes;
use http::StatusCode;
use moltbot_types::{CallError, Kind, Retry, UpstreamFault};
use serde_json::{Value, json};

use crate::words::{plain, sanitise};

/// Most bytes of an error's body that are looked at.
const LOOK: usize = 64 * 1024;

/// Reads the body of an answer that failed with `status`.
pub(super) fn fault(status: StatusCode, body: &[u8]) -> UpstreamFault {
    let body = &body[..body.len().min(LOOK)];
    let value = serde_json::from_slice(body).ok();
    match value.or_else(|| mended(body)) {
        Some(value) => read(status, &value),
        None => UpstreamFault {
            message: plain(body).unwrap_or_else(|| status_words(status)),
            ..bare(status)
        },
    }
}

/// A JSON text that broke off, read as far as it came: what is open is closed.
fn mended(body: &[u8]) -> Option<Value> {
    let text = String::from_utf8_lossy(body);
    let text = text.trim_end_matches('\u{fffd}');
    let mut open = Vec::new();
    // The last place where a member or element could end, and what was open there.
    let mut whole = (0, Vec::new());
    let (mut string, mut escaped) = (false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if string => escaped = true,
            b'"' => string = !string,
            _ if string => {}
            b'{' | b'[' => {
                open.push(if byte == b'{' { '}' } else { ']' });
                whole = (at + 1, open.clone());
            }
            b'}' | b']' => {
                open.pop();
            }
            b',' => whole = (at, open.clone()),
            _ => {}
        }
    }
    let closed = |text: &str, end: &str, open: &[char]| {
        let text: String = text
            .chars()
            .chain(end.chars())
            .chain(open.iter().rev().copied())
            .collect();
        serde_json::from_str(&text).ok()
    };
    let end = if string { "\"" } else { "" };
    closed(text, end, &open).or_else(|| closed(&text[..whole.0], "", &whole.1))
}

/// Reads an error that stands within an answer of status 200: its status is what its words mean.
///
/// What may be done about it is decided by whoever knows the scene, from the fault that it carries.
pub(super) fn embedded(error: &[u8]) -> CallError {
    let value = serde_json::from_slice(error).unwrap_or(Value::Null);
    let status = meaning(&value).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let fault = read(status, &value);
    CallError::new(Kind::Unavailable, fault.message.clone())
        .retry(Retry::Anywhere)
        .upstream(fault)
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
