//! Accepting connections: as many as are allowed, and never in a busy loop.

use std::fs::File;
use std::io;
use std::time::Duration;

use rustix::io::Errno;
use tokio::time::{sleep, timeout};

use super::Peer;
use super::drain::{Drain, Stage};
use super::limits::{Limits, Place, Share};
use super::listen::{Accepted, Listener};

/// How long accepting rests when the process has no descriptor left.
const PAUSE: Duration = Duration::from_millis(100);

/// Accepts within the limit of connections.
pub(super) struct Acceptor {
    listener: Listener,
    limits: Limits,
    /// An open descriptor, given up to turn a client away when there is no other.
    reserve: Option<File>,
}

impl Acceptor {
    pub(super) fn new(listener: Listener, limits: Limits) -> Self {
        Self {
            listener,
            limits,
            reserve: reserve(),
        }
    }

    /// The next connection and its place, or `None` once the drain has closed the listener.
    pub(super) async fn next(&mut self, drain: &Drain) -> Option<(Accepted, Peer, (Place, Share))> {
        loop {
            let accepted = tokio::select! {
                biased;
                () = drain.reached(Stage::Closed) => return None,
                accepted = accept(&self.listener, &self.limits, drain) => accepted,
            };
            match accepted {
                Ok(accepted) => return Some(accepted),
                Err(error) if is_exhaustion(&error) => {
                    tracing::warn!(%error, "no descriptor left: connections wait");
                    let _crowded = drain.crowded();
                    self.turn_one_away().await;
                    sleep(PAUSE).await;
                }
                // The client has already left, or the network failed for this one connection.
                Err(error) => {
                    tracing::debug!(%error, "a connection was lost before it was accepted")
                }
            }
        }
    }

    /// The oldest waiting client learns at once that it should go elsewhere.
    async fn turn_one_away(&mut self) {
        if self.reserve.take().is_some() {
            let _ = timeout(Duration::ZERO, self.listener.accept()).await;
        }
        self.reserve = reserve();
    }
}

async fn accept(
    listener: &Listener,
    limits: &Limits,
    drain: &Drain,
) -> io::Result<(Accepted, Peer, (Place, Share))> {
    // First the client, then its place: idle connections are closed only where somebody waits.
    let (stream, peer, share) = loop {
        let (stream, peer) = listener.accept().await?;
        // One that holds half of all places is turned away, so that it keeps nobody waiting.
        match limits.share(&peer) {
            Some(share) => break (stream, peer, share),
            None => tracing::debug!(?peer, "an address has as many connections as it may have"),
        }
    };
    let place = match limits.try_place() {
        Some(place) => place,
        None => {
            let _crowded = drain.crowded();
            limits.place().await
        }
    };
    Ok((stream, peer, (place, share)))
}

fn reserve() -> Option<File> {
    File::open("/dev/null").ok()
}

fn is_exhaustion(error: &io::Error) -> bool {
    let errno = Errno::from_io_error(error);
    matches!(
        errno,
        Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM)
    )
}
