//! How fast the store is: `cargo run --release -p moltbot-store --example rate [FOLDER]`.

use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use moltbot_store::ledger::{LedgerRow, UsageQuery};
use moltbot_store::{Place, Store, StoreError};
use moltbot_types::{ModelName, RequestId, Usage, Workspace};
use tokio::task::JoinSet;
use tokio::time::Instant;

const ROWS: u32 = 200_000;
const WRITERS: [usize; 3] = [1, 16, 256];

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args().nth(1).map(PathBuf::from);
    let folder = folder.unwrap_or_else(|| {
        std::env::temp_dir().join(format!("moltbot-rate-{}", std::process::id()))
    });
    let store = Store::open(&Place::Sqlite(folder.join("moltbot.db"))).await?;
    ledger(&store).await?;
    for writers in WRITERS {
        acknowledged(&store, writers).await?;
    }
    store.close().await?;
    Ok(())
}

/// Rows as fast as they are taken, then until all are in their tables.
async fn ledger(store: &Store) -> Result<(), StoreError> {
    let begun = Instant::now();
    let mut took = Vec::with_capacity(ROWS as usize);
    for _ in 0..ROWS {
        let row = row();
        let began = Instant::now();
        store.ledger.append(&row)?;
        took.push(began.elapsed());
    }
    let appended = begun.elapsed();
    let sums = store.ledger.usage(&UsageQuery::default()).await?;
    let folded = begun.elapsed();
    took.sort();
    let at = |share: usize| took[took.len() * share / 1000];
    println!(
        "append: p50 {:?}, p99 {:?}, p99.9 {:?}",
        at(500),
        at(990),
        at(999)
    );
    println!(
        "appended: {:.0} rows/s",
        f64::from(ROWS) / appended.as_secs_f64()
    );
    println!(
        "in their tables: {:.0} rows/s",
        f64::from(ROWS) / folded.as_secs_f64()
    );
    println!(
        "calls in the sums: {}",
        sums.iter().map(|sum| sum.calls).sum::<u64>()
    );
    Ok(())
}

/// Changes that are on the disk when they return.
async fn acknowledged(store: &Store, writers: usize) -> Result<(), Box<dyn std::error::Error>> {
    let begun = Instant::now();
    let mut tasks = JoinSet::new();
    for writer in 0..writers {
        let kv = std::sync::Arc::clone(&store.kv);
        tasks.spawn(async move {
            let workspace = Workspace::default();
            let mut kept = 0_u64;
            while begun.elapsed() < Duration::from_secs(3) {
                let key = format!("{writer}-{}", kept % 100);
                kv.set(&workspace, "rate", &key, "1".to_owned()).await?;
                kept += 1;
            }
            Ok::<_, StoreError>(kept)
        });
    }
    let mut kept = 0;
    while let Some(done) = tasks.join_next().await {
        kept += done??;
    }
    let rate = kept as f64 / begun.elapsed().as_secs_f64();
    println!("acknowledged by {writers} writers: {rate:.0} changes/s");
    Ok(())
}

fn row() -> LedgerRow {
    LedgerRow {
        request: RequestId::new(),
        at: Timestamp::now(),
        workspace: Workspace::default(),
        model: ModelName::from("primary-model"),
        served: ModelName::from("primary-model"),
        key: Some("key_0a1b2c3d".to_owned()),
        usage: Usage {
            input: 900,
            output: 150,
            estimated: false,
        },
        cost_nano: 525_000,
        cached: false,
        status: 200,
    }
}
