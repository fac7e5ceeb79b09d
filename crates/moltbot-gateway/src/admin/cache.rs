//! Remembered answers: how many there are, and forgetting them.

use moltbot_types::Workspace;
use moltbot_types::admin::CacheStatus;
use serde_json::json;

use super::{Admin, Answer, json};

impl Admin {
    pub(super) async fn cache_stats(&self) -> Answer {
        let stats = self.daemon()?.rt.cache.stats().await;
        let asked = stats.hits + stats.misses;
        json(&CacheStatus {
            entries: stats.entries,
            bytes: stats.bytes,
            hits: stats.hits,
            misses: stats.misses,
            ratio: match asked {
                0 => 0.0,
                asked => stats.hits as f64 / asked as f64,
            },
        })
    }

    pub(super) async fn cache_clear(&self, workspace: Option<&Workspace>) -> Answer {
        self.daemon()?.rt.cache.clear(workspace).await;
        let whose = workspace.map_or("all workspaces".to_owned(), |name| {
            format!("workspace {name}")
        });
        json(&json!({ "detail": format!("the answers of {whose} are forgotten") }))
    }
}
