//! Callers that show a key.

mod table;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::{ArcSwap, ArcSwapOption};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName};
use jiff::Timestamp;
use moltbot_store::keys::{KeyRecord, Use};
use moltbot_types::{CallError, Caller, Kind};

use crate::authenticate::Authenticate;
use crate::key::{self, CallerKey, LONGEST, PREFIX, Pepper};
use crate::throttle::Throttle;
use table::{Entry, Table};

const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const X_GOOG_API_KEY: HeaderName = HeaderName::from_static("x-goog-api-key");
/// Keys of one request that are looked at; an honest one shows up to three.
const MOST: usize = 4;

/// The keys that are known. Others may be put in their place at any time, and count from the next request on.
///
/// A key is looked up by the id that it bears and compared in constant time; an unknown id costs the same work. Who
/// shows too many wrong keys is told to wait; a right key is taken all the same, so that nobody can lock out others
/// who share an address.
pub struct Keys {
    pepper: Pepper,
    stored: ArcSwap<Table>,
    /// The one key that stands in a file of the home.
    home: ArcSwapOption<Entry>,
    throttle: Throttle,
    /// Refused calls since they were last asked for.
    refused: AtomicU64,
}

/// What a shown key turned out to be.
enum Found {
    Good(Arc<Entry>),
    /// It was good once.
    Over(&'static str),
    Wrong,
}

impl Keys {
    /// No key yet: everyone is refused.
    pub fn new(pepper: Pepper) -> Self {
        Self {
            pepper,
            stored: ArcSwap::default(),
            home: ArcSwapOption::empty(),
            throttle: Throttle::default(),
            refused: AtomicU64::new(0),
        }
    }

    /// What digests of keys are made with.
    pub fn pepper(&self) -> &Pepper {
        &self.pepper
    }

    /// Puts the keys of a store in the place of those before. When they were last shown stays known.
    pub fn replace(&self, records: Vec<KeyRecord>) {
        let before = self.stored.load();
        self.stored.store(Arc::new(Table::new(records, &before)));
    }

    /// Sets the one key that stands in a file of the home: a user of the default workspace.
    pub fn set_home(&self, key: Option<&CallerKey>) {
        let entry = key.map(|key| Arc::new(Entry::home(key.id(), self.pepper.digest_of(key))));
        self.home.store(entry);
    }

    /// Whether a key of the store is good now, so that the daemon may listen beyond loopback.
    pub fn any_stored(&self) -> bool {
        self.stored.load().any_good(Timestamp::now())
    }

    /// Keys that were shown since this was asked before.
    pub fn uses(&self) -> Vec<Use> {
        self.stored.load().uses()
    }

    /// Calls that were refused since this was asked before.
    pub fn refused(&self) -> u64 {
        self.refused.swap(0, Ordering::Relaxed)
    }

    fn find(&self, shown: &[u8]) -> (Found, key::Id) {
        let id = key::id(shown);
        let home = self.home.load();
        let stored = self.stored.load();
        let known = match &*home {
            Some(home) if home.id() == id.as_str() => Some(home),
            _ => stored.get(id.as_str()),
        };
        let digest = self.pepper.digest(shown);
        let found = match known {
            Some(entry) if entry.is(&digest) => entry.verdict(Timestamp::now()),
            Some(_) => Err(None),
            None => {
                // The same work as for a key that is known.
                let _ = Entry::nobody_is(&digest);
                Err(None)
            }
        };
        let found = match (found, known) {
            (Ok(()), Some(entry)) => Found::Good(Arc::clone(entry)),
            (Err(Some(words)), _) => Found::Over(words),
            _ => Found::Wrong,
        };
        (found, id)
    }

    /// Counts a wrong key; the throttle keeps account of the ids of known ones alone.
    fn wrong(&self, id: key::Id, peer: Option<IpAddr>) -> Result<(), CallError> {
        let known = self.stored.load().get(id.as_str()).is_some();
        self.throttle.failed(peer, known.then_some(id))
    }
}

impl Authenticate for Keys {
    fn authenticate(&self, headers: &HeaderMap, peer: Option<IpAddr>) -> Result<Caller, CallError> {
        let (mut good, mut wrong, mut words) = (None::<Arc<Entry>>, None, None);
        for shown in shown(headers).take(MOST) {
            match self.find(shown) {
                (Found::Good(entry), _) => match &good {
                    None => good = Some(entry),
                    Some(first) if first.workspace() == entry.workspace() => {}
                    Some(_) => return Err(torn()),
                },
                (Found::Over(why), id) => {
                    words = words.or(Some(why));
                    wrong = wrong.or(Some(id));
                }
                (Found::Wrong, id) => {
                    // Placeholders of clients stand beside a right key; guesses at one look like ours.
                    if good.is_none() || shown.starts_with(PREFIX.as_bytes()) {
                        wrong = wrong.or(Some(id));
                    }
                }
            }
        }
        match (good, wrong) {
            (Some(entry), wrong) => {
                if let Some(id) = wrong {
                    // A right key does not hide guesses at another, and is not refused for them.
                    let _ = self.wrong(id, peer);
                }
                Ok(entry.shown(Timestamp::now()))
            }
            (None, Some(id)) => {
                self.refused.fetch_add(1, Ordering::Relaxed);
                // Invariant: a refused call counts once, however many keys it shows.
                self.wrong(id, peer)?;
                Err(unauthorized(words.unwrap_or("the API key is not known")))
            }
            (None, None) => Err(refusal(headers)),
        }
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys")
            .field("stored", &self.stored.load().len())
            .finish_non_exhaustive()
    }
}

/// The keys that a request shows, in the order in which they count.
fn shown(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    let bearer = headers
        .get_all(AUTHORIZATION)
        .iter()
        .filter_map(|value| bearer(value.as_bytes()));
    let plain = [X_API_KEY, X_GOOG_API_KEY]
        .into_iter()
        .flat_map(|name| headers.get_all(name).iter().map(|value| value.as_bytes()));
    bearer
        .chain(plain)
        .map(<[u8]>::trim_ascii)
        .filter(|key| !key.is_empty() && key.len() <= LONGEST)
}

/// What follows `Bearer`, in whatever case.
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, key) = value.trim_ascii_start().split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then_some(key)
}

/// Why a request that shows no key is refused.
fn refusal(headers: &HeaderMap) -> CallError {
    if headers.contains_key(AUTHORIZATION) {
        unauthorized("the Authorization header shows no API key: send `Authorization: Bearer mb_…`")
    } else {
        unauthorized("no API key: send `Authorization: Bearer mb_…`")
    }
}

fn unauthorized(message: &str) -> CallError {
    CallError::new(Kind::Unauthorized, message)
}

fn torn() -> CallError {
    let words = "this call shows keys of two workspaces: send one of them";
    CallError::new(Kind::BadRequest, words)
}

#[cfg(test)]
mod tests;
