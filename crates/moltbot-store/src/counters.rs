//! What limits have counted, so that a restart gives nobody a fresh window.

mod memory;
#[cfg(feature = "sqlite")]
mod sqlite;

use async_trait::async_trait;
use jiff::Timestamp;
use moltbot_types::Workspace;

pub(crate) use self::memory::Memory;
#[cfg(feature = "sqlite")]
pub(crate) use self::sqlite::Sqlite;
use crate::error::Result;

/// The state of one limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counter {
    /// The workspace that it belongs to.
    pub workspace: Workspace,
    /// Whose it is within the workspace: `workspace`, `key:ID`, `sender:…`.
    pub scope: String,
    /// What is counted: `requests`, `tokens`, `cost`.
    pub what: String,
    /// When the window began, or when `used` was true.
    pub began: Timestamp,
    /// How much is used, in the limit's own smallest unit.
    pub used: i64,
}

/// Where the state of limits is kept. The limits themselves live in memory and save what changed now and then.
#[async_trait]
pub trait Counters: Send + Sync + std::fmt::Debug {
    /// Keeps counters in the place of those of the same workspace, scope and subject.
    ///
    /// # Errors
    /// The store cannot be written.
    async fn save(&self, counters: Vec<Counter>) -> Result<()>;

    /// All counters that began at `since` or later.
    ///
    /// # Errors
    /// The store cannot be read.
    async fn load(&self, since: Timestamp) -> Result<Vec<Counter>>;

    /// Forgets those that began before `before`.
    ///
    /// # Errors
    /// The store cannot be written.
    async fn forget(&self, before: Timestamp) -> Result<()>;
}
