//! The end of a target's path: a call leaves over HTTP, its answer is judged and comes back as a reply.

mod answer;
mod events;
mod place;
mod sent;
mod spec;

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use http::Response;
use hyper::body::Incoming;
use moltbot_types::{Call, CallError, Headers, Kind, Next, Pieces, Reply, Retry};
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout_at};

use crate::classify::repeatable;
use crate::connect::{Client, Failure, Host, Received, Stamp};
use crate::error::SetupError;
pub use place::list_of_models;
pub(crate) use sent::Sent;
use spec::Target;
pub use spec::TargetSpec;

/// A pooled connection that its peer had closed shows it within this time of being used again; one
/// that breaks later was working on the call.
const STALE_WITHIN: Duration = Duration::from_secs(1);

/// One target, reached over HTTP. It sends a call once, without repeats of its own but for a pooled
/// connection that turned out to be closed.
///
/// Dropping the future or the reply closes the upstream connection. The time to connect, to read a
/// failure's body and, where the spec says so, to read a whole answer is bounded here; the path around
/// it bounds the rest.
#[derive(Clone, Debug)]
pub struct Http {
    target: Arc<Target>,
    client: Client,
    /// `None` where TLS decides what is spoken.
    host: Option<Arc<Host>>,
}

impl Http {
    /// Makes everything ready that calls to this target have in common.
    ///
    /// # Errors
    /// [`SetupError::Url`] where the base URL is none.
    pub fn new(spec: TargetSpec, client: Client) -> Result<Self, SetupError> {
        let target = Arc::new(Target::new(spec)?);
        let host = client.host(target.place.base());
        Ok(Self {
            target,
            client,
            host,
        })
    }

    /// Sends the call; `Ok` is an answer of any status.
    async fn send(
        &self,
        call: &Call,
        body: Pieces,
        shown: &Headers,
    ) -> Result<Response<Received>, CallError> {
        let limit = self.target.connect;
        let request = self.target.request(call, body.clone(), shown)?;
        let begun = Instant::now();
        let sent = match &self.host {
            Some(host) => host.send(request, limit).await,
            None => self
                .client
                .send(request, limit)
                .await
                .map(answered)
                .map_err(Failure::from),
        };
        let error = match sent {
            Ok(response) => return Ok(response),
            Err(error) => error,
        };
        if !(repeatable(&call.head) && is_stale(&error) && begun.elapsed() < STALE_WITHIN) {
            return Err(self.judge(call, error));
        }
        let request = self.target.request(call, body, shown)?;
        let sent = self.client.send_fresh(request, limit).await;
        sent.map(answered)
            .map_err(|error| self.judge(call, error.into()))
    }

    /// What a failed exchange means.
    fn judge(&self, call: &Call, error: Failure) -> CallError {
        let scene = self.target.scene(&call.head);
        if error.is_connect() {
            return match is_tls(&error) {
                true => scene.unreachable(error).code("upstream_tls"),
                false => scene.unreachable(error),
            };
        }
        if find::<h2::Error>(&error).is_some_and(was_not_begun) {
            return scene.unprocessed(error);
        }
        match find::<hyper::Error>(&error) {
            Some(cause) if cause.is_parse() => scene.bad_reply("is no HTTP"),
            Some(cause) if cause.is_user() => {
                CallError::new(Kind::Internal, "the call could not be sent").because(error)
            }
            _ => scene.broken(error),
        }
    }
}

impl Next for Http {
    async fn call(&self, call: Call) -> Result<Reply, CallError> {
        let target = &self.target;
        let body = target.body(&call)?;
        let shown = match target.credential.ready() {
            Some(headers) => headers,
            None => target.credential.fetch().await?,
        };
        let until = match call.head.stream {
            true => None,
            false => target.answer.map(|most| Instant::now() + most),
        };
        let sent = within(until, self.send(&call, body, &shown)).await;
        let response = sent.map_err(|_| answer::no_beginning(target, &call.head))??;
        let (head, body) = response.into_parts();
        if !head.status.is_success() {
            let error = answer::refusal(target, &call.head, head, body, &shown).await;
            let renewed = error.kind() == Kind::UpstreamAuth
                && error.fault().is_some_and(|fault| fault.status == 401)
                && target.credential.refused(&shown).await;
            return Err(if renewed {
                error.retry(Retry::Again)
            } else {
                error
            });
        }
        answer::success(target, &call.head, head, body, until, shown).await
    }
}

/// Waits until then, or for ever.
async fn within<F: Future>(until: Option<Instant>, future: F) -> Result<F::Output, Elapsed> {
    match until {
        Some(until) => timeout_at(until, future).await,
        None => Ok(future.await),
    }
}

/// Notes on the connection that it has answered.
fn answered(response: Response<Incoming>) -> Response<Received> {
    if let Some(stamp) = response.extensions().get::<Stamp>() {
        stamp.answered();
    }
    response.map(Received::from)
}

/// Whether a pooled connection was closed by its peer while it was idle: it had answered before, and
/// ended now without an answer.
fn is_stale(error: &Failure) -> bool {
    let closed = find::<hyper::Error>(error)
        .is_some_and(|e| e.is_incomplete_message() || e.is_closed() || e.is_canceled());
    let reset = find::<io::Error>(error).is_some_and(|e| {
        matches!(
            e.kind(),
            io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::BrokenPipe
        )
    });
    error.on_used_http1() && (closed || reset)
}

/// Whether HTTP/2 said that it has not begun with the call.
fn was_not_begun(error: &h2::Error) -> bool {
    match error.reason() {
        Some(h2::Reason::REFUSED_STREAM) => error.is_remote(),
        Some(h2::Reason::NO_ERROR) => error.is_remote() && error.is_go_away(),
        _ => false,
    }
}

/// Whether TLS failed. I/O errors carry it, one within the other, without naming it as their source.
fn is_tls(error: &(dyn Error + 'static)) -> bool {
    let carried = error.downcast_ref().and_then(io::Error::get_ref);
    let next = match carried {
        Some(carried) => Some(carried as &(dyn Error + 'static)),
        None => error.source(),
    };
    error.is::<rustls::Error>() || next.is_some_and(is_tls)
}

/// The first cause of that type.
fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        cause = error.source();
    }
    None
}
