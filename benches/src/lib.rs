//! What the programs of `load/` share: a loopback server on one thread, which says where it listens.

use std::future::Future;
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};

use http_body::Body;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;

/// The line a program prints once it accepts connections; the address follows.
pub const LISTENING: &str = "listening on ";

/// Runs `future` on a runtime of one thread, as both ends of a measurement do: one core each, no thread to migrate to.
///
/// # Errors
/// When the runtime cannot be built, or what `future` returns.
pub fn on_one_thread<T>(future: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(future)
}

/// Serves HTTP/1 with keep-alive on a loopback port (0 picks a free one), and prints [`LISTENING`] with the address.
///
/// Returns only on an error of the listener. `answer` runs on the task of its connection; where it fails, the connection is closed.
///
/// # Errors
/// When the port cannot be bound, or accepting fails.
pub async fn serve<F, R, B, E>(port: u16, answer: F) -> io::Result<()>
where
    F: Fn(Request<Incoming>) -> R + Clone + Send + 'static,
    R: Future<Output = Result<Response<B>, E>> + Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await?;
    let mut out = io::stdout();
    writeln!(out, "{LISTENING}{}", listener.local_addr()?)?;
    out.flush()?;

    let connections = TaskTracker::new();
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let connection = http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service_fn(answer.clone()));
        connections.spawn(async move {
            // A peer that goes away ends its own connection only.
            connection.await.ok();
        });
    }
}
