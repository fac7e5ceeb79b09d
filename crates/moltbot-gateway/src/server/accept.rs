//! Accepting connections: as many as are allowed, and never in a busy loop.

use std::fs::File;
use std::future::pending;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};

use super::Peer;
use super::drain::{Drain, Stage};
use super::listen::{Accepted, Listener};

/// How long accepting rests when the process has no descriptor left.
const PAUSE: Duration = Duration::from_millis(100);

/// Accepts within the limit of connections.
pub(super) struct Acceptor {
    listener: Listener,
    places: Arc<Semaphore>,
    /// An open descriptor, given up to turn a client away when there is no other.
    reserve: Option<File>,
}

impl Acceptor {
    pub(super) fn new(listener: Listener, connections: usize) -> Self {
        let places = Arc::new(Semaphore::new(affordable(connections)));
        Self {
            listener,
            places,
            reserve: reserve(),
        }
    }

    /// The next connection and its place, or `None` once the drain has closed the listener.
    pub(super) async fn next(
        &mut self,
        drain: &Drain,
    ) -> Option<(Accepted, Peer, OwnedSemaphorePermit)> {
        loop {
            let accepted = tokio::select! {
                biased;
                () = drain.reached(Stage::Closed) => return None,
                accepted = accept(&self.listener, &self.places, drain) => accepted,
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
    places: &Arc<Semaphore>,
    drain: &Drain,
) -> io::Result<(Accepted, Peer, OwnedSemaphorePermit)> {
    // First the client, then its place: idle connections are closed only where somebody waits.
    let (stream, peer) = listener.accept().await?;
    if let Ok(place) = Arc::clone(places).try_acquire_owned() {
        return Ok((stream, peer, place));
    }
    let _crowded = drain.crowded();
    match Arc::clone(places).acquire_owned().await {
        Ok(place) => Ok((stream, peer, place)),
        // Never: nobody closes this semaphore.
        Err(_) => pending().await,
    }
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

/// How many connections can be open: half of the descriptors, for a call needs one more to its target.
fn affordable(wanted: usize) -> usize {
    let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let affordable = usize::try_from(descriptors / 2).unwrap_or(usize::MAX);
    if affordable < wanted {
        tracing::warn!(
            wanted,
            affordable,
            "fewer connections than configured: raise the limit of open files"
        );
    }
    wanted.min(affordable).clamp(1, Semaphore::MAX_PERMITS)
}
