//! What came back: a failure to be judged, a whole answer, or the head of a stream.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http::response::Parts;
use http::{HeaderMap, HeaderName};
use http_body::Body as _;
use http_body_util::BodyExt;
use moltbot_types::{CallError, Head, Headers, Reply, UpstreamFault};
use tokio::time::Instant;

use super::events::Events;
use super::place::Place;
use super::spec::Target;
use super::within;
use crate::connect::Received;

/// Most bytes that are read of a failure's body, and how long it is waited for.
const FAILURE_LIMIT: usize = 64 << 10;
const FAILURE_WAIT: Duration = Duration::from_secs(5);

const EVENTS: &str = "text/event-stream";

/// Headers of an answer that travel on to the caller. Nothing else does: no cookies, no policies of
/// the upstream's site, no type, length or coding, which the door tells itself.
const PASSED_ON: [HeaderName; 7] = [
    HeaderName::from_static("openai-processing-ms"),
    HeaderName::from_static("x-ratelimit-limit-requests"),
    HeaderName::from_static("x-ratelimit-limit-tokens"),
    HeaderName::from_static("x-ratelimit-remaining-requests"),
    HeaderName::from_static("x-ratelimit-remaining-tokens"),
    HeaderName::from_static("x-ratelimit-reset-requests"),
    HeaderName::from_static("x-ratelimit-reset-tokens"),
];

/// Judges an answer that is no success. The status decides; the body is used as far as it came.
pub(super) async fn refusal(
    target: &Target,
    call: &Head,
    head: Parts,
    mut body: Received,
    shown: &Headers,
) -> CallError {
    let text = as_far_as_it_comes(&mut body).await;
    let fault = target.dialect.fault(head.status, &text);
    let fault = scrub(fault, &target.place, shown);
    target.scene(call).answer(head.status, &head.headers, fault)
}

/// Judges a failure that stands in the body of an answer of status 2xx.
pub(super) fn embedded(
    target: &Target,
    call: &Head,
    error: CallError,
    shown: &Headers,
) -> CallError {
    let fault = error.fault().cloned();
    let error = match fault {
        Some(fault) => error.upstream(scrub(fault, &target.place, shown)),
        None => error,
    };
    target.scene(call).embedded(error)
}

/// Turns an answer of status 2xx into a reply; the body of a whole one shall begin until then.
pub(super) async fn success(
    target: &Arc<Target>,
    call: &Head,
    head: Parts,
    mut body: Received,
    until: Option<Instant>,
    shown: Headers,
) -> Result<Reply, CallError> {
    let scene = target.scene(call);
    let coding = head.headers.get(CONTENT_ENCODING);
    if coding.is_some_and(|coding| coding != "identity") {
        return Err(scene.bad_reply("comes in a coding that nobody offered"));
    }
    let media = media_type(&head.headers);
    let is = |kind: &str| media.eq_ignore_ascii_case(kind);
    if is("text/html") || is("application/xhtml+xml") {
        return Err(scene.bad_reply("is a web page"));
    }
    let mut reply = if !call.stream {
        if is(EVENTS) {
            return Err(scene.bad_reply("is a stream where none was asked for"));
        }
        let text = whole(target, call, &head.headers, body, until).await?;
        if text.trim_ascii_start().is_empty() {
            return Err(scene.bad_reply("is empty"));
        }
        let checked = target.dialect.check(call.operation, &text);
        let usage = checked.map_err(|error| embedded(target, call, error, &shown))?;
        let mut reply = Reply::whole(target.dialect, text);
        reply.usage = usage;
        reply
    } else if is("application/json") {
        let text = as_far_as_it_comes(&mut body).await;
        return Err(match target.dialect.check(call.operation, &text) {
            Err(error) if error.fault().is_some() => embedded(target, call, error, &shown),
            _ => scene.bad_reply("is whole where a stream was asked for"),
        });
    } else {
        // some servers name no type, or a wrong one: what is no stream then ends without an end
        let events = Events::new(Arc::clone(target), call, body, shown);
        Reply::stream(target.dialect, events)
    };
    reply.status = head.status;
    // An answer has few headers: looking each up in the list costs less than the other way round.
    for (name, value) in &head.headers {
        if PASSED_ON.contains(name) && !reply.headers.contains_key(name) {
            reply.headers.insert(name, value.clone());
        }
    }
    Ok(reply)
}

/// Reads a whole answer; one that comes in one piece is not copied.
async fn whole(
    target: &Target,
    call: &Head,
    headers: &HeaderMap,
    mut body: Received,
    mut until: Option<Instant>,
) -> Result<Bytes, CallError> {
    let scene = target.scene(call);
    let too_large = || scene.bad_reply("is larger than `server.limits.reply` allows");
    let length = headers.get(CONTENT_LENGTH).and_then(|v| v.to_str().ok());
    let length: usize = length.and_then(|v| v.parse().ok()).unwrap_or(0);
    if length > target.reply_limit {
        return Err(too_large());
    }
    let mut all = BytesMut::new();
    loop {
        let frame = within(until, body.frame()).await;
        let Some(frame) = frame.map_err(|_| match all.is_empty() {
            true => no_beginning(target, call),
            false => scene.too_slow("go on with its answer in time"),
        })?
        else {
            return Ok(all.freeze());
        };
        let Ok(piece) = frame.map_err(|error| scene.broken(error))?.into_data() else {
            continue;
        };
        until = target.idle.map(|most| Instant::now() + most);
        if all.len() + piece.len() > target.reply_limit {
            return Err(too_large());
        }
        if all.is_empty() && body.is_end_stream() {
            return Ok(piece);
        }
        if all.is_empty() {
            all.reserve(length);
        }
        all.extend_from_slice(&piece);
    }
}

/// The body of a whole answer did not begin in time.
pub(super) fn no_beginning(target: &Target, call: &Head) -> CallError {
    target.scene(call).too_slow("begin its answer in time")
}

/// Reads what comes within the limits for failures.
async fn as_far_as_it_comes(body: &mut Received) -> Bytes {
    let mut all = BytesMut::new();
    let read = async {
        while let Some(Ok(frame)) = body.frame().await {
            if let Ok(piece) = frame.into_data() {
                let room = FAILURE_LIMIT - all.len();
                all.extend_from_slice(&piece[..piece.len().min(room)]);
            }
            if all.len() == FAILURE_LIMIT {
                break;
            }
        }
    };
    // what came before the time was over is enough
    let _ = tokio::time::timeout(FAILURE_WAIT, read).await;
    all.freeze()
}

/// The media type without its parameters; empty where none is told.
fn media_type(headers: &HeaderMap) -> &str {
    let value = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok());
    let media = value.and_then(|value| value.split(';').next());
    media.unwrap_or_default().trim()
}

/// Takes the target's own address and secret out of what it says, should it repeat them.
fn scrub(mut fault: UpstreamFault, place: &Place, shown: &Headers) -> UpstreamFault {
    let clean = |text: &mut String| {
        for (_, value) in shown {
            let value = value.to_str().unwrap_or_default();
            let secret = value.rsplit(' ').next().unwrap_or_default();
            if secret.len() >= 8 && text.contains(secret) {
                *text = text.replace(secret, "[secret]");
            }
        }
        for address in [&place.authority, &place.name] {
            // a bare name such as `api` is a word of its own
            if address.contains(['.', ':']) && text.contains(address.as_str()) {
                *text = text.replace(address.as_str(), "[upstream]");
            }
        }
    };
    clean(&mut fault.message);
    let more = [&mut fault.kind, &mut fault.code, &mut fault.param];
    more.into_iter().flatten().for_each(clean);
    fault
}
