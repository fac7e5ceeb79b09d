//! Remembers answers: equal calls of one workspace are answered once while the answer lives.
//!
//! A call that finds no answer leads a flight: one upstream call, a task of its own, which every equal call joins that
//! comes while it is under way. The flight ends when its last listener leaves.

mod entry;
mod flight;
mod key;
mod step;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use moltbot_types::Workspace;
use tokio_util::task::TaskTracker;

use entry::Entry;
use flight::{Flight, Form};
use key::Key;

pub use step::{Caching, caching};

/// How much is remembered, and for how long.
#[derive(Clone, Debug, PartialEq)]
pub struct CacheSettings {
    /// How long an answer lives.
    pub ttl: Duration,
    /// Most bytes of all answers together.
    pub capacity: u64,
    /// Answers of calls that set a temperature above zero are remembered too.
    pub any_temperature: bool,
}

impl Default for CacheSettings {
    fn default() -> Self {
        Self {
            ttl: Duration::from_secs(3600),
            capacity: 256 << 20,
            any_temperature: false,
        }
    }
}

/// What became of calls that were looked up, since the start. It outlives a cache that is replaced.
#[derive(Debug, Default)]
pub struct Counts {
    hits: AtomicU64,
    misses: AtomicU64,
}

impl Counts {
    /// The counts alone: of a cache that holds nothing.
    pub fn stats(&self) -> CacheStats {
        CacheStats {
            hits: self.hits.load(Ordering::Relaxed),
            misses: self.misses.load(Ordering::Relaxed),
            ..CacheStats::default()
        }
    }
}

/// What a cache holds and what came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheStats {
    /// Answers that are remembered.
    pub entries: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Calls that were answered by one, or shared a flight.
    pub hits: u64,
    /// Calls for which the model was asked.
    pub misses: u64,
}

/// Remembered answers, and the flights that fetch new ones.
pub struct Cache {
    settings: CacheSettings,
    entries: moka::future::Cache<Key, Arc<Entry>>,
    flights: Mutex<HashMap<(Key, Form), Arc<Flight>>>,
    counts: Arc<Counts>,
    tasks: TaskTracker,
}

impl Cache {
    /// An empty cache. Its flights are tasks of `tasks`; what it counts is added to `counts`.
    pub fn new(settings: CacheSettings, counts: Arc<Counts>, tasks: TaskTracker) -> Self {
        let entries = moka::future::Cache::builder()
            .max_capacity(settings.capacity)
            .weigher(|_, entry: &Arc<Entry>| entry.weight())
            .time_to_live(settings.ttl)
            .support_invalidation_closures()
            .build();
        Self {
            settings,
            entries,
            flights: Mutex::default(),
            counts,
            tasks,
        }
    }

    /// How much it remembers, and for how long.
    pub fn settings(&self) -> &CacheSettings {
        &self.settings
    }

    /// What it holds now.
    pub async fn stats(&self) -> CacheStats {
        self.entries.run_pending_tasks().await;
        CacheStats {
            entries: self.entries.entry_count(),
            bytes: self.entries.weighted_size(),
            ..self.counts.stats()
        }
    }

    /// Forgets the answers of a workspace, or all of them. Flights under way are not remembered either.
    pub async fn clear(&self, workspace: Option<&Workspace>) {
        self.forget_flights(workspace);
        match workspace.cloned() {
            None => self.entries.invalidate_all(),
            Some(workspace) => {
                let of = move |_: &Key, entry: &Arc<Entry>| entry.workspace == workspace;
                // fails only where closures are not supported, which they are
                let _ = self.entries.invalidate_entries_if(of);
            }
        }
        self.entries.run_pending_tasks().await;
    }

    fn forget_flights(&self, workspace: Option<&Workspace>) {
        let mut flights = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
        flights.retain(|_, flight| {
            let stays = workspace.is_some_and(|workspace| flight.workspace() != workspace);
            if !stays {
                flight.forget();
            }
            stays
        });
    }

    fn hit(&self) {
        self.counts.hits.fetch_add(1, Ordering::Relaxed);
    }

    fn miss(&self) {
        self.counts.misses.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
