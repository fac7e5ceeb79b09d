//! Limits that may change while a server serves.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use rustix::process::{Resource, getrlimit};
use tokio::sync::Notify;

use super::ServerSettings;

/// The limits of a server that may change while it serves: new connections have the new ones, and the
/// open ones stay and count.
#[derive(Debug, Clone)]
pub struct Limits(Arc<State>);

#[derive(Debug)]
struct State {
    header_timeout_ms: AtomicU64,
    connections: AtomicUsize,
    open: AtomicUsize,
    /// A place may be free. One waits for it: the acceptor.
    free: Notify,
}

impl Limits {
    pub(super) fn new(settings: &ServerSettings) -> Self {
        let limits = Self(Arc::new(State {
            header_timeout_ms: AtomicU64::default(),
            connections: AtomicUsize::default(),
            open: AtomicUsize::default(),
            free: Notify::new(),
        }));
        limits.set_header_timeout(settings.header_timeout);
        limits.set_connections(settings.connections);
        limits
    }

    /// Sets [`ServerSettings::header_timeout`], in whole milliseconds.
    pub fn set_header_timeout(&self, timeout: Duration) {
        let ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        self.0.header_timeout_ms.store(ms, Ordering::Relaxed);
    }

    /// Sets [`ServerSettings::connections`]. Where more are open, new ones wait until enough have ended.
    pub fn set_connections(&self, connections: usize) {
        let affordable = affordable(connections);
        if self.0.connections.swap(affordable, Ordering::Relaxed) != affordable {
            if affordable < connections {
                tracing::warn!(
                    wanted = connections,
                    affordable,
                    "fewer connections than configured: raise the limit of open files"
                );
            }
            self.0.free.notify_one();
        }
    }

    pub(super) fn header_timeout(&self) -> Duration {
        Duration::from_millis(self.0.header_timeout_ms.load(Ordering::Relaxed))
    }

    /// A place for one more connection, where one is free. Only one task asks.
    pub(super) fn try_place(&self) -> Option<Place> {
        let open = self.0.open.load(Ordering::Relaxed);
        (open < self.0.connections.load(Ordering::Relaxed)).then(|| {
            self.0.open.fetch_add(1, Ordering::Relaxed);
            Place(Arc::clone(&self.0))
        })
    }

    /// The same, waited for.
    pub(super) async fn place(&self) -> Place {
        loop {
            if let Some(place) = self.try_place() {
                return place;
            }
            self.0.free.notified().await;
        }
    }
}

/// A place among the open connections, until it is dropped.
#[derive(Debug)]
pub(super) struct Place(Arc<State>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
        self.0.free.notify_one();
    }
}

/// How many connections can be open: half of the descriptors, for a call needs one more to its target.
fn affordable(wanted: usize) -> usize {
    let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let affordable = usize::try_from(descriptors / 2).unwrap_or(usize::MAX);
    wanted.min(affordable).max(1)
}
