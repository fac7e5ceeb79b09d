#![doc = include_str!("../README.md")]

mod backoff;
pub mod budget;
#[cfg(feature = "cache")]
pub mod cache;
pub mod deadline;
pub mod failover;
pub mod health;
pub mod permits;
pub mod pick;
pub mod retry;
pub mod table;
#[cfg(test)]
mod testing;
pub mod tier;
pub mod times;

pub use budget::{BudgetSettings, Budgets};
pub use deadline::deadline;
pub use failover::{FailoverSettings, failover};
pub use permits::{Limit, Permits, permits};
pub use retry::again;
pub use table::{Route, RouteSettings, RouteTarget, Table};
pub use times::{Timeouts, times};
