//! The store of a home.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use moltbot_config::Config;
use moltbot_store::{Place, Store, StoreError};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::warn;

/// How long the row of a call is kept; its part of the sums stays.
const ROWS_KEPT: SignedDuration = SignedDuration::from_hours(7 * 24);
/// Time between two looks for older ones.
const LOOK_EVERY: Duration = Duration::from_secs(3600);

/// Opens the store that the configuration names.
///
/// # Errors
/// As [`Store::open`]; each says what to do.
pub(crate) async fn open(config: &Config) -> Result<Store, StoreError> {
    let place = Place::parse(&config.store.url)?;
    // Checking a large file takes its time. Besides, the compiler can't see that the database's future is `Send`.
    let runtime = tokio::runtime::Handle::current();
    let opening = tokio::task::spawn_blocking(move || runtime.block_on(Store::open(&place)));
    match opening.await {
        Ok(opened) => opened,
        Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
    }
}

/// Forgets old rows of the ledger, until `stop`.
pub(crate) async fn forget(store: Store, stop: CancellationToken) {
    let mut tick = interval(LOOK_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            () = stop.cancelled() => return,
        }
        let before = Timestamp::now() - ROWS_KEPT;
        if let Err(error) = store.ledger.forget(before).await {
            warn!(%error, "old rows of the ledger stay");
        }
    }
}
