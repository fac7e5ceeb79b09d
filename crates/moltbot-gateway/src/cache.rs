//! The one cache of the daemon: it outlives a reload that leaves its settings as they were.

use std::sync::{Arc, Mutex, PoisonError};

use moltbot_config::config;
use moltbot_router::cache::{Cache, CacheSettings, CacheStats, Counts};
use moltbot_types::Workspace;
use tokio_util::task::TaskTracker;

/// The cache in force, and what it counted.
#[derive(Default)]
pub(crate) struct Remembering {
    counts: Arc<Counts>,
    cache: Mutex<Option<Arc<Cache>>>,
}

impl Remembering {
    /// The cache with these settings; `None` where it is off.
    pub(crate) fn of(&self, config: &config::Cache, tasks: &TaskTracker) -> Option<Arc<Cache>> {
        let settings = CacheSettings {
            ttl: config.ttl,
            capacity: config.capacity,
            any_temperature: config.temperature == config::CacheTemperature::Any,
        };
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        let same = cache.as_ref().filter(|it| *it.settings() == settings);
        let next = config.enabled.then(|| match same {
            Some(same) => Arc::clone(same),
            None => Arc::new(Cache::new(
                settings,
                Arc::clone(&self.counts),
                tasks.clone(),
            )),
        });
        cache.clone_from(&next);
        next
    }

    /// What it holds and what came of it.
    pub(crate) async fn stats(&self) -> CacheStats {
        match self.now() {
            Some(cache) => cache.stats().await,
            None => self.counts.stats(),
        }
    }

    /// Forgets the answers of a workspace, or all.
    pub(crate) async fn clear(&self, workspace: Option<&Workspace>) {
        if let Some(cache) = self.now() {
            cache.clear(workspace).await;
        }
    }

    fn now(&self) -> Option<Arc<Cache>> {
        self.cache
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}
