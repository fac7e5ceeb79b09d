//! Answers of the socket layer itself: JSON in the OpenAI shape, and the connection is closed.

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode, Version};
use http_body_util::Full;

/// Why a request does not reach the handler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    status: StatusCode,
    code: &'static str,
    /// Our own words, never the client's, so that it needs no escaping.
    message: String,
}

impl Refusal {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
        }
    }

    /// A request that is malformed or may be read in two ways.
    pub(super) fn bad(message: &'static str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_http", message)
    }

    pub(super) fn uri_too_long(limit: usize) -> Self {
        let message = format!("the request's URI is longer than {limit} bytes");
        Self::new(StatusCode::URI_TOO_LONG, "uri_too_long", message)
    }

    pub(super) fn head_too_large(limit: usize) -> Self {
        let message = format!("the head of the request is larger than {limit} bytes");
        Self::new(
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            "headers_too_large",
            message,
        )
    }

    pub(super) fn too_many_fields(limit: usize) -> Self {
        let message = format!("the request has more than {limit} header fields");
        Self::new(
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            "headers_too_large",
            message,
        )
    }

    /// The head did not arrive in time.
    pub(super) fn head_too_slow() -> Self {
        let message = "the head of the request did not arrive in time";
        Self::new(StatusCode::REQUEST_TIMEOUT, "request_timeout", message)
    }

    /// The handler panicked.
    pub(super) fn panicked() -> Self {
        let message = "an internal error ended this request; the log says more";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", message)
    }

    /// The answer to it. HTTP/1 connections end with it.
    pub(super) fn response(&self, version: Version) -> Response<Full<Bytes>> {
        let kind = if self.status.is_server_error() {
            "server_error"
        } else {
            "invalid_request_error"
        };
        let (message, code) = (&self.message, self.code);
        let body = format!(
            r#"{{"error":{{"message":"{message}","type":"{kind}","param":null,"code":"{code}"}}}}"#
        );
        let mut response = Response::new(Full::from(body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if version < Version::HTTP_2 {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}
