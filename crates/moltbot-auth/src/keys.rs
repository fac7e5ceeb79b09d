//! Callers that show a key.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName};
use moltbot_types::{CallError, Caller, Kind, Role, Workspace};

use crate::authenticate::Authenticate;
use crate::error::AuthError;
use crate::key::{CallerKey, LONGEST, Pepper, StoredKey};
use crate::throttle::Throttle;

const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const X_GOOG_API_KEY: HeaderName = HeaderName::from_static("x-goog-api-key");
/// Keys of one request that are looked at; an honest one shows up to three.
const MOST: usize = 4;

/// A set of keys.
///
/// Looked up by the start of a key's digest and compared in constant time; an unknown key costs the
/// same work. Who shows too many wrong keys is told to wait; a right key is taken all the same, so that
/// nobody can lock out others who share an address.
pub struct Keys {
    pepper: Pepper,
    /// By the first bytes of the digest, which nobody can choose without the pepper.
    known: HashMap<[u8; 8], StoredKey>,
    throttle: Throttle,
}

impl Keys {
    /// A set of stored keys, which were made with `pepper`.
    pub fn new(pepper: Pepper, keys: impl IntoIterator<Item = StoredKey>) -> Self {
        Self {
            pepper,
            known: keys
                .into_iter()
                .map(|key| (start(&key.digest), key))
                .collect(),
            throttle: Throttle::default(),
        }
    }

    /// No key yet: everyone is refused.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub fn none() -> Result<Self, AuthError> {
        Ok(Self::new(Pepper::random()?, []))
    }

    /// The one key of a home: a user of the default workspace.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub fn single(key: &CallerKey) -> Result<Self, AuthError> {
        let pepper = Pepper::random()?;
        let caller = Caller {
            workspace: Workspace::default(),
            key: Some(key.id()),
            role: Role::User,
        };
        let stored = pepper.store(key, caller);
        Ok(Self::new(pepper, [stored]))
    }

    /// Whether no key is known, so that the daemon must not listen beyond loopback.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    fn find(&self, shown: &[u8]) -> Option<&Caller> {
        /// Compared with for an unknown key.
        const NOBODY: [u8; 32] = [0; 32];
        let digest = self.pepper.digest(shown);
        let found = self.known.get(&start(&digest));
        let stored = found.map_or(&NOBODY, |key| &key.digest);
        let equal = verify_slices_are_equal(&digest, stored).is_ok();
        found.filter(|_| equal).map(|key| &key.caller)
    }
}

impl Authenticate for Keys {
    fn authenticate(&self, headers: &HeaderMap, peer: Option<IpAddr>) -> Result<Caller, CallError> {
        let mut shown = shown(headers).take(MOST).peekable();
        if shown.peek().is_none() {
            return Err(refusal(headers));
        }
        if let Some(caller) = shown.find_map(|key| self.find(key)) {
            return Ok(caller.clone());
        }
        self.throttle.failed(peer)?;
        Err(unauthorized("the API key is not known"))
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys")
            .field("known", &self.known.len())
            .finish_non_exhaustive()
    }
}

fn start(digest: &[u8; 32]) -> [u8; 8] {
    let [a, b, c, d, e, f, g, h, ..] = *digest;
    [a, b, c, d, e, f, g, h]
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

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "mb_canary-0123456789";

    fn keys() -> Keys {
        Keys::single(&CallerKey::parse(&KEY.into()).unwrap()).unwrap()
    }

    fn ask(keys: &Keys, headers: &[(&'static str, &str)]) -> Result<Caller, CallError> {
        let headers = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
            .collect();
        keys.authenticate(&headers, Some([127, 0, 0, 1].into()))
    }

    #[test]
    fn a_known_key_counts_in_each_of_its_places() {
        for (name, value) in [
            ("authorization", "Bearer mb_canary-0123456789"),
            ("authorization", "bearer  mb_canary-0123456789 "),
            ("x-api-key", KEY),
            ("x-goog-api-key", KEY),
        ] {
            let caller = ask(&keys(), &[(name, value)]).unwrap();
            assert_eq!(caller.workspace, Workspace::default());
            assert!(caller.key.unwrap().starts_with("key_"));
        }
    }

    #[test]
    fn the_first_valid_key_counts() {
        let mixed = [
            ("authorization", "Bearer sk-placeholder"),
            ("x-api-key", KEY),
        ];
        assert!(ask(&keys(), &mixed).is_ok());
    }

    #[test]
    fn refusals_help_and_reveal_nothing() {
        for (headers, words) in [
            (&[][..], "no API key: send `Authorization: Bearer mb_…`"),
            (
                &[("authorization", "Basic bWI6eA==")],
                "the Authorization header shows no API key: send `Authorization: Bearer mb_…`",
            ),
            (
                &[("authorization", "Bearer ")],
                "the Authorization header shows no API key: send `Authorization: Bearer mb_…`",
            ),
            (
                &[("x-api-key", "mb_canary-012345678")],
                "the API key is not known",
            ),
            (
                &[("x-api-key", "mb_canary-0123456789x")],
                "the API key is not known",
            ),
        ] {
            let error = ask(&keys(), headers).unwrap_err();
            assert_eq!(error.status(), 401);
            assert_eq!(error.message(), words);
            assert!(!format!("{error:?}").contains("canary"));
        }
    }

    #[test]
    fn without_a_key_everyone_is_refused() {
        let keys = Keys::none().unwrap();
        assert!(keys.is_empty());
        assert_eq!(ask(&keys, &[("x-api-key", KEY)]).unwrap_err().status(), 401);
    }

    #[test]
    fn an_endless_key_is_not_looked_at() {
        let long = "x".repeat(LONGEST + 1);
        let error = ask(&keys(), &[("x-api-key", &long)]).unwrap_err();
        assert_eq!(error.status(), 401);
    }

    #[tokio::test(start_paused = true)]
    async fn many_wrong_keys_are_slowed_down_and_a_right_one_is_not() {
        let keys = keys();
        let wrong = [("x-api-key", "mb_wrong-0123456789")];
        let refused = (0..200)
            .map(|_| ask(&keys, &wrong).unwrap_err())
            .find(|error| error.kind() == Kind::RateLimited)
            .unwrap();
        assert!(refused.wait().is_some());
        assert!(ask(&keys, &[("x-api-key", KEY)]).is_ok());
        assert_eq!(ask(&keys, &[]).unwrap_err().status(), 401);
        let both = [("authorization", "Bearer mb_wrong"), wrong[0]];
        assert_eq!(ask(&keys, &both).unwrap_err().status(), 429);
    }
}
