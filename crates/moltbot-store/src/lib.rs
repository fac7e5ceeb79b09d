#![doc = include_str!("../README.md")]

mod chats;
#[cfg(feature = "contract")]
pub mod contract;
pub mod counters;
mod error;
pub mod experiments;
pub mod inbox;
#[cfg(feature = "sqlite")]
mod journal;
pub mod keys;
pub mod kv;
pub mod ledger;
mod open;
pub mod outbox;
pub mod sessions;
#[cfg(feature = "sqlite")]
mod sqlite;

use std::sync::{Mutex, MutexGuard, PoisonError};

pub use counters::Counters;
pub use error::{Result, StoreError};
pub use experiments::Experiments;
pub use inbox::Inbox;
pub use keys::Keys;
pub use kv::Kv;
pub use ledger::Ledger;
pub use open::{Place, Store};
pub use outbox::Outbox;
pub use sessions::Sessions;

/// What a panic left half done in memory is whole all the same: every change is one call.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
