//! The store of a home.

use moltbot_config::Config;
use moltbot_store::{Place, Store, StoreError};

/// Opens the store that the configuration names.
///
/// # Errors
/// As [`Store::open`]; each says what to do.
pub(crate) async fn open(config: &Config) -> Result<Store, StoreError> {
    Store::open(&Place::parse(&config.store.url)?).await
}
