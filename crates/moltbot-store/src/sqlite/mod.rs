//! SQLite: one file, one writer, a few readers.

mod explain;
mod fold;
mod guard;
mod schema;
mod writer;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use sqlx::migrate::MigrateError;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions, SqliteConnection};
use tokio::sync::Mutex;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

pub(crate) use self::explain::explain;
pub(crate) use self::fold::{EXPERIMENT, LEDGER};
use self::guard::FileLock;
use self::writer::Writer;
use crate::error::{Result, StoreError};
use crate::journal::Journal;

/// Time between two folds of the journal.
const FOLD_EVERY: Duration = Duration::from_secs(1);
/// How long a statement waits for another process, such as a backup.
const BUSY: Duration = Duration::from_secs(5);
/// Readers at once.
const READERS: u32 = 4;
/// A file up to this size is checked whole before it is used; a larger one page by page as it is read.
const CHECKED: u64 = 1 << 30;

/// An open file.
#[derive(Debug)]
pub(crate) struct Sqlite {
    readers: SqlitePool,
    writer: Writer,
    journal: Journal,
    folding: Mutex<()>,
    file: Arc<Path>,
    _lock: FileLock,
}

impl Sqlite {
    /// Opens `file`, or makes it: checked, in the newest form, with its writer on `tasks`.
    pub(crate) async fn open(file: &Path, tasks: &TaskTracker) -> Result<Self> {
        let lock = FileLock::acquire(file)?;
        let file: Arc<Path> = file.into();
        let options = options(&file);
        let said = |error: sqlx::Error| explain(&file, &error);
        let mut connection = options.connect().await.map_err(said)?;
        check(&file, &mut connection).await?;
        migrate(&file, &mut connection).await?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .connect_lazy_with(options.read_only(true).create_if_missing(false));
        let journal = Journal::open(&file).map_err(|error| StoreError::Failed {
            file: file.to_path_buf(),
            detail: error.to_string(),
        })?;
        let (writer, jobs) = writer::channel();
        tasks.spawn(jobs.run(connection, Arc::clone(&file)));
        Ok(Self {
            readers,
            writer,
            journal,
            folding: Mutex::new(()),
            file,
            _lock: lock,
        })
    }

    /// Where rows are read.
    pub(crate) fn readers(&self) -> &SqlitePool {
        &self.readers
    }

    /// Makes a change; it is on the disk when this returns, and not made at all when it fails.
    pub(crate) async fn write<T, F>(&self, change: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, sqlx::Result<T>>
            + Send
            + 'static,
    {
        self.writer.write(change).await
    }

    /// Ends the writer once it has written what it was given.
    pub(crate) async fn close(&self) {
        self.writer.close();
        self.readers.close().await;
    }

    /// Rows that were lost for want of disk and memory.
    pub(crate) fn lost(&self) -> u64 {
        self.journal.lost()
    }

    /// What an error of a reader means.
    pub(crate) fn explain(&self, error: &sqlx::Error) -> StoreError {
        explain(&self.file, error)
    }
}

/// Folds every second until `stop`, so that a power cut costs no more than that.
pub(crate) async fn keep_folding(sqlite: Arc<Sqlite>, stop: CancellationToken) {
    let mut tick = tokio::time::interval(FOLD_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut failing = false;
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            () = stop.cancelled() => return,
        }
        match (sqlite.fold().await, failing) {
            (Err(error), false) => {
                warn!(%error, "rows wait to be stored");
                failing = true;
            }
            (Ok(()), true) => {
                info!("rows are stored again");
                failing = false;
            }
            _ => {}
        }
    }
}

fn options(file: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        // What was acknowledged survives a power cut.
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY)
        .foreign_keys(true)
        .pragma("cell_size_check", "ON")
        .pragma("trusted_schema", "OFF")
        .pragma("journal_size_limit", "67108864")
        .disable_statement_logging()
}

/// Refuses a damaged file before a byte of it changes.
async fn check(file: &Path, connection: &mut SqliteConnection) -> Result<()> {
    let size = std::fs::metadata(file).map_or(0, |file| file.len());
    if size > CHECKED {
        warn!(file = %file.display(), size, "the store is too large to be checked whole at the start");
        return Ok(());
    }
    let found: String = sqlx::query_scalar("PRAGMA quick_check(1)")
        .fetch_one(connection)
        .await
        .map_err(|error| explain(file, &error))?;
    if found == "ok" {
        return Ok(());
    }
    Err(StoreError::Corrupt {
        file: file.to_owned(),
        detail: found,
    })
}

async fn migrate(file: &Path, connection: &mut SqliteConnection) -> Result<()> {
    let failed = |detail: String| StoreError::Failed {
        file: file.to_owned(),
        detail,
    };
    match schema::migrator().run_direct(None, connection, false).await {
        Ok(()) => Ok(()),
        Err(MigrateError::VersionMissing(found)) => Err(StoreError::Newer {
            file: file.to_owned(),
            found,
            known: schema::newest(),
        }),
        Err(MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)) => {
            Err(explain(file, &error))
        }
        Err(other) => Err(failed(other.to_string())),
    }
}

/// A time as the tables keep it: Unix milliseconds.
pub(crate) fn millis(at: Timestamp) -> i64 {
    at.as_millisecond()
}

/// A time of a table.
pub(crate) fn time(millis: i64) -> sqlx::Result<Timestamp> {
    Timestamp::from_millisecond(millis).map_err(|error| sqlx::Error::Decode(error.into()))
}
