//! One request and its answer: counted until the body is dropped, and a panic stays within it.

use std::convert::Infallible;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::FutureExt;
use http::header::CONNECTION;
use http::{HeaderValue, Request, Response, Version};
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use hyper::body::Incoming;

use super::drain::{Drain, Stage};
use super::last::HangUp;
use super::refusal::Refusal;
use super::strict::HeadLimits;
use super::{BoxError, OnPanic, Peer};

/// What a connection's guard, its exchanges and its task share.
pub(super) struct Conn {
    drain: Drain,
    on_panic: OnPanic,
    in_flight: AtomicU32,
    /// Requests ever begun: tells two waits of the same kind apart.
    begun: AtomicU32,
    /// The connection is old: it should end with its present answers.
    retire: AtomicBool,
    /// The end of its last answer is being written.
    last: AtomicBool,
    /// Set once; the guard then lets [`REFUSED`] through to have it answered in its turn.
    refusal: OnceLock<Refusal>,
}

/// The method of the request that stands in for a refused one.
const REFUSED: &str = "REFUSED";

/// A whole head that makes the exchange answer with the connection's refusal.
pub(super) const REFUSED_HEAD: &[u8] = b"REFUSED / HTTP/1.1\r\nhost: refused\r\n\r\n";

impl fmt::Debug for Conn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Conn")
            .field("in_flight", &self.in_flight)
            .finish_non_exhaustive()
    }
}

impl Conn {
    pub(super) fn new(drain: Drain, on_panic: OnPanic) -> Self {
        Self {
            drain,
            on_panic,
            in_flight: AtomicU32::new(0),
            begun: AtomicU32::new(0),
            retire: AtomicBool::new(false),
            last: AtomicBool::new(false),
            refusal: OnceLock::new(),
        }
    }

    pub(super) fn idle(&self) -> bool {
        self.in_flight.load(Ordering::Relaxed) == 0
    }

    pub(super) fn begun(&self) -> u32 {
        self.begun.load(Ordering::Relaxed)
    }

    pub(super) fn retire(&self) {
        self.retire.store(true, Ordering::Relaxed);
    }

    pub(super) fn retiring(&self) -> bool {
        self.retire.load(Ordering::Relaxed)
    }

    /// What is written from now on is the end of the last answer.
    fn say_the_last(&self) {
        self.last.store(true, Ordering::Relaxed);
        self.retire();
    }

    pub(super) fn says_the_last(&self) -> bool {
        self.last.load(Ordering::Relaxed)
    }

    /// The first refusal counts.
    pub(super) fn refuse(&self, refusal: Refusal) {
        let _ = self.refusal.set(refusal);
    }
}

/// Answers the requests of one connection.
pub(super) struct Exchange<H> {
    pub(super) handler: H,
    pub(super) peer: Peer,
    pub(super) limits: HeadLimits,
}

impl<H> Exchange<H> {
    pub(super) async fn answer<F, B>(
        self: Arc<Self>,
        conn: Arc<Conn>,
        request: Request<Incoming>,
    ) -> Result<Response<Outgoing<B>>, Infallible>
    where
        H: Fn(Request<Incoming>, Peer) -> F,
        F: Future<Output = Response<B>>,
    {
        let version = request.version();
        let ticket = Ticket::new(conn);
        if let Some(refusal) = self.refusal(&ticket.0, &request) {
            return Ok(own(&refusal, version, ticket));
        }
        let answered = async { (self.handler)(request, self.peer).await };
        let Ok(mut response) = AssertUnwindSafe(answered).catch_unwind().await else {
            (ticket.0.on_panic)();
            return Ok(own(&Refusal::panicked(), version, ticket));
        };
        let mut hang_up = None;
        if version < Version::HTTP_2 {
            hang_up = response.extensions_mut().remove::<HangUp>();
            if ticket.0.drain.orders().stage() >= Stage::Retiring {
                let close = HeaderValue::from_static("close");
                response.headers_mut().insert(CONNECTION, close);
            }
        }
        Ok(response.map(|body| Outgoing::Handler {
            body,
            ticket,
            hang_up,
        }))
    }

    /// HTTP/1 was checked by the scan, on the bytes; HTTP/2 has no framing to be read in two ways.
    fn refusal(&self, conn: &Conn, request: &Request<Incoming>) -> Option<Refusal> {
        if request.version() < Version::HTTP_2 {
            let refusal = conn.refusal.get()?;
            return (request.method().as_str() == REFUSED).then(|| refusal.clone());
        }
        if request.headers().len() > self.limits.fields {
            return Some(Refusal::too_many_fields(self.limits.fields));
        }
        let target = request
            .uri()
            .path_and_query()
            .map_or(0, |target| target.as_str().len());
        (target > self.limits.uri).then(|| Refusal::uri_too_long(self.limits.uri))
    }
}

fn own<B>(refusal: &Refusal, version: Version, ticket: Ticket) -> Response<Outgoing<B>> {
    refusal.response(version).map(|body| Outgoing::Own {
        body,
        _ticket: ticket,
    })
}

/// A request in flight.
pub(super) struct Ticket(Arc<Conn>);

impl Ticket {
    fn new(conn: Arc<Conn>) -> Self {
        conn.in_flight.fetch_add(1, Ordering::Relaxed);
        conn.begun.fetch_add(1, Ordering::Relaxed);
        conn.drain.request_began();
        Self(conn)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.0.drain.request_ended();
    }
}

pin_project_lite::pin_project! {
    /// A response's body, in flight until it is dropped.
    #[project = OutgoingProjected]
    pub(super) enum Outgoing<B> {
        Handler { #[pin] body: B, ticket: Ticket, hang_up: Option<HangUp> },
        Own { body: Full<Bytes>, _ticket: Ticket },
    }
}

impl<B> Body for Outgoing<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.project() {
            OutgoingProjected::Own { body, .. } => {
                Pin::new(body).poll_frame(cx).map_err(Into::into)
            }
            OutgoingProjected::Handler {
                body,
                ticket,
                hang_up,
            } => {
                // The status has left: all that can be said is that the body is not complete.
                match catch_unwind(AssertUnwindSafe(|| body.poll_frame(cx))) {
                    Ok(polled) => {
                        if hang_up.as_ref().is_some_and(HangUp::told) {
                            ticket.0.say_the_last();
                        }
                        polled.map_err(Into::into)
                    }
                    Err(_) => {
                        (ticket.0.on_panic)();
                        Poll::Ready(Some(Err("the response's body panicked".into())))
                    }
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Handler { body, .. } => body.is_end_stream(),
            Self::Own { body, .. } => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Handler { body, .. } => body.size_hint(),
            Self::Own { body, .. } => body.size_hint(),
        }
    }
}
