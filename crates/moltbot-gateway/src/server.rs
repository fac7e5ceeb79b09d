//! The socket layer: accepts connections, times them, reads HTTP strictly and drains in good order.
//!
//! A [`Server`] turns a handler, which never fails, into a service on a port or a Unix socket. It knows
//! nothing of calls or models. What a client does wrong on the level of HTTP is answered here, as JSON in
//! the OpenAI shape, and never reaches the handler.

mod accept;
mod chunks;
mod connection;
mod drain;
mod exchange;
mod guard;
mod last;
mod limits;
mod listen;
mod refusal;
mod strict;
#[cfg(test)]
mod tests;
mod timer;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use rustls::ServerConfig;
use tokio_util::task::TaskTracker;

pub use self::drain::{Drain, DrainSettings};
pub use self::last::HangUp;
pub use self::limits::Limits;
pub use self::listen::{BindError, Listen};

use self::accept::Acceptor;
use self::connection::Protocols;
use self::exchange::Exchange;
use self::guard::Times;
use self::listen::{Accepted, Listener};
use self::strict::HeadLimits;

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type OnPanic = Arc<dyn Fn() + Send + Sync>;

/// Limits of a server's connections.
#[derive(Debug, Clone)]
pub struct ServerSettings {
    /// A new connection must send its first byte within this time. 10 s.
    pub first_byte: Duration,
    /// A head that has begun must be complete within this time. 10 s.
    pub header_timeout: Duration,
    /// A body must keep an average of 1 KiB/s; it may fall behind that by this much. Only time counts in
    /// which the handler waits for the client. 30 s.
    pub read_progress: Duration,
    /// A client must take some of the bytes that wait for it within this time. 30 s.
    pub write_progress: Duration,
    /// A connection without a request is closed after this time. 75 s.
    pub keep_alive: Duration,
    /// A connection of this age ends with its present answers. 24 h.
    pub max_age: Duration,
    /// Open connections; at the limit, idle ones make room and new ones wait to be accepted. 20,000. An address
    /// (of IPv6 a /64 network) holds at most half of them, further ones are closed; this machine's own are not counted.
    pub connections: usize,
    /// Bytes of a request's head; more is answered with 431. 32 KiB.
    pub max_head: usize,
    /// Header fields of a request; more are answered with 431. 100.
    pub max_fields: usize,
    /// Bytes of a request's URI; more is answered with 414. 8 KiB.
    pub max_uri: usize,
    /// Whether clients may speak HTTP/2 without TLS ("prior knowledge"). True.
    pub http2: bool,
    /// How often HTTP/2 clients are asked for a sign of life, and how long they have for it. 20 s.
    pub http2_ping: Duration,
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            first_byte: Duration::from_secs(10),
            header_timeout: Duration::from_secs(10),
            read_progress: Duration::from_secs(30),
            write_progress: Duration::from_secs(30),
            keep_alive: Duration::from_secs(75),
            max_age: Duration::from_secs(24 * 60 * 60),
            connections: 20_000,
            max_head: 32 * 1024,
            max_fields: 100,
            max_uri: 8 * 1024,
            http2: true,
            http2_ping: Duration::from_secs(20),
        }
    }
}

impl ServerSettings {
    fn times(&self, header: Duration) -> Times {
        Times {
            first_byte: self.first_byte,
            header,
            read_progress: self.read_progress,
            write_progress: self.write_progress,
            keep_alive: self.keep_alive,
            max_age: self.max_age,
        }
    }

    fn head_limits(&self) -> HeadLimits {
        HeadLimits {
            bytes: self.max_head,
            fields: self.max_fields,
            uri: self.max_uri,
        }
    }
}

/// Who is at the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Peer {
    /// A TCP client.
    Tcp(SocketAddr),
    /// A process of the daemon's own user.
    Unix,
}

/// A bound listener, ready to serve.
pub struct Server {
    listener: Listener,
    local: Listen,
    settings: ServerSettings,
    limits: Limits,
    on_panic: OnPanic,
    tls: Arc<ArcSwapOption<ServerConfig>>,
}

impl Server {
    /// Listens; connections wait until [`serve`](Self::serve) is called. Needs a Tokio runtime.
    ///
    /// # Errors
    /// Where the address or path cannot be had.
    pub fn bind(at: impl Into<Listen>, settings: ServerSettings) -> Result<Self, BindError> {
        let at = at.into();
        let listener = Listener::bind(&at)?;
        let local = listener
            .local_addr()
            .map_err(|source| BindError::Io { at, source })?;
        Ok(Self {
            listener,
            local,
            limits: Limits::new(&settings),
            settings,
            on_panic: Arc::new(|| {}),
            tls: Arc::default(),
        })
    }

    /// Calls `f` each time a handler or a response's body panics.
    #[must_use]
    pub fn on_panic(mut self, f: impl Fn() + Send + Sync + 'static) -> Self {
        self.on_panic = Arc::new(f);
        self
    }

    /// Speaks TLS with the connections that come while `tls` holds something.
    #[must_use]
    pub(crate) fn tls(mut self, tls: Arc<ArcSwapOption<ServerConfig>>) -> Self {
        self.tls = tls;
        self
    }

    /// What may be changed of its settings while it serves.
    pub fn limits(&self) -> Limits {
        self.limits.clone()
    }

    /// Where it listens, with the port that was found for port 0.
    pub fn local_addr(&self) -> &Listen {
        &self.local
    }

    /// Serves until the drain closes the listener; connections go on as tasks of the tracker.
    ///
    /// The handler is cloned for each connection. Dropping its future means that the client has left.
    pub async fn serve<H, F, B>(self, handler: H, tracker: TaskTracker, drain: Drain)
    where
        H: Fn(Request<Incoming>, Peer) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<B>> + Send + 'static,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let limits = self.settings.head_limits();
        let mut acceptor = Acceptor::new(self.listener, self.limits.clone());
        let protocols = Protocols::new(self.settings, self.limits, tracker.clone());
        let protocols = Arc::new(protocols);
        while let Some((accepted, peer, place)) = acceptor.next(&drain).await {
            let exchange = Exchange {
                handler: handler.clone(),
                peer,
                limits,
            };
            let (on_panic, tls) = (Arc::clone(&self.on_panic), self.tls.load_full());
            let (protocols, drain, connected) =
                (Arc::clone(&protocols), drain.clone(), drain.connection());
            tracker.spawn(async move {
                match accepted {
                    Accepted::Tcp(stream) => match tls {
                        None => protocols.serve(stream, exchange, on_panic, drain).await,
                        Some(tls) => {
                            if let Some(stream) = protocols.encrypt(stream, tls, &drain).await {
                                protocols.serve(stream, exchange, on_panic, drain).await;
                            }
                        }
                    },
                    Accepted::Unix(stream) => {
                        protocols.serve(stream, exchange, on_panic, drain).await
                    }
                }
                drop((connected, place));
            });
        }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("local", &self.local)
            .finish_non_exhaustive()
    }
}
