//! Headers that are refused, those that are read, and those that travel on.

use std::time::Duration;

use http::header::{CACHE_CONTROL, CONTENT_TYPE, HOST};
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use moltbot_types::{CallError, Dialect, Kind, Occasion, Remembered, Skills};

/// Headers of a caller that travel on to targets of the same dialect.
fn list(dialect: &dyn Dialect) -> &'static [HeaderName] {
    static OPENAI: [HeaderName; 3] = [
        HeaderName::from_static("openai-beta"),
        HeaderName::from_static("openai-organization"),
        HeaderName::from_static("openai-project"),
    ];
    match dialect.name() {
        "openai" => &OPENAI,
        _ => &[],
    }
}

/// The headers of a caller that travel on.
pub(super) fn forwarded(dialect: &dyn Dialect, headers: &HeaderMap) -> HeaderMap {
    let mut chosen = HeaderMap::new();
    for name in list(dialect) {
        for value in headers.get_all(name) {
            chosen.append(name, value.clone());
        }
    }
    chosen
}

/// HTTP/2 tells the host as `:authority`, beside the headers: from here on it stands among them too.
pub(super) fn tell_host<B>(request: &mut Request<B>) {
    let authority = request.uri().authority();
    if let Some(host) = authority.and_then(|it| HeaderValue::from_str(it.as_str()).ok()) {
        request.headers_mut().append(HOST, host);
    }
}

/// Refuses bodies that are said to be something else than JSON.
pub(super) fn check(headers: &HeaderMap) -> Result<(), CallError> {
    if let Some(kind) = headers.get(CONTENT_TYPE) {
        let kind = kind.as_bytes();
        let is_json = kind
            .get(..16)
            .is_some_and(|start| start.eq_ignore_ascii_case(b"application/json"))
            || kind
                .windows(5)
                .any(|part| part.eq_ignore_ascii_case(b"+json"));
        if !is_json {
            return Err(CallError::new(
                Kind::Unsupported,
                format!(
                    "content-type {} is not taken: send application/json",
                    String::from_utf8_lossy(kind)
                ),
            ));
        }
    }
    Ok(())
}

/// What skills may do for a call of the API: nothing, unless its caller allows it.
pub(super) fn skills(headers: &HeaderMap) -> Skills {
    match headers.get("x-moltbot-skills") {
        Some(said) if said.as_bytes().eq_ignore_ascii_case(b"allow") => {
            Skills::allow(Occasion::default())
        }
        _ => Skills::Off,
    }
}

/// What the caller asks of remembered answers: its `Cache-Control`.
pub(super) fn remembered(headers: &HeaderMap) -> Remembered {
    let mut wish = Remembered::default();
    let lines = headers.get_all(CACHE_CONTROL).iter();
    let words = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','));
    for word in words.map(|word| word.trim().to_ascii_lowercase()) {
        match word.split_once('=') {
            None if word == "no-store" => wish.never = true,
            None if word == "no-cache" => wish.anew = true,
            Some(("max-age", age)) => {
                let age = age.trim_matches('"').parse().unwrap_or_default();
                wish.max_age = Some(Duration::from_secs(age));
            }
            _ => {}
        }
    }
    wish
}
