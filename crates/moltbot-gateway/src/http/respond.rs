//! Answers on the wire: status, the `x-moltbot-*` headers, and errors in the caller's dialect.

use std::fmt::{self, Write};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{ALLOW, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use http_body::Body as _;
use moltbot_types::reply::Holds;
use moltbot_types::{Body, CallError, Dialect, Kind, Reply, RequestId, Tried};
use tokio_util::sync::CancellationToken;

use super::ReplyBody;
use crate::record::Recording;
use crate::server::HangUp;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const MODEL: HeaderName = HeaderName::from_static("x-moltbot-model");
const TARGET: HeaderName = HeaderName::from_static("x-moltbot-target");
const ATTEMPTS: HeaderName = HeaderName::from_static("x-moltbot-attempts");
const CACHE: HeaderName = HeaderName::from_static("x-moltbot-cache");
const EXPERIMENT: HeaderName = HeaderName::from_static("x-moltbot-experiment");
const OVERHEAD: HeaderName = HeaderName::from_static("x-moltbot-overhead-us");
const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A reply of the path. The recording is kept until its last byte.
pub(super) fn reply(
    mut reply: Reply,
    mut recording: Recording,
    stopping: &CancellationToken,
) -> Response<ReplyBody> {
    let dialect = reply.dialect;
    let status = reply.status;
    let overhead = recording.answered(status.as_u16());
    let (id, prompt_bytes) = (recording.id(), recording.prompt_bytes());
    if let (None, Body::Whole(bytes)) = (reply.usage, &reply.body) {
        reply.usage = Some(recording.estimate(bytes.len()));
    }
    let mut own = HeaderMap::with_capacity(12);
    recording.tried(|tried| describe(&mut own, id, tried, overhead));
    compared(&mut own, &recording);
    reply.hold(recording);
    let (_, upstream, body, holds) = reply.into_parts();
    let mut hang_up = None;
    let body = match body {
        Body::Whole(bytes) => {
            own.insert(CONTENT_TYPE, JSON);
            ReplyBody::whole(bytes, holds)
        }
        Body::Stream(frames) => {
            own.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
            own.insert(
                http::header::CACHE_CONTROL,
                HeaderValue::from_static("no-cache"),
            );
            // A proxy before us that buffers would turn a stream into a wait.
            own.insert(
                HeaderName::from_static("x-accel-buffering"),
                HeaderValue::from_static("no"),
            );
            let hang_up = hang_up.insert(HangUp::default()).clone();
            ReplyBody::stream(frames, holds, dialect, prompt_bytes, stopping, hang_up)
        }
    };
    for (name, value) in &upstream {
        if !own.contains_key(name) {
            own.append(name, value.clone());
        }
    }
    let mut response = response(status, own, body);
    if let Some(hang_up) = hang_up {
        response.extensions_mut().insert(hang_up);
    }
    response
}

/// A JSON answer of our own.
pub(super) fn json(
    status: http::StatusCode,
    body: Bytes,
    mut recording: Recording,
) -> Response<ReplyBody> {
    let overhead = recording.answered(status.as_u16());
    let mut headers = HeaderMap::with_capacity(8);
    headers.insert(CONTENT_TYPE, JSON);
    let id = recording.id();
    recording.tried(|tried| describe(&mut headers, id, tried, overhead));
    response(status, headers, whole(body, recording))
}

/// An answer that another protocol wrote.
pub(super) fn plain(answer: Response<Bytes>, mut recording: Recording) -> Response<ReplyBody> {
    let (parts, body) = answer.into_parts();
    let overhead = recording.answered(parts.status.as_u16());
    let mut headers = parts.headers;
    let id = recording.id();
    recording.tried(|tried| describe(&mut headers, id, tried, overhead));
    headers.remove(CONTENT_LENGTH);
    response(parts.status, headers, whole(body, recording))
}

/// An error in the caller's dialect.
pub(super) fn error(
    dialect: &dyn Dialect,
    error: &CallError,
    mut recording: Recording,
    allow: Option<&http::Method>,
) -> Response<ReplyBody> {
    let status = error.status();
    let overhead = recording.failed(error);
    let mut headers = HeaderMap::with_capacity(10);
    headers.insert(CONTENT_TYPE, JSON);
    let id = recording.id();
    compared(&mut headers, &recording);
    let mut repeated = false;
    recording.tried(|tried| {
        describe(&mut headers, id, tried, overhead);
        repeated = tried.attempts.len() > 1;
    });
    if let Some(method) = allow
        && let Ok(value) = HeaderValue::from_str(method.as_str())
    {
        headers.insert(ALLOW, value);
    }
    for (name, value) in error.told() {
        headers.insert(name, value.clone());
    }
    if let Some(wait) = error.wait() {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds.max(1)));
    }
    // The official SDKs repeat on their own. That would multiply what was repeated here, and a credential that was
    // refused stays refused.
    let refused = matches!(error.kind(), Kind::UpstreamAuth | Kind::UpstreamMoney);
    if repeated || refused || error.is_discouraged() {
        headers.insert(SHOULD_RETRY, HeaderValue::from_static("false"));
    }
    let body = dialect.error(error);
    response(status, headers, whole(body, recording))
}

/// The same answer to `HEAD`.
pub(super) fn without_body(response: Response<ReplyBody>) -> Response<ReplyBody> {
    let (mut parts, body) = response.into_parts();
    if let Some(length) = body.size_hint().exact() {
        parts.headers.insert(CONTENT_LENGTH, length.into());
    }
    Response::from_parts(parts, ReplyBody::empty())
}

fn whole(body: Bytes, recording: Recording) -> ReplyBody {
    let mut holds = Holds::default();
    holds.hold(recording);
    ReplyBody::whole(body, holds)
}

fn response(status: http::StatusCode, headers: HeaderMap, body: ReplyBody) -> Response<ReplyBody> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// Who answered, after how many attempts, and how much of the time was ours.
fn describe(headers: &mut HeaderMap, id: RequestId, tried: &Tried, overhead: Duration) {
    let mut values = Values(BytesMut::with_capacity(128));
    let served = tried.served.as_ref();
    let mut id_text = [0; 36];
    let told = [
        (REQUEST_ID, Some(id.encode(&mut id_text))),
        (MODEL, served.map(|served| served.model.as_str())),
        (TARGET, served.map(|served| served.target.as_str())),
    ];
    for (name, text) in told {
        // Names are free text; those that no header can bear are left out.
        if let Some(value) = text.and_then(|text| values.text(text)) {
            headers.insert(name, value);
        }
    }
    let attempts = match tried.attempts.len() {
        1 => Some(HeaderValue::from_static("1")),
        attempts => values.number(attempts),
    };
    let overhead = values.number(overhead.as_micros());
    for (name, value) in [(ATTEMPTS, attempts), (OVERHEAD, overhead)] {
        headers.extend(value.map(|value| (name, value)));
    }
    headers.insert(CACHE, HeaderValue::from_static(tried.cache.word()));
}

/// Header values out of one buffer, which all of them share.
struct Values(BytesMut);

impl Values {
    fn text(&mut self, text: &str) -> Option<HeaderValue> {
        self.0.extend_from_slice(text.as_bytes());
        self.cut()
    }

    fn number(&mut self, number: impl fmt::Display) -> Option<HeaderValue> {
        // Writing to a buffer that grows does not fail.
        let _ = write!(self.0, "{number}");
        self.cut()
    }

    fn cut(&mut self) -> Option<HeaderValue> {
        HeaderValue::from_maybe_shared(self.0.split().freeze()).ok()
    }
}

/// Which comparison the call took part in.
fn compared(headers: &mut HeaderMap, recording: &Recording) {
    // A test's name is letters, digits, dots, dashes and underscores.
    if let Some(value) = recording
        .experiment()
        .and_then(|name| HeaderValue::from_str(name).ok())
    {
        headers.insert(EXPERIMENT, value);
    }
}
