//! The store of a home.

use moltbot_config::Config;
use moltbot_store::{Place, Store, StoreError};
use tokio::runtime::Handle;

/// Opens the store that the configuration names.
///
/// # Errors
/// As [`Store::open`]; each says what to do.
pub(crate) async fn open(config: &Config) -> Result<Store, StoreError> {
    let place = Place::parse(&config.store.url)?;
    let runtime = Handle::current();
    // It reads files, and the compiler can't see that its future may move between threads.
    let opening = tokio::task::spawn_blocking(move || runtime.block_on(Store::open(&place)));
    match opening.await {
        Ok(opened) => opened,
        Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
    }
}
