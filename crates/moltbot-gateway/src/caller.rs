//! Who may call: the keys of the configuration, or nobody but this machine.

use std::net::SocketAddr;
use std::sync::Arc;

use moltbot_auth::{Authenticate, CallerKey, Keys, Open};
use moltbot_config::Config;
use moltbot_config::config::AuthMode;

use crate::gateway::StartError;

/// The authentication that the configuration asks for.
///
/// # Errors
/// `none` on an address that others reach, and no key where others reach us.
pub(crate) fn authenticate(
    config: &Config,
    key: Option<&str>,
) -> Result<Arc<dyn Authenticate>, StartError> {
    let listen = &config.server.listen;
    let loopback = is_loopback(listen);
    match (config.server.auth, key) {
        (AuthMode::None, _) if loopback => Ok(Arc::new(Open::new(listen.parse::<SocketAddr>()))),
        (AuthMode::None, _) => Err(StartError::config(format!(
            "server.auth is `none`, but others reach {listen}: listen on 127.0.0.1, or set server.auth to `keys`"
        ))),
        (AuthMode::Keys, None) if !loopback => Err(StartError::config(format!(
            "others reach {listen}, but there is no key: make one with `moltctl init`, or listen on 127.0.0.1"
        ))),
        (AuthMode::Keys, None) => Ok(Arc::new(Keys::none().map_err(StartError::other)?)),
        (AuthMode::Keys, Some(key)) => {
            let key = CallerKey::parse(&key.into())
                .map_err(|error| StartError::config(format!("config/key: {error}")))?;
            Ok(Arc::new(Keys::single(&key).map_err(StartError::other)?))
        }
    }
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

    fn refused(listen: &str, auth: AuthMode, key: Option<&str>) -> bool {
        let mut config = Config::default();
        config.server.listen = listen.to_owned();
        config.server.auth = auth;
        authenticate(&config, key).is_err()
    }

    #[test]
    fn an_address_that_others_reach_needs_a_key() {
        let key = Some("mb_0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");
        assert!(!refused("127.0.0.1:0", AuthMode::None, None));
        assert!(!refused("[::1]:0", AuthMode::None, None));
        assert!(!refused("localhost:1", AuthMode::Keys, None));
        assert!(refused("0.0.0.0:1", AuthMode::None, key));
        assert!(refused("0.0.0.0:1", AuthMode::Keys, None));
        assert!(!refused("0.0.0.0:1", AuthMode::Keys, key));
    }
}
