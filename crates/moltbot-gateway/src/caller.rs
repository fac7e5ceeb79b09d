//! Who may call: the keys of the house, or nobody but this machine.

mod pepper;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use moltbot_auth::{Authenticate, CallerKey, Keys, Open, Pepper};
use moltbot_config::config::AuthMode;
use moltbot_config::{Config, Home};
use moltbot_store::{Place, Store, StoreError};
use tracing::warn;

use crate::audit::entry;
use crate::gateway::StartError;
use crate::runtime::Runtime;

pub(crate) use pepper::pepper;

/// How often it is written down when keys were last shown.
const NOTED_EVERY: Duration = Duration::from_secs(30);

/// The keys of a house that starts: those of its store. The one in its file comes with the configuration.
///
/// # Errors
/// The store, or the pepper beside it, can't be read.
pub(crate) async fn keys(home: &Home, store: &Store) -> Result<Keys, StartError> {
    let records = store.keys.all().await.map_err(StartError::other)?;
    if !records.is_empty() && !home.pepper_file().exists() {
        warn!(
            "{} is missing, so that no stored key is known any more: put it back from a backup, or make new keys \
             with `moltctl key create`",
            home.pepper_file().display()
        );
    }
    let keys = Keys::new(pepper(home)?);
    keys.replace(records);
    Ok(keys)
}

/// No key, for a runtime that nobody calls.
///
/// # Errors
/// The system gives no random bytes.
pub(crate) fn nobody() -> Result<Keys, StartError> {
    Ok(Keys::new(Pepper::random().map_err(StartError::other)?))
}

/// Takes over what a store says now; it counts from the next request on.
///
/// # Errors
/// The store can't be read; the keys stay as they are.
pub(crate) async fn refresh(rt: &Runtime) -> Result<(), StoreError> {
    rt.keys.replace(rt.store.keys.all().await?);
    Ok(())
}

/// Writes down now and then when keys were last shown and how many were refused, and once more at the stop.
pub(crate) async fn note_uses(rt: Arc<Runtime>) {
    loop {
        let stopping = tokio::select! {
            () = tokio::time::sleep(NOTED_EVERY) => false,
            () = rt.stop.cancelled() => true,
        };
        let uses = rt.keys.uses();
        if !uses.is_empty()
            && let Err(error) = rt.store.keys.touch(uses).await
        {
            warn!(%error, "when keys were last used is not written down");
        }
        for (action, refused) in [
            ("calls refused for their keys", rt.keys.refused()),
            (
                "admin requests refused for their token",
                rt.refused_admin.swap(0, Ordering::Relaxed),
            ),
        ] {
            if refused > 0 {
                let mut entry = entry("daemon", action);
                entry.outcome = refused.to_string();
                rt.audit.write(&entry);
            }
        }
        if stopping {
            return;
        }
    }
}

/// The authentication that a checked configuration asks for.
pub(crate) fn authenticate(config: &Config, keys: &Arc<Keys>) -> Arc<dyn Authenticate> {
    match config.server.auth {
        AuthMode::None => Arc::new(Open::new(config.server.listen.parse::<SocketAddr>())),
        AuthMode::Keys => Arc::clone(keys) as Arc<dyn Authenticate>,
    }
}

/// Whether the house may listen where the configuration says. Gives the key in the home's file.
///
/// # Errors
/// `none` on an address that others reach, and no key where others reach us; a key file that holds none.
pub(crate) fn check(
    config: &Config,
    home_key: Option<&str>,
    any_stored: bool,
) -> Result<Option<CallerKey>, StartError> {
    let listen = &config.server.listen;
    let loopback = is_loopback(listen);
    let home_key = home_key.map(parse).transpose()?;
    match config.server.auth {
        AuthMode::None if !loopback => Err(StartError::config(format!(
            "server.auth is `none`, but others reach {listen}: listen on 127.0.0.1, or set server.auth to `keys`"
        ))),
        AuthMode::Keys if !loopback && home_key.is_none() && !any_stored => {
            Err(StartError::config(format!(
                "others reach {listen}, but there is no key: make one with `moltctl key create`, or listen on 127.0.0.1"
            )))
        }
        _ => Ok(home_key),
    }
}

/// Whether the store may hold a key, as far as can be said without opening it.
pub(crate) fn may_be_stored(config: &Config) -> bool {
    match Place::parse(&config.store.url) {
        Ok(Place::Sqlite(file)) => file.exists(),
        Ok(Place::Memory) | Err(_) => false,
    }
}

/// Reads the key of the home's file.
///
/// # Errors
/// It is too weak, or no key at all.
pub(crate) fn parse(text: &str) -> Result<CallerKey, StartError> {
    CallerKey::parse(&text.into())
        .map_err(|error| StartError::config(format!("config/key: {error}")))
}

/// Whether only this machine reaches an address.
pub(crate) fn is_loopback(listen: &str) -> bool {
    match listen.parse::<SocketAddr>() {
        Ok(address) => address.ip().is_loopback(),
        Err(_) => listen.split(':').next() == Some("localhost"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(listen: &str, auth: AuthMode, key: Option<&str>, stored: bool) -> bool {
        let mut config = Config::default();
        config.server.listen = listen.to_owned();
        config.server.auth = auth;
        check(&config, key, stored).is_err()
    }

    #[test]
    fn an_address_that_others_reach_needs_a_key() {
        let key = Some("mb_0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");
        assert!(!refused("127.0.0.1:0", AuthMode::None, None, false));
        assert!(!refused("[::1]:0", AuthMode::None, None, false));
        assert!(!refused("localhost:1", AuthMode::Keys, None, false));
        assert!(refused("0.0.0.0:1", AuthMode::None, key, true));
        assert!(refused("0.0.0.0:1", AuthMode::Keys, None, false));
        assert!(!refused("0.0.0.0:1", AuthMode::Keys, key, false));
        assert!(!refused("0.0.0.0:1", AuthMode::Keys, None, true));
        assert!(refused("127.0.0.1:1", AuthMode::Keys, Some("short"), true));
    }
}
