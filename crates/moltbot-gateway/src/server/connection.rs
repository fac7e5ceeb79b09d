//! One connection from its first byte to its last.

use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use bytes::{Bytes, BytesMut};
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::task::TaskTracker;

use super::drain::{Drain, Stage};
use super::exchange::{Conn, Exchange};
use super::guard::IoGuard;
use super::last::Wire;
use super::limits::Limits;
use super::{BoxError, OnPanic, Peer, ServerSettings};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What of a response may wait for its client, in bytes.
const BUFFER: usize = 64 * 1024;

/// hyper's buffers on HTTP/1, in bytes: a prompt that has arrived is read at once and in one piece, which
/// spares its copy. They grow to that only where so much comes, or waits for a slow client.
const WHOLE: usize = 256 * 1024;

/// How connections of one server are served.
pub(super) struct Protocols {
    settings: ServerSettings,
    limits: Limits,
    http1: http1::Builder,
    http2: http2::Builder<Tracked>,
}

impl Protocols {
    pub(super) fn new(settings: ServerSettings, limits: Limits, tracker: TaskTracker) -> Self {
        let mut http1 = http1::Builder::new();
        http1
            .timer(TokioTimer::new())
            // `IoGuard` times the head; hyper would make a timer for each request.
            .header_read_timeout(None)
            .max_buf_size(WHOLE.max(2 * settings.max_head));
        // The scan counts fields. Up to this number, hyper keeps them on the stack.
        if settings.max_fields > 100 {
            http1.max_headers(settings.max_fields);
        }
        let mut http2 = http2::Builder::new(Tracked(tracker));
        http2
            .timer(TokioTimer::new())
            .keep_alive_interval(settings.http2_ping)
            .keep_alive_timeout(settings.http2_ping)
            .max_concurrent_streams(100)
            .max_header_list_size(u32::try_from(settings.max_head).unwrap_or(u32::MAX))
            .max_send_buf_size(BUFFER);
        Self {
            settings,
            limits,
            http1,
            http2,
        }
    }

    /// Agrees on TLS, within the time for a first byte. `None` where the client does not.
    pub(super) async fn encrypt(
        &self,
        stream: TcpStream,
        tls: Arc<ServerConfig>,
        drain: &Drain,
    ) -> Option<TlsStream<TcpStream>> {
        let agreeing = TlsAcceptor::from(tls).accept(stream);
        tokio::select! {
            agreed = tokio::time::timeout(self.settings.first_byte, agreeing) => agreed.ok()?.ok(),
            () = drain.reached(Stage::Closed) => None,
        }
    }

    /// Serves one connection until it ends. Faults of the client end it without a word.
    pub(super) async fn serve<S, H, F, B>(
        &self,
        mut io: S,
        exchange: Exchange<H>,
        on_panic: OnPanic,
        drain: Drain,
    ) where
        S: Wire,
        H: Fn(Request<Incoming>, Peer) -> F + Send + Sync + 'static,
        F: Future<Output = Response<B>> + Send + 'static,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let mut first = BytesMut::new();
        let mut is_http2 = false;
        if self.settings.http2 {
            let read = tokio::select! {
                read = tokio::time::timeout(self.settings.first_byte, preface(&mut io, &mut first)) => read,
                () = drain.reached(Stage::Closed) => return,
            };
            match read {
                Ok(Ok(found)) => is_http2 = found,
                Ok(Err(_)) | Err(_) => return,
            }
        }
        let conn = Arc::new(Conn::new(drain.clone(), on_panic));
        let times = self.settings.times(self.limits.header_timeout());
        let limits = self.settings.head_limits();
        let exchange = Arc::new(exchange);
        let shared = Arc::clone(&conn);
        let service =
            service_fn(move |request| Arc::clone(&exchange).answer(Arc::clone(&shared), request));
        if is_http2 {
            let io = IoGuard::http2(io, first, Arc::clone(&conn), times);
            let connection = pin!(self.http2.serve_connection(TokioIo::new(io), service));
            let goaway = http2::Connection::graceful_shutdown;
            // A client that is told to go away loses nothing, so it is told at once.
            drive(connection, goaway, Stage::Retiring, &conn, &drain).await;
        } else {
            let io = IoGuard::http1(io, first, Arc::clone(&conn), times, limits);
            let connection = pin!(self.http1.serve_connection(TokioIo::new(io), service));
            let close = http1::Connection::graceful_shutdown;
            drive(connection, close, Stage::Closed, &conn, &drain).await;
        }
    }
}

/// Reads until it is certain whether the client speaks HTTP/2.
async fn preface<S: AsyncRead + Unpin>(io: &mut S, first: &mut BytesMut) -> io::Result<bool> {
    loop {
        if io.read_buf(first).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let length = first.len().min(PREFACE.len());
        if first[..length] != PREFACE[..length] {
            return Ok(false);
        }
        if length == PREFACE.len() {
            return Ok(true);
        }
    }
}

/// Polls the connection to its end, and asks it to close when it is old, idle where others wait, or
/// the drain says so.
async fn drive<C: Future>(
    mut connection: Pin<&mut C>,
    close: fn(Pin<&mut C>),
    close_at: Stage,
    conn: &Conn,
    drain: &Drain,
) {
    let mut seen = drain.orders();
    let mut changed = pin!(drain.changed().notified());
    let mut waiting = false;
    let mut closing = false;
    std::future::poll_fn(|cx| {
        loop {
            if connection.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
            let orders = drain.orders();
            let told = orders.stage() >= close_at
                || conn.retiring()
                || (orders.crowded() && conn.idle() && conn.begun() > 0);
            if orders.stage() == Stage::Cut {
                return Poll::Ready(());
            }
            if told && !closing {
                closing = true;
                close(connection.as_mut());
                continue;
            }
            // Registered once for each change of the orders: the task that polls is always the same.
            if waiting && orders == seen {
                return Poll::Pending;
            }
            if orders != seen {
                changed.set(drain.changed().notified());
            }
            seen = orders;
            waiting = changed.as_mut().poll(cx).is_pending();
            if waiting && drain.orders() == seen {
                return Poll::Pending;
            }
        }
    })
    .await;
}

/// Tasks of HTTP/2 streams belong to the server's tracker.
#[derive(Debug, Clone)]
struct Tracked(TaskTracker);

impl<F> Executor<F> for Tracked
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, future: F) {
        self.0.spawn(future);
    }
}
