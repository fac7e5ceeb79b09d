//! Why a call failed, and what may be done about it.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use http::{HeaderMap, StatusCode};

/// What kind of failure it was: the caller's status and the metric's word follow from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// The request can't be understood, or a value in it is refused: 400.
    BadRequest,
    /// No key, or none that is known: 401.
    Unauthorized,
    /// Known, but not allowed to: 403.
    Forbidden,
    /// No such path or thing: 404.
    NotFound,
    /// No model of that name for this caller, or no target knows it: 404.
    ModelNotFound,
    /// The path is there, the method is not: 405.
    MethodNotAllowed,
    /// The request did not arrive in time: 408.
    RequestTimeout,
    /// The request is too large: 413.
    TooLarge,
    /// A content type or coding that is not taken: 415.
    Unsupported,
    /// Header fields too large: 431.
    HeaderTooLarge,
    /// The prompt does not fit the model: 400.
    ContextWindow,
    /// A provider's content policy refused: 400.
    ContentPolicy,
    /// A filter of ours refused: 400.
    ContentFilter,
    /// The caller's fault in the upstream's words; its status is passed on.
    Upstream,
    /// A limit of the upstream or of ours: 429.
    RateLimited,
    /// We are too busy: 503.
    Overloaded,
    /// The target can't be reached, or answered with a failure: 503 when nothing is left.
    Unavailable,
    /// The target took too long: 504.
    Timeout,
    /// The upstream refused our credential: 502.
    UpstreamAuth,
    /// The credential's account has no money left: 502.
    UpstreamMoney,
    /// The answer is broken: 502 before content, else a cut.
    BadReply,
    /// The answer ended early.
    Cut,
    /// The caller went away.
    Cancelled,
    /// The daemon is stopping: 503.
    ShuttingDown,
    /// A fault of ours: 500.
    Internal,
}

/// What may be done after a failure. Whoever saw the failure decides; retry and failover obey.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Tell the caller.
    Never,
    /// Here at once, once: nothing was processed, or the token was renewed.
    Again,
    /// Elsewhere, and not with this credential again in this call.
    Elsewhere,
    /// Elsewhere first; here, with backoff, when alone.
    Anywhere,
    /// This target rests that long; elsewhere now.
    After(Duration),
}

/// What an upstream said of its failure, already free of addresses and secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamFault {
    /// Its status, as told in the line or, within a stream, by the error's type.
    pub status: StatusCode,
    /// Its words.
    pub message: String,
    /// Its `type`.
    pub kind: Option<String>,
    /// Its `code`.
    pub code: Option<String>,
    /// Its `param`.
    pub param: Option<String>,
}

/// A failed call: one pointer in size, so that `Result`s stay small.
pub struct CallError(Box<Inner>);

struct Inner {
    kind: Kind,
    retry: Retry,
    message: String,
    code: Option<&'static str>,
    param: Option<String>,
    retry_after: Option<Duration>,
    discouraged: bool,
    headers: HeaderMap,
    upstream: Option<UpstreamFault>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl CallError {
    /// A failure of `kind` that says `Never`; `message` may be shown to the caller.
    ///
    /// ```
    /// use moltbot_types::{CallError, Kind, Retry};
    /// let error = CallError::new(Kind::Timeout, "no first token within 30 s").retry(Retry::Anywhere);
    /// assert_eq!(error.status(), 504);
    /// assert_eq!(error.to_string(), "no first token within 30 s");
    /// ```
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            retry: Retry::Never,
            message: message.into(),
            code: None,
            param: None,
            retry_after: None,
            discouraged: false,
            headers: HeaderMap::new(),
            upstream: None,
            source: None,
        }))
    }

    /// Sets what may be done about it.
    pub fn retry(mut self, retry: Retry) -> Self {
        self.0.retry = retry;
        self
    }

    /// Sets the machine-readable code that the caller sees in place of the kind's own.
    pub fn code(mut self, code: &'static str) -> Self {
        self.0.code = Some(code);
        self
    }

    /// Names the field of the request that is at fault.
    pub fn param(mut self, param: impl Into<String>) -> Self {
        self.0.param = Some(param.into());
        self
    }

    /// Sets when the caller may try again.
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.0.retry_after = Some(wait);
        self
    }

    /// Asks the caller's client not to repeat on its own: many calls fail now, and more would not help.
    pub fn discourage(mut self) -> Self {
        self.0.discouraged = true;
        self
    }

    /// Whether the caller's client is asked not to repeat on its own.
    pub fn is_discouraged(&self) -> bool {
        self.0.discouraged
    }

    /// Adds headers that the caller sees with the failure, over those of the same names.
    pub fn headers(mut self, headers: HeaderMap) -> Self {
        self.0.headers.extend(headers);
        self
    }

    /// Headers that the caller sees with the failure.
    pub fn told(&self) -> &HeaderMap {
        &self.0.headers
    }

    /// Forgets how long the upstream asked to be left alone; that it failed stays.
    pub fn without_hint(mut self) -> Self {
        self.0.retry_after = None;
        if let Retry::After(_) = self.0.retry {
            self.0.retry = Retry::Anywhere;
        }
        self
    }

    /// Keeps what the upstream said.
    pub fn upstream(mut self, fault: UpstreamFault) -> Self {
        self.0.upstream = Some(fault);
        self
    }

    /// Keeps the cause, for the log alone.
    pub fn because(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// The kind.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// What may be done about it.
    pub fn decision(&self) -> Retry {
        self.0.retry
    }

    /// The words for the caller.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// When the caller may try again, if that is known.
    pub fn wait(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// The field at fault, if one is.
    pub fn field(&self) -> Option<&str> {
        self.0.param.as_deref()
    }

    /// What the upstream said, if it is the upstream's failure.
    pub fn fault(&self) -> Option<&UpstreamFault> {
        self.0.upstream.as_ref()
    }

    /// The machine-readable word for the failure: a stable, small set.
    pub fn word(&self) -> &'static str {
        self.0.code.unwrap_or(match self.0.kind {
            Kind::BadRequest | Kind::Upstream => "invalid_request",
            Kind::Unauthorized => "invalid_api_key",
            Kind::Forbidden => "forbidden",
            Kind::NotFound => "not_found",
            Kind::ModelNotFound => "model_not_found",
            Kind::MethodNotAllowed => "method_not_allowed",
            Kind::RequestTimeout => "request_timeout",
            Kind::TooLarge => "request_too_large",
            Kind::Unsupported => "unsupported_media_type",
            Kind::HeaderTooLarge => "header_too_large",
            Kind::ContextWindow => "context_length_exceeded",
            Kind::ContentPolicy => "content_policy_violation",
            Kind::ContentFilter => "content_filter",
            Kind::RateLimited => "rate_limit_exceeded",
            Kind::Overloaded => "overloaded",
            Kind::Unavailable => "upstream_unavailable",
            Kind::Timeout => "timeout",
            Kind::UpstreamAuth => "upstream_auth",
            Kind::UpstreamMoney => "upstream_quota",
            Kind::BadReply => "bad_upstream_answer",
            Kind::Cut => "stream_cut",
            Kind::Cancelled => "cancelled",
            Kind::ShuttingDown => "server_shutting_down",
            Kind::Internal => "internal_error",
        })
    }

    /// The HTTP status that the caller sees.
    pub fn status(&self) -> StatusCode {
        match self.0.kind {
            Kind::BadRequest => StatusCode::BAD_REQUEST,
            Kind::Unauthorized => StatusCode::UNAUTHORIZED,
            Kind::Forbidden => StatusCode::FORBIDDEN,
            Kind::NotFound | Kind::ModelNotFound => StatusCode::NOT_FOUND,
            Kind::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Kind::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
            Kind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Kind::Unsupported => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Kind::HeaderTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Kind::ContextWindow | Kind::ContentPolicy | Kind::ContentFilter | Kind::Upstream => {
                self.0
                    .upstream
                    .as_ref()
                    .map_or(StatusCode::BAD_REQUEST, |fault| fault.status)
            }
            Kind::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            Kind::Overloaded | Kind::Unavailable | Kind::ShuttingDown => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Kind::Timeout => StatusCode::GATEWAY_TIMEOUT,
            Kind::UpstreamAuth | Kind::UpstreamMoney | Kind::BadReply | Kind::Cut => {
                StatusCode::BAD_GATEWAY
            }
            Kind::Cancelled => StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST),
            Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The message and its causes, joined by `: `, for the log.
    pub fn chain(&self) -> String {
        let mut text = self.0.message.clone();
        let mut cause = self.source();
        while let Some(next) = cause {
            text.push_str(": ");
            text.push_str(&next.to_string());
            cause = next.source();
        }
        text
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallError")
            .field("kind", &self.0.kind)
            .field("retry", &self.0.retry)
            .field("message", &self.0.message)
            .field("upstream", &self.0.upstream)
            .field("source", &self.0.source)
            .finish()
    }
}

impl Error for CallError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}
