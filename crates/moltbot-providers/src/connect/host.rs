//! Connections to one host of plain HTTP, kept for the calls to come.
//!
//! Plain HTTP is HTTP/1 for sure, so that this pool knows neither protocols to agree on nor streams to
//! share: taking a connection is a lock and a pop. TLS goes through the client's other pool.

use std::collections::HashMap;
use std::fmt;
use std::mem;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::uri::{Authority, Uri};
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::rt::Executor;
use hyper_util::rt::TokioExecutor;
use tokio::time::{Instant, sleep};

use super::{Connector, Failure};
use crate::http::Sent;

type Sender = SendRequest<Sent>;

/// The hosts that some target has. They outlive the targets for as long as another one names them.
#[derive(Clone)]
pub(super) struct Hosts {
    connector: Connector,
    idle: Duration,
    most: usize,
    known: Arc<Mutex<HashMap<Authority, Weak<Host>>>>,
}

impl Hosts {
    /// Connections idle for `idle` are closed, and there are at most `most` idle ones for each host.
    pub(super) fn new(connector: Connector, idle: Duration, most: usize) -> Self {
        Self {
            connector,
            idle,
            most,
            known: Arc::default(),
        }
    }

    /// The connections to a host, the same ones for all who ask.
    pub(super) fn host(&self, authority: &Authority) -> Arc<Host> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(host) = known.get(authority).and_then(Weak::upgrade) {
            return host;
        }
        known.retain(|_, host| host.strong_count() > 0);
        let host = Arc::new(Host {
            connector: self.connector.clone(),
            idle: self.idle,
            most: self.most,
            kept: Mutex::default(),
        });
        known.insert(authority.clone(), Arc::downgrade(&host));
        host
    }
}

impl fmt::Debug for Hosts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hosts").finish_non_exhaustive()
    }
}

/// The connections to one host.
pub(crate) struct Host {
    connector: Connector,
    idle: Duration,
    most: usize,
    kept: Mutex<Kept>,
}

/// Connections that wait, the one that waits longest first.
#[derive(Default)]
struct Kept {
    senders: Vec<(Sender, Instant)>,
    /// A task closes those that waited too long.
    watched: bool,
}

impl Host {
    /// Sends a request on a connection that is kept, or on a new one made within `limit`.
    pub(crate) async fn send(
        self: &Arc<Self>,
        mut request: Request<Sent>,
        limit: Duration,
    ) -> Result<Response<Received>, Failure> {
        let uri = mem::take(request.uri_mut());
        if let Some(path) = uri.path_and_query() {
            *request.uri_mut() = path.clone().into();
        }
        loop {
            let kept = self.take();
            let used = kept.is_some();
            let mut sender = match kept {
                Some(sender) => sender,
                None => self.connect(&uri, limit).await?,
            };
            let mut error = match sender.try_send_request(request).await {
                Ok(response) => {
                    let lease = Lease {
                        host: Arc::clone(self),
                        sender,
                    };
                    return Ok(response.map(|body| Received::leased(body, lease)));
                }
                Err(error) => error,
            };
            match error.take_message() {
                // It was closed before anything was sent: the next one is as good.
                Some(unsent) if used => request = unsent,
                _ => {
                    let source = error.into_error();
                    return Err(Failure::Exchange { used, source });
                }
            }
        }
    }

    async fn connect(&self, uri: &Uri, limit: Duration) -> Result<Sender, Failure> {
        let io = self.connector.connect(uri.clone(), limit).await;
        let io = io.map_err(Failure::Connect)?;
        let broken = |source| Failure::Exchange {
            used: false,
            source,
        };
        let (mut sender, connection) = http1::handshake(io).await.map_err(broken)?;
        TokioExecutor::new().execute(async move {
            // The call that uses it hears of its failure.
            let _ = connection.await;
        });
        sender.ready().await.map_err(broken)?;
        Ok(sender)
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection that was used last, for it is the least likely to be closed.
    fn take(&self) -> Option<Sender> {
        let mut kept = self.kept();
        while let Some((sender, since)) = kept.senders.pop() {
            if sender.is_ready() && since.elapsed() < self.idle {
                return Some(sender);
            }
        }
        None
    }

    fn keep(self: &Arc<Self>, sender: Sender) {
        let mut kept = self.kept();
        if sender.is_closed() || kept.senders.len() >= self.most {
            return;
        }
        kept.senders.push((sender, Instant::now()));
        if !mem::replace(&mut kept.watched, true) {
            drop(kept);
            let (host, idle) = (Arc::downgrade(self), self.idle);
            TokioExecutor::new().execute(async move {
                loop {
                    sleep(idle).await;
                    if host.upgrade().is_none_or(|host| host.sweep()) {
                        return;
                    }
                }
            });
        }
    }

    /// Closes what waited too long. True: nothing waits any more.
    fn sweep(&self) -> bool {
        let mut kept = self.kept();
        let fresh = |(sender, since): &(Sender, Instant)| {
            !sender.is_closed() && since.elapsed() < self.idle
        };
        kept.senders.retain(fresh);
        kept.watched = !kept.senders.is_empty();
        !kept.watched
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host").finish_non_exhaustive()
    }
}

/// A connection on which an answer comes.
struct Lease {
    host: Arc<Host>,
    sender: Sender,
}

impl Lease {
    /// The answer is over: the connection may serve another call.
    fn give_back(self) {
        let Self { host, mut sender } = self;
        if sender.is_ready() {
            host.keep(sender);
        } else if !sender.is_closed() {
            // Its task has still to see the end.
            TokioExecutor::new().execute(async move {
                if sender.ready().await.is_ok() {
                    host.keep(sender);
                }
            });
        }
    }
}

/// The body of an answer. Read to its end, its connection is kept; dropped before, it is closed.
pub(crate) struct Received {
    body: Incoming,
    lease: Option<Lease>,
}

impl Received {
    fn leased(body: Incoming, lease: Lease) -> Self {
        Self {
            body,
            lease: Some(lease),
        }
    }

    fn end(&mut self) {
        if let Some(lease) = self.lease.take() {
            lease.give_back();
        }
    }
}

impl From<Incoming> for Received {
    /// A body whose connection is another pool's matter.
    fn from(body: Incoming) -> Self {
        Self { body, lease: None }
    }
}

impl Body for Received {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        match &polled {
            Poll::Ready(Some(Err(_))) => self.lease = None,
            Poll::Ready(None) => self.end(),
            _ => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Received {
    fn drop(&mut self) {
        if self.body.is_end_stream() {
            self.end();
        }
    }
}
