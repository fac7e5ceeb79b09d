//! What a failure means: the one place that turns a status or an I/O error into a [`CallError`].
//!
//! The status decides, the words of the body refine it, and the [`Retry`] says what may be done:
//!
//! | the upstream | kind | retry |
//! |---|---|---|
//! | 400, 405, 413, 415, 422, other 4xx | `Upstream`, `ContextWindow`, `ContentPolicy` | `Never` |
//! | 401, 403 | `UpstreamAuth` | `Elsewhere` |
//! | 402; 403 and 429 that mean money | `UpstreamMoney` | `Elsewhere` |
//! | 404, 410 | `ModelNotFound` | `Elsewhere` |
//! | 429 | `RateLimited` | `After` its hint, else a second |
//! | 503, 529, 498 | `Unavailable` | `After` its hint, else `Anywhere` |
//! | 408, 504, 522, 524 | `Timeout` | `Anywhere` |
//! | 407, 409, 421, 424, 425, 499, other 5xx | `Unavailable` | `Anywhere` |
//! | 3xx, and what is no answer at all | `BadReply` | `Anywhere` |
//!
//! Once a call was sent whose repeat is not the same call ([`Scene::repeatable`]), an unknown outcome
//! is `Never`.

mod hint;
mod words;

use std::error::Error;
use std::time::{Duration, SystemTime};

use http::{HeaderMap, StatusCode};
use moltbot_types::{CallError, Head, Kind, ModelName, Operation, Retry, UpstreamFault};

/// The rest of a target that gave no hint; whoever keeps health makes it grow.
const NO_HINT: Duration = Duration::from_secs(1);
/// Hints are taken up to here.
const LONGEST_REST: Duration = Duration::from_secs(300);
/// A stated return of money is believed up to here.
const LONGEST_DEBT: Duration = Duration::from_secs(24 * 60 * 60);

/// Where a failure was seen.
#[derive(Clone, Copy, Debug)]
pub struct Scene<'a> {
    /// The model, for the words that the caller may read.
    pub model: &'a ModelName,
    /// Host and port, for the log.
    pub place: &'a str,
    /// Whether the call may be sent a second time though the first may have been carried out.
    pub repeatable: bool,
}

/// Whether a call may be sent a second time though the first may have been carried out: a generation
/// or an embedding of which the upstream keeps nothing.
pub fn repeatable(head: &Head) -> bool {
    let pure = matches!(
        head.operation,
        Operation::Chat | Operation::Complete | Operation::Embed
    );
    pure && !head.store
}

/// A cause with its place, for the log.
#[derive(Debug, thiserror::Error)]
#[error("{place}")]
struct At {
    place: String,
    source: Box<dyn Error + Send + Sync>,
}

/// What an upstream said, for the log.
#[derive(Debug, thiserror::Error)]
#[error("{place} answered {status}: {words}")]
struct Said {
    place: String,
    status: u16,
    words: String,
}

impl Scene<'_> {
    fn error(
        &self,
        kind: Kind,
        message: impl Into<String>,
        cause: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> CallError {
        CallError::new(kind, message).because(At {
            place: self.place.to_owned(),
            source: cause.into(),
        })
    }

    /// What may be done when the call may have been carried out.
    fn unknown_outcome(&self) -> Retry {
        match self.repeatable {
            true => Retry::Anywhere,
            false => Retry::Never,
        }
    }

    /// Nothing was sent: no name, no connection, no TLS.
    pub fn unreachable(&self, cause: impl Into<Box<dyn Error + Send + Sync>>) -> CallError {
        let message = format!("model `{}` can't be reached", self.model);
        self.error(Kind::Unavailable, message, cause)
            .retry(Retry::Anywhere)
    }

    /// The upstream said that it did not begin; the call may go to it again at once.
    pub fn unprocessed(&self, cause: impl Into<Box<dyn Error + Send + Sync>>) -> CallError {
        let message = format!(
            "the upstream of model `{}` turned the call away",
            self.model
        );
        self.error(Kind::Unavailable, message, cause)
            .retry(Retry::Again)
    }

    /// The call was sent, and the connection broke before the answer was whole.
    pub fn broken(&self, cause: impl Into<Box<dyn Error + Send + Sync>>) -> CallError {
        let message = format!(
            "the upstream of model `{}` broke off before it had answered",
            self.model
        );
        self.error(Kind::Unavailable, message, cause)
            .retry(self.unknown_outcome())
    }

    /// The call was sent, and time ran out; `what` completes "model `x` did not …".
    pub fn too_slow(&self, what: &str) -> CallError {
        let message = format!("model `{}` did not {what}", self.model);
        CallError::new(Kind::Timeout, message)
            .because(format!("at {}", self.place))
            .retry(self.unknown_outcome())
    }

    /// An answer came that is none; `why` completes "the answer of model `x` …".
    pub fn bad_reply(&self, why: &str) -> CallError {
        let message = format!("the answer of model `{}` {why}", self.model);
        CallError::new(Kind::BadReply, message)
            .because(format!("at {}", self.place))
            .retry(self.unknown_outcome())
    }

    /// A failure that was found in the answer's body: judged by the status that it tells, else as it is.
    pub fn embedded(&self, error: CallError) -> CallError {
        if let Some(fault) = error.fault() {
            return self.answer(fault.status, &HeaderMap::new(), fault.clone());
        }
        let retry = match error.decision() {
            Retry::Never => self.unknown_outcome(),
            _ if !self.repeatable => Retry::Never,
            told => told,
        };
        let message = format!("model `{}`: {}", self.model, error.message());
        self.error(error.kind(), message, error).retry(retry)
    }

    /// An answer of a status that is no success. `fault` is what its body says.
    pub fn answer(
        &self,
        status: StatusCode,
        headers: &HeaderMap,
        fault: UpstreamFault,
    ) -> CallError {
        let model = self.model;
        let hint = |most| hint::wait(headers, most, SystemTime::now());
        let failed = || {
            format!(
                "the upstream of model `{model}` answered {}",
                status.as_u16()
            )
        };
        let code = status.as_u16();
        let (kind, message, retry) = match code {
            402 | 403 | 429 if code == 402 || words::mean_money(&fault) => {
                let message = format!("the account behind model `{model}` has no money left");
                (Kind::UpstreamMoney, message, Retry::Elsewhere)
            }
            400 | 403 | 413 | 422 if words::mean_content_policy(&fault) => {
                (Kind::ContentPolicy, fault.message.clone(), Retry::Never)
            }
            400 | 413 | 422 if words::mean_context_window(&fault) => {
                (Kind::ContextWindow, fault.message.clone(), Retry::Never)
            }
            401 | 403 => {
                let message = format!("the upstream of model `{model}` refused its credential");
                (Kind::UpstreamAuth, message, Retry::Elsewhere)
            }
            404 | 410 => {
                let message = format!("the upstream does not know model `{model}`");
                (Kind::ModelNotFound, message, Retry::Elsewhere)
            }
            429 => {
                let message = format!("the upstream of model `{model}` limits the rate of calls");
                let rest = hint(LONGEST_REST).unwrap_or(NO_HINT);
                (Kind::RateLimited, message, Retry::After(rest))
            }
            498 | 503 | 529 => {
                let retry = hint(LONGEST_REST).map_or(Retry::Anywhere, Retry::After);
                (Kind::Unavailable, failed(), retry)
            }
            421 => (Kind::Unavailable, failed(), Retry::Anywhere),
            408 | 504 | 522 | 524 => (Kind::Timeout, failed(), self.unknown_outcome()),
            407 | 409 | 424 | 425 | 499 | 500.. => {
                (Kind::Unavailable, failed(), self.unknown_outcome())
            }
            400..500 => (Kind::Upstream, fault.message.clone(), Retry::Never),
            _ => (Kind::BadReply, failed(), self.unknown_outcome()),
        };
        let said = Said {
            place: self.place.to_owned(),
            status: code,
            words: fault.message.chars().take(256).collect(),
        };
        let mut error = CallError::new(kind, message)
            .retry(overridden(kind, retry, headers))
            .upstream(fault)
            .because(said);
        let wait = match kind {
            Kind::UpstreamMoney => hint(LONGEST_DEBT),
            Kind::RateLimited | Kind::Unavailable => hint(LONGEST_REST),
            _ => None,
        };
        if let Some(wait) = wait {
            error = error.retry_after(wait);
        }
        error
    }
}

/// `x-should-retry` knows better than the status: `false` forbids this target, `true` allows a repeat.
fn overridden(kind: Kind, retry: Retry, headers: &HeaderMap) -> Retry {
    let told = headers
        .get("x-should-retry")
        .map(|value| value.as_bytes().to_ascii_lowercase());
    match (told.as_deref(), retry) {
        (Some(b"false"), Retry::Anywhere | Retry::After(_)) => Retry::Elsewhere,
        (Some(b"true"), Retry::Never) => Retry::Anywhere,
        (Some(b"true"), Retry::Elsewhere) if kind == Kind::ModelNotFound => Retry::Anywhere,
        _ => retry,
    }
}

#[cfg(test)]
mod tests;
