//! Inbox, outbox and sessions on one backend, because the end of a message touches all three in one step.

mod memory;
#[cfg(feature = "sqlite")]
mod sqlite;

pub(crate) use self::memory::Memory;
#[cfg(feature = "sqlite")]
pub(crate) use self::sqlite::Sqlite;
