//! A connection that knows whether it has answered before.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_rustls::MaybeHttpsStream;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// Whether a connection has answered before. One that has may have been closed by its peer while it
/// was idle, so that its failure says nothing about the target.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stamp(Arc<AtomicBool>);

impl Stamp {
    /// The head of an answer came over it.
    pub(crate) fn answered(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether an answer came over it before.
    pub(crate) fn used(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

type Inner = MaybeHttpsStream<TokioIo<TcpStream>>;

/// A connection with its stamp, which travels with every answer and every failure.
pub(super) struct Stamped {
    inner: Inner,
    stamp: Stamp,
}

impl Stamped {
    pub(super) fn new(inner: Inner) -> Self {
        Self {
            inner,
            stamp: Stamp::default(),
        }
    }
}

impl Connection for Stamped {
    fn connected(&self) -> Connected {
        self.inner.connected().extra(self.stamp.clone())
    }
}

impl Read for Stamped {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl Write for Stamped {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
