//! Headers that are refused, and those that travel on.

use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderName};
use moltbot_types::{CallError, Dialect, Kind};

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

/// Refuses bodies that are said to be something else than JSON, and codings that are not taken.
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
    match headers.get(CONTENT_ENCODING) {
        None => Ok(()),
        Some(coding) if coding.as_bytes().eq_ignore_ascii_case(b"identity") => Ok(()),
        Some(coding) => Err(CallError::new(
            Kind::Unsupported,
            format!(
                "content-encoding {} is not taken: send the body as it is",
                String::from_utf8_lossy(coding.as_bytes())
            ),
        )),
    }
}
