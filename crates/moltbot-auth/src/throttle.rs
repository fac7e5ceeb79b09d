//! Slows down those who show wrong keys.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use moltbot_types::{CallError, Kind};
use tokio::time::Instant;

use crate::key::Id;

/// Wrong keys that an address may show at once.
const BURST: u32 = 60;
/// After them, one is forgiven each second.
const FORGIVEN: Duration = Duration::from_secs(1);
/// Addresses that are told apart; those beyond share one account.
const MOST: usize = 4096;

/// Accounts of wrong keys by address: as each lies, it is free again at some time.
///
/// Only failures come here, so a right key never waits for the lock.
#[derive(Default)]
pub(crate) struct Throttle(Mutex<Accounts>);

#[derive(Default)]
struct Accounts {
    /// When all failures of an address will be forgiven.
    clear_at: HashMap<Source, Instant>,
    /// The next time that forgiven addresses are forgotten.
    sweep_at: Option<Instant>,
}

/// Whoever one owner is likely to hold: an IPv4 address, or a /64 of IPv6; or the key that is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Source {
    V4([u8; 4]),
    V6([u16; 4]),
    /// A unix socket.
    Local,
    /// A known key, whoever tries it with another secret.
    Key(Id),
    /// All that found no room.
    Others,
}

impl Source {
    fn of(peer: Option<IpAddr>) -> Self {
        match peer.map(|ip| ip.to_canonical()) {
            None => Self::Local,
            Some(IpAddr::V4(ip)) => Self::V4(ip.octets()),
            Some(IpAddr::V6(ip)) => {
                let [a, b, c, d, ..] = Ipv6Addr::segments(&ip);
                Self::V6([a, b, c, d])
            }
        }
    }
}

impl Throttle {
    /// Counts one wrong key, for the address that showed it and for the key whose id it bears, if there is one.
    ///
    /// # Errors
    /// `RateLimited`: too many were shown, and the caller learns when it may try again.
    pub(crate) fn failed(&self, peer: Option<IpAddr>, key: Option<Id>) -> Result<(), CallError> {
        let now = Instant::now();
        let mut accounts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        accounts.sweep(now);
        let address = accounts.count(Source::of(peer), now);
        let key = key.and_then(|id| accounts.count(Source::Key(id), now));
        match address.max(key) {
            Some(wait) => Err(too_many(wait)),
            None => Ok(()),
        }
    }
}

impl Accounts {
    /// Counts a failure; gives the wait where there were too many.
    fn count(&mut self, mut source: Source, now: Instant) -> Option<Duration> {
        if self.clear_at.len() >= MOST && !self.clear_at.contains_key(&source) {
            source = Source::Others;
        }
        let clear_at = self.clear_at.entry(source).or_insert(now);
        let owed = clear_at.saturating_duration_since(now) + FORGIVEN;
        let most = FORGIVEN * BURST;
        if owed > most {
            return Some((owed - most).max(FORGIVEN));
        }
        *clear_at = now + owed;
        None
    }

    /// Forgets whoever owes nothing, when there is no room, at most once a second.
    fn sweep(&mut self, now: Instant) {
        if self.clear_at.len() >= MOST && self.sweep_at.is_none_or(|at| at <= now) {
            self.clear_at.retain(|_, clear_at| *clear_at > now);
            self.sweep_at = Some(now + FORGIVEN);
        }
    }
}

fn too_many(wait: Duration) -> CallError {
    let words = "too many wrong API keys; try again later with a right one";
    CallError::new(Kind::RateLimited, words).retry_after(wait)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fail(throttle: &Throttle, peer: &str, times: u32) -> bool {
        (0..times).all(|_| throttle.failed(Some(peer.parse().unwrap()), None).is_ok())
    }

    #[tokio::test(start_paused = true)]
    async fn failures_are_forgiven_one_a_second() {
        let throttle = Throttle::default();
        assert!(fail(&throttle, "10.0.0.1", BURST));
        assert!(!fail(&throttle, "10.0.0.1", 1));
        assert!(fail(&throttle, "10.0.0.2", 1));
        tokio::time::advance(FORGIVEN * 3).await;
        assert!(fail(&throttle, "10.0.0.1", 3));
        assert!(!fail(&throttle, "10.0.0.1", 1));
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_has_one_account_however_it_is_written() {
        let throttle = Throttle::default();
        assert!(fail(&throttle, "10.0.0.1", BURST));
        assert!(!fail(&throttle, "::ffff:10.0.0.1", 1));
        assert!(fail(&throttle, "2001:db8::1", BURST));
        assert!(!fail(&throttle, "2001:db8::ffff:1", 1));
        assert!(fail(&throttle, "2001:db8:0:1::1", 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_has_an_account_whatever_the_addresses_that_try_it() {
        let throttle = Throttle::default();
        let id = crate::key::id(b"mb_0123456789ab_x");
        let tried = (0..200_u32).filter(|ip| {
            let peer = Some(IpAddr::V4((*ip).into()));
            throttle.failed(peer, Some(id)).is_ok()
        });
        assert_eq!(tried.count(), BURST as usize);
        assert!(fail(&throttle, "10.0.0.1", 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_addresses_stays_bounded_and_is_slowed_down_as_one() {
        let throttle = Throttle::default();
        let refused = (0..10_000_u32)
            .filter(|ip| {
                let peer = Some(IpAddr::V4((*ip).into()));
                throttle.failed(peer, None).is_err()
            })
            .count();
        assert!(throttle.0.lock().unwrap().clear_at.len() <= MOST + 1);
        assert_eq!(refused, 10_000 - MOST - BURST as usize);
        tokio::time::advance(FORGIVEN * 2).await;
        assert!(fail(&throttle, "192.0.2.1", BURST));
    }
}
