//! Messages, sendings and conversations in SQLite.

mod inbox;
mod outbox;
mod sessions;

use std::sync::Arc;

use crate::sqlite;

/// The tables `inbox`, `outbox`, `session` and `exchange`.
#[derive(Debug)]
pub(crate) struct Sqlite(pub(crate) Arc<sqlite::Sqlite>);
