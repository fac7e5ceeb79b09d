//! `moltctl cache`.

use moltbot_types::admin::CacheStatus;
use serde::Deserialize;

use super::Context;
use crate::cli::Cache;
use crate::failure::Failure;
use crate::output;

#[derive(Deserialize)]
struct Cleared {
    detail: String,
}

pub(super) async fn run(context: &Context, command: &Cache) -> Result<(), Failure> {
    match command {
        Cache::Stats => {
            let stats: CacheStatus = context.client.get("cache").await?;
            if context.json() {
                return output::json(&stats);
            }
            let row = [
                stats.entries.to_string(),
                stats.bytes.to_string(),
                stats.hits.to_string(),
                stats.misses.to_string(),
                format!("{:.1} %", stats.ratio * 100.0),
            ];
            output::table(["ENTRIES", "BYTES", "HITS", "MISSES", "RATIO"], [row])
        }
        Cache::Clear => {
            let cleared: Cleared = context.client.delete("cache").await?;
            context.done(&cleared.detail)
        }
    }
}
