//! The store: all roles on one backend.

use std::path::PathBuf;
use std::sync::Arc;

#[cfg(feature = "sqlite")]
use tokio_util::sync::CancellationToken;
#[cfg(feature = "sqlite")]
use tokio_util::task::TaskTracker;

use crate::error::{Result, StoreError};
use crate::{Counters, Experiments, Inbox, Keys, Kv, Ledger, Outbox, Sessions};
use crate::{chats, counters, experiments, keys, kv, ledger};

/// Where things are remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In this process, until it ends.
    Memory,
    /// In a SQLite file; its folder holds the file's companions too.
    Sqlite(PathBuf),
}

impl Place {
    /// Reads `memory:` or `sqlite:PATH`.
    ///
    /// # Errors
    /// `Unsupported` for any other address.
    pub fn parse(url: &str) -> Result<Self> {
        let path = url.strip_prefix("sqlite:");
        // `sqlite:///var/a.db` and `sqlite:/var/a.db` are the same.
        let path = path.map(|path| path.strip_prefix("//").unwrap_or(path));
        match (url, path) {
            ("memory:", _) => Ok(Self::Memory),
            (_, Some(path)) if !path.is_empty() => Ok(Self::Sqlite(path.into())),
            _ if url.starts_with("postgres") => Err(StoreError::Unsupported(
                "PostgreSQL is not supported by this version; use `sqlite:PATH`".to_owned(),
            )),
            _ => Err(StoreError::Unsupported(
                "the store is `sqlite:PATH`, or `memory:` for one that ends with the process"
                    .to_owned(),
            )),
        }
    }
}

/// All roles on one backend. Clones share it.
#[derive(Clone, Debug)]
pub struct Store {
    /// Keys of callers.
    pub keys: Arc<dyn Keys>,
    /// What calls cost.
    pub ledger: Arc<dyn Ledger>,
    /// What limits have counted.
    pub counters: Arc<dyn Counters>,
    /// What skills remember.
    pub kv: Arc<dyn Kv>,
    /// Comparisons of models.
    pub experiments: Arc<dyn Experiments>,
    /// What people said to bots.
    pub inbox: Arc<dyn Inbox>,
    /// What leaves for chat platforms.
    pub outbox: Arc<dyn Outbox>,
    /// Conversations.
    pub sessions: Arc<dyn Sessions>,
    #[cfg(feature = "sqlite")]
    file: Option<Arc<Open>>,
}

/// An open file and the tasks that serve it.
#[cfg(feature = "sqlite")]
#[derive(Debug)]
struct Open {
    sqlite: Arc<crate::sqlite::Sqlite>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

#[cfg(feature = "sqlite")]
impl Drop for Open {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Store {
    /// Opens the store at `place`, within the present runtime. What a killed process left half done is finished first.
    ///
    /// # Errors
    /// The file is in use, damaged, newer than this version, or can't be read or written. It is left as it was.
    pub async fn open(place: &Place) -> Result<Self> {
        match place {
            Place::Memory => Ok(Self::memory()),
            #[cfg(feature = "sqlite")]
            Place::Sqlite(file) => Self::sqlite(file).await,
            #[cfg(not(feature = "sqlite"))]
            Place::Sqlite(_) => Err(StoreError::Unsupported(
                "this build has no SQLite; use `memory:`".to_owned(),
            )),
        }
    }

    /// A store that ends with the process.
    pub fn memory() -> Self {
        let chats = Arc::new(chats::Memory::default());
        Self {
            inbox: Arc::clone(&chats) as _,
            outbox: Arc::clone(&chats) as _,
            sessions: chats,
            keys: Arc::new(keys::Memory::default()),
            ledger: Arc::new(ledger::Memory::default()),
            counters: Arc::new(counters::Memory::default()),
            kv: Arc::new(kv::Memory::default()),
            experiments: Arc::new(experiments::Memory::default()),
            #[cfg(feature = "sqlite")]
            file: None,
        }
    }

    #[cfg(feature = "sqlite")]
    async fn sqlite(file: &std::path::Path) -> Result<Self> {
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let sqlite = Arc::new(crate::sqlite::Sqlite::open(file, &tasks).await?);
        sqlite.fold().await?;
        tasks.spawn(crate::sqlite::keep_folding(
            Arc::clone(&sqlite),
            stop.clone(),
        ));
        let chats = Arc::new(chats::Sqlite(Arc::clone(&sqlite)));
        Ok(Self {
            inbox: Arc::clone(&chats) as _,
            outbox: Arc::clone(&chats) as _,
            sessions: chats,
            keys: Arc::new(keys::Sqlite(Arc::clone(&sqlite))),
            ledger: Arc::new(ledger::Sqlite(Arc::clone(&sqlite))),
            counters: Arc::new(counters::Sqlite(Arc::clone(&sqlite))),
            kv: Arc::new(kv::Sqlite(Arc::clone(&sqlite))),
            experiments: Arc::new(experiments::Sqlite(Arc::clone(&sqlite))),
            file: Some(Arc::new(Open {
                sqlite,
                tasks,
                stop,
            })),
        })
    }

    /// Writes what waits and closes the file; whatever is asked of the store afterwards fails.
    ///
    /// # Errors
    /// Rows that wait can't be written. Their journal stays, and the next start reads it.
    pub async fn close(&self) -> Result<()> {
        #[cfg(feature = "sqlite")]
        if let Some(open) = &self.file {
            open.stop.cancel();
            let folded = open.sqlite.fold().await;
            open.sqlite.close().await;
            open.tasks.close();
            open.tasks.wait().await;
            return folded;
        }
        Ok(())
    }

    /// Rows that were lost since the start, because neither disk nor memory had room for them.
    pub fn lost(&self) -> u64 {
        #[cfg(feature = "sqlite")]
        if let Some(open) = &self.file {
            return open.sqlite.lost();
        }
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_can_be_opened_on_any_thread() {
        fn is_send(_: impl Send) {}
        is_send(Store::open(&Place::Memory));
    }
}
