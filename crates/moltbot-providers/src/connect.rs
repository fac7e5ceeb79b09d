//! The one pool of connections that all calls of a process leave by.

mod dns;
mod host;
mod io;
mod tls;

use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::uri::Scheme;
use http::{Request, Uri};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::GaiResolver;
use hyper_util::client::legacy::{self, ResponseFuture};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::pki_types::CertificateDer;
use tower_service::Service;

use crate::error::SetupError;
use crate::http::Sent;
use dns::Resolver;
use host::Hosts;
pub(crate) use host::{Host, Received};
pub(crate) use io::Stamp;
use io::Stamped;

tokio::task_local! {
    /// How long the call that is being polled may take to connect. The pool makes connections on the
    /// task of the call that needs one, so the connector sees the limit of that very call.
    static CONNECT_LIMIT: Duration;
}

/// How connections are made and kept.
#[derive(Clone, Debug)]
pub struct ClientSettings {
    /// The longest that any target may take for name, TCP and TLS together; a target's own limit is
    /// below it.
    pub connect: Duration,
    /// How long an idle connection is kept.
    pub idle: Duration,
    /// Idle connections that are kept for each host.
    pub max_idle_per_host: usize,
    /// Silence after which TCP asks whether the peer still lives.
    pub keepalive: Duration,
    /// How long sent bytes may stay unacknowledged before the connection counts as dead (Linux).
    pub user_timeout: Duration,
    /// Certificate authorities that are trusted besides those of the system.
    pub roots: Vec<CertificateDer<'static>>,
}

impl Default for ClientSettings {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(30),
            idle: Duration::from_secs(30),
            max_idle_per_host: 256,
            keepalive: Duration::from_secs(30),
            user_timeout: Duration::from_secs(30),
            roots: Vec::new(),
        }
    }
}

type Pool = legacy::Client<Connector, Sent>;

/// The pool; clones share it.
///
/// Plain HTTP speaks HTTP/1, TLS what both sides agree on. No proxies, no redirects. Connections live
/// on tasks of their own, which end when the pool is dropped.
#[derive(Clone, Debug)]
pub struct Client {
    hosts: Hosts,
    pooled: Pool,
    fresh: Pool,
    problem: Option<Arc<str>>,
}

impl Client {
    /// Makes an empty pool. Nothing is connected yet.
    ///
    /// # Errors
    /// [`SetupError::Tls`] where one of the given roots is no certificate.
    pub fn new(settings: ClientSettings) -> Result<Self, SetupError> {
        let (tls, problem) = tls::config(settings.roots)?;
        let mut tcp = HttpConnector::new_with_resolver(Resolver::new(GaiResolver::new()));
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(settings.keepalive));
        tcp.set_keepalive_interval(Some(Duration::from_secs(10)));
        tcp.set_keepalive_retries(Some(3));
        #[cfg(any(target_os = "linux", target_os = "android"))]
        tcp.set_tcp_user_timeout(Some(settings.user_timeout));
        let connector = Connector {
            inner: HttpsConnector::from((tcp, tls)),
            limit: settings.connect,
        };
        let pool = |idle| {
            legacy::Client::builder(TokioExecutor::new())
                .timer(TokioTimer::new())
                .pool_timer(TokioTimer::new())
                .pool_idle_timeout(settings.idle)
                .pool_max_idle_per_host(idle)
                .http2_keep_alive_interval(Duration::from_secs(20))
                .http2_keep_alive_timeout(Duration::from_secs(10))
                .build(connector.clone())
        };
        Ok(Self {
            hosts: Hosts::new(connector.clone(), settings.idle, settings.max_idle_per_host),
            pooled: pool(settings.max_idle_per_host),
            fresh: pool(0),
            problem: problem.map(Arc::from),
        })
    }

    /// Why no TLS certificate can be trusted, where the system has no authorities; plain HTTP works.
    pub fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    /// The connections to the host of a plain HTTP address.
    pub(crate) fn host(&self, uri: &Uri) -> Option<Arc<Host>> {
        let authority = uri.authority()?;
        (uri.scheme() == Some(&Scheme::HTTP)).then(|| self.hosts.host(authority))
    }

    /// Sends a request on a pooled connection, or on a new one made within `limit`.
    pub(crate) fn send(&self, request: Request<Sent>, limit: Duration) -> Sending {
        CONNECT_LIMIT.scope(limit, self.pooled.request(request))
    }

    /// Sends a request on a connection that nobody has used.
    pub(crate) fn send_fresh(&self, request: Request<Sent>, limit: Duration) -> Sending {
        CONNECT_LIMIT.scope(limit, self.fresh.request(request))
    }
}

type Sending = tokio::task::futures::TaskLocalFuture<Duration, ResponseFuture>;
type BoxError = Box<dyn Error + Send + Sync>;

/// No connection within the limit.
#[derive(Debug, thiserror::Error)]
#[error("no connection within {0:?}")]
struct TooSlow(Duration);

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// There was no connection.
    #[error("no connection")]
    Connect(#[source] BoxError),
    /// A connection broke, one that had answered before or not.
    #[error("the exchange failed")]
    Exchange {
        used: bool,
        #[source]
        source: hyper::Error,
    },
    /// What the pool of hyper-util says.
    #[error(transparent)]
    Pooled(#[from] legacy::Error),
}

impl Failure {
    /// Nothing was sent, for there was no connection.
    pub(crate) fn is_connect(&self) -> bool {
        match self {
            Self::Connect(_) => true,
            Self::Exchange { .. } => false,
            Self::Pooled(error) => error.is_connect(),
        }
    }

    /// Its connection had answered before; HTTP/2 says itself what became of a request.
    pub(crate) fn on_used_http1(&self) -> bool {
        match self {
            Self::Connect(_) => false,
            Self::Exchange { used, .. } => *used,
            Self::Pooled(error) => error.connect_info().is_some_and(|info| {
                let mut extras = http::Extensions::new();
                info.get_extras(&mut extras);
                !info.is_negotiated_h2() && extras.get::<Stamp>().is_some_and(Stamp::used)
            }),
        }
    }
}

/// Connects within a limit of time and stamps the connection.
#[derive(Clone, Debug)]
struct Connector {
    inner: HttpsConnector<HttpConnector<Resolver<GaiResolver>>>,
    limit: Duration,
}

impl Service<Uri> for Connector {
    type Response = Stamped;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Stamped, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let limit = CONNECT_LIMIT.try_with(|limit| *limit);
        self.connect(uri, limit.unwrap_or(self.limit))
    }
}

impl Connector {
    /// Connects within `limit`.
    fn connect(&self, uri: Uri, limit: Duration) -> <Self as Service<Uri>>::Future {
        let limit = limit.min(self.limit);
        // Neither part needs to be made ready.
        let connecting = self.inner.clone().call(uri);
        Box::pin(async move {
            match tokio::time::timeout(limit, connecting).await {
                Ok(connected) => Ok(Stamped::new(connected?)),
                Err(_) => Err(TooSlow(limit).into()),
            }
        })
    }
}
