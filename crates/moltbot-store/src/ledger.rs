//! What calls cost: a row a call, and sums by day.

mod memory;
#[cfg(feature = "sqlite")]
mod sqlite;

use async_trait::async_trait;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use moltbot_types::{ModelName, RequestId, Usage, Workspace};

pub(crate) use self::memory::Memory;
#[cfg(feature = "sqlite")]
pub(crate) use self::sqlite::{Sqlite, fold};
use crate::error::Result;

/// What one call cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerRow {
    /// The request; a second row of one request changes nothing.
    pub request: RequestId,
    /// When it ended, kept to the millisecond.
    pub at: Timestamp,
    /// Who pays.
    pub workspace: Workspace,
    /// The model that was asked for.
    pub model: ModelName,
    /// The model that answered.
    pub served: ModelName,
    /// The id of the key that was shown.
    pub key: Option<String>,
    /// Tokens.
    pub usage: Usage,
    /// Billionths of a US dollar, at the price of that time. Whole numbers, so that sums are exact in any order.
    pub cost_nano: i64,
    /// The answer came from the cache.
    pub cached: bool,
    /// The status that the caller saw.
    pub status: u16,
}

/// Which sums are asked for; what is `None` is not narrowed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UsageQuery {
    /// Of one workspace. `None` is for the owner alone.
    pub workspace: Option<Workspace>,
    /// Of one model, as it answered.
    pub model: Option<ModelName>,
    /// Of one key.
    pub key: Option<String>,
    /// From that day on (UTC).
    pub since: Option<Date>,
    /// Up to that day and with it.
    pub until: Option<Date>,
}

/// The sum of one day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageRow {
    /// The workspace.
    pub workspace: Workspace,
    /// The model that answered.
    pub model: ModelName,
    /// The id of the key that was shown.
    pub key: Option<String>,
    /// The day (UTC).
    pub day: Date,
    /// Calls.
    pub calls: u64,
    /// Tokens read.
    pub tokens_in: u64,
    /// Tokens written.
    pub tokens_out: u64,
    /// Billionths of a US dollar.
    pub cost_nano: i64,
}

/// The ledger.
#[async_trait]
pub trait Ledger: Send + Sync + std::fmt::Debug {
    /// Hands a row to the operating system, without waiting for a disk: a process that is killed now loses nothing.
    ///
    /// # Errors
    /// The disk takes none. The row waits in memory and is tried again.
    fn append(&self, row: &LedgerRow) -> Result<()>;

    /// Sums by workspace, model, key and day, of every row appended before; ordered by day, workspace, model, key.
    ///
    /// # Errors
    /// The store cannot be read, or rows that wait cannot be written.
    async fn usage(&self, query: &UsageQuery) -> Result<Vec<UsageRow>>;

    /// The row of one request of a workspace.
    ///
    /// # Errors
    /// As [`Ledger::usage`].
    async fn find(&self, workspace: &Workspace, request: RequestId) -> Result<Option<LedgerRow>>;

    /// Forgets rows of calls that ended before `before`; their sums stay.
    ///
    /// # Errors
    /// The store cannot be written.
    async fn forget(&self, before: Timestamp) -> Result<()>;
}

/// The day of a time, in UTC.
fn day(at: Timestamp) -> Date {
    at.to_zoned(TimeZone::UTC).date()
}

/// Sums that grow row by row.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    calls: u64,
    tokens_in: u64,
    tokens_out: u64,
    cost_nano: i64,
}

impl Sums {
    fn add(&mut self, usage: Usage, cost_nano: i64) {
        self.calls += 1;
        self.tokens_in = self.tokens_in.saturating_add(usage.input);
        self.tokens_out = self.tokens_out.saturating_add(usage.output);
        self.cost_nano = self.cost_nano.saturating_add(cost_nano);
    }
}
