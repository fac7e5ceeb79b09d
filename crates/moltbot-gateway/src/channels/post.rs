//! `/channels/{workspace}/{channel}`: where platforms post.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use moltbot_types::reply::Holds;
use moltbot_types::{CallError, Kind};
use serde_json::json;

use super::Channels;
use crate::http::{ReplyBody, whole_body};

/// An event that has not arrived within this time is refused; nothing is verified before it is whole.
const ARRIVES_WITHIN: Duration = Duration::from_secs(10);

impl Channels {
    /// Answers a request below `/channels/`; `rest` is the path after it.
    pub(crate) async fn answer_post(
        &self,
        request: Request<Incoming>,
        rest: &str,
    ) -> Response<ReplyBody> {
        let driver = match rest.split_once('/') {
            Some((workspace, channel)) => self.driver(workspace, channel),
            None => None,
        };
        let Some(driver) = driver.filter(|driver| driver.channel().takes_posts()) else {
            return refused(StatusCode::NOT_FOUND, "there is no such channel");
        };
        if request.method() != Method::POST {
            let mut response = refused(StatusCode::METHOD_NOT_ALLOWED, "a channel takes POST");
            let post = HeaderValue::from_static("POST");
            response.headers_mut().insert(ALLOW, post);
            return response;
        }
        let limit = self.live.snapshot().config.server.limits.event;
        match event(request, limit).await {
            Ok(request) => driver.post(&request).await.map(whole),
            Err(error) => refused(error.status(), error.message()),
        }
    }
}

/// Reads a request whole, within the bounds of an event.
pub(super) async fn event(
    request: Request<Incoming>,
    limit: u64,
) -> Result<Request<Bytes>, CallError> {
    let (parts, body) = request.into_parts();
    let reading = whole_body(body, &parts.headers, limit);
    let body = tokio::time::timeout(ARRIVES_WITHIN, reading).await;
    let late = || CallError::new(Kind::RequestTimeout, "the event did not arrive in time");
    let body = body.unwrap_or_else(|_| Err(late()))?;
    Ok(Request::from_parts(parts, body))
}

/// A body that is there.
pub(super) fn whole(body: Bytes) -> ReplyBody {
    ReplyBody::whole(body, Holds::default())
}

/// A refusal, in words.
pub(super) fn refused(status: StatusCode, reason: &str) -> Response<ReplyBody> {
    let body = json!({ "error": { "message": reason } }).to_string();
    let mut response = Response::new(whole(body.into()));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}
