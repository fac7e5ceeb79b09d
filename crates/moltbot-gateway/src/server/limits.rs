//! Limits that may change while a server serves.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::{Resource, getrlimit};
use tokio::sync::Notify;

use super::{Peer, ServerSettings};

/// However few connections there may be, one address may hold so many of them.
const LEAST_SHARE: usize = 16;

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
    /// Connections of each address that has some.
    held: Mutex<HashMap<IpAddr, usize>>,
}

impl State {
    fn held(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Limits {
    pub(super) fn new(settings: &ServerSettings) -> Self {
        let limits = Self(Arc::new(State {
            header_timeout_ms: AtomicU64::default(),
            connections: AtomicUsize::default(),
            open: AtomicUsize::default(),
            free: Notify::new(),
            held: Mutex::default(),
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

    /// A peer's right to one more connection; `None` where its address holds half of all that there may be.
    ///
    /// This machine's own addresses hold as many as they like: a proxy here speaks for many callers.
    pub(super) fn share(&self, peer: &Peer) -> Option<Share> {
        let Some(address) = address(peer) else {
            return Some(Share(None));
        };
        let most = self.0.connections.load(Ordering::Relaxed) / 2;
        let mut held = self.0.held();
        let count = held.entry(address).or_default();
        if *count >= most.max(LEAST_SHARE) {
            return None;
        }
        *count += 1;
        Some(Share(Some((Arc::clone(&self.0), address))))
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

/// One of the connections that an address holds, until it is dropped.
#[derive(Debug)]
pub(super) struct Share(Option<(Arc<State>, IpAddr)>);

impl Drop for Share {
    fn drop(&mut self) {
        let Some((state, address)) = &self.0 else {
            return;
        };
        let mut held = state.held();
        if let Some(count) = held.get_mut(address) {
            *count -= 1;
            if *count == 0 {
                held.remove(address);
            }
        }
    }
}

/// The address that a peer's connections are counted for: of IPv6 the network, all of which one caller has.
fn address(peer: &Peer) -> Option<IpAddr> {
    let Peer::Tcp(peer) = peer else { return None };
    match peer.ip().to_canonical() {
        own if own.is_loopback() => None,
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Some(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into())
        }
        address => Some(address),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(connections: usize) -> Limits {
        Limits::new(&ServerSettings {
            connections,
            ..ServerSettings::default()
        })
    }

    fn peer(address: &str) -> Peer {
        Peer::Tcp((address.parse::<IpAddr>().unwrap(), 1).into())
    }

    #[test]
    fn fm_46_one_address_holds_at_most_half_of_the_connections() {
        let limits = limits(100);
        let (greedy, other) = (peer("203.0.113.7"), peer("203.0.113.8"));
        let mut held: Vec<_> = (0..50).map(|_| limits.share(&greedy).unwrap()).collect();
        assert!(limits.share(&greedy).is_none());
        assert!(limits.share(&peer("::ffff:203.0.113.7")).is_none());
        assert!(limits.share(&other).is_some());
        held.pop();
        assert!(limits.share(&greedy).is_some());
        drop(held);
        assert!(limits.0.held().is_empty());
    }

    #[test]
    fn of_ipv6_a_network_counts_as_one() {
        let limits = limits(100);
        let host = |n| peer(&format!("2001:db8:1:2::{n}"));
        let _held: Vec<_> = (1..=50).map(|n| limits.share(&host(n)).unwrap()).collect();
        assert!(limits.share(&host(51)).is_none());
        assert!(limits.share(&peer("2001:db8:1:3::1")).is_some());
    }

    #[test]
    fn callers_on_this_machine_are_not_counted() {
        let limits = limits(100);
        for local in [peer("127.0.0.1"), peer("::1"), Peer::Unix] {
            let held: Vec<_> = (0..200).map(|_| limits.share(&local)).collect();
            assert!(held.iter().all(Option::is_some));
        }
    }
}
