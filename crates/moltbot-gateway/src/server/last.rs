//! The last answer of a connection, and the end that arrives together with it.
//!
//! A client that has read an answer may send its next request at once. Were the connection closed a moment
//! later, that request would be lost. So the last bytes wait for the end, and leave in one segment with it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::server::TlsStream;

/// Ends an HTTP/1 connection with the answer that bears it in its extensions. HTTP/2 ends the stream alone.
///
/// The body tells it before it gives its last bytes, which are sent all the same.
#[derive(Clone, Debug, Default)]
pub struct HangUp(Arc<AtomicBool>);

impl HangUp {
    /// The connection ends once this answer has been sent.
    pub fn tell(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(super) fn told(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// What a connection runs over.
pub(super) trait Wire: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    /// What is written from now on leaves together with the end, where that is possible.
    fn hold_for_the_end(&self) {}
}

impl Wire for UnixStream {}

impl Wire for TlsStream<TcpStream> {
    fn hold_for_the_end(&self) {
        self.get_ref().0.hold_for_the_end();
    }
}

impl Wire for TcpStream {
    #[cfg(target_os = "linux")]
    fn hold_for_the_end(&self) {
        // Where it fails, the end comes a moment later.
        let _ = rustix::net::sockopt::set_tcp_cork(self, true);
    }
}
