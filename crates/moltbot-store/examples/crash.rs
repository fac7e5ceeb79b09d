//! What the crash tests kill, and what meets a full disk. It says on standard output what was acknowledged.

use std::io::{self, Write};
use std::path::PathBuf;

use jiff::Timestamp;
use moltbot_store::ledger::{LedgerRow, UsageQuery};
use moltbot_store::{Place, Store, StoreError};
use moltbot_types::{ModelName, RequestId, Usage, Workspace};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(what), Some(folder)) = (arguments.next(), arguments.next()) else {
        return Err("usage: crash write|full FOLDER".into());
    };
    let folder = PathBuf::from(folder);
    let store = Store::open(&Place::Sqlite(folder.join("moltbot.db"))).await?;
    match what.as_str() {
        "write" => write(&store).await?,
        _ => full(&store, &folder.join("ballast")).await?,
    }
    Ok(())
}

fn row() -> LedgerRow {
    LedgerRow {
        request: RequestId::new(),
        at: Timestamp::now(),
        workspace: Workspace::default(),
        model: ModelName::from("m"),
        served: ModelName::from("m"),
        key: None,
        usage: Usage::default(),
        cost_nano: 1,
        cached: false,
        status: 200,
    }
}

/// Writes until it is killed. A line is printed once what it names was acknowledged.
async fn write(store: &Store) -> Result<(), Box<dyn std::error::Error>> {
    let workspace = Workspace::default();
    loop {
        let row = row();
        store.ledger.append(&row)?;
        say(&format!("row {}", row.request))?;
        let key = RequestId::new().to_string();
        let kept = store.kv.set(&workspace, "s", &key, "1".to_owned());
        kept.await?;
        say(&format!("key {key}"))?;
    }
}

/// Fills the disk, goes on as one does who is told so, and frees some room by removing `ballast`.
async fn full(store: &Store, ballast: &PathBuf) -> Result<(), Box<dyn std::error::Error>> {
    let workspace = Workspace::default();
    let value = format!("\"{}\"", "x".repeat(60_000));
    let mut kept = 0;
    let refused = loop {
        let key = kept.to_string();
        match store.kv.set(&workspace, "s", &key, value.clone()).await {
            Ok(()) => kept += 1,
            Err(error) => break error,
        }
    };
    say(&format!("refused {refused}"))?;
    if !matches!(refused, StoreError::Full(_)) {
        return Err("the disk was full and the store says something else".into());
    }
    let mut waiting = 0;
    for _ in 0..500 {
        waiting += u32::from(store.ledger.append(&row()).is_err());
    }
    say(&format!("waiting {waiting}"))?;
    std::fs::remove_file(ballast)?;
    let usage = store.ledger.usage(&UsageQuery::default()).await?;
    say(&format!(
        "calls {}",
        usage.iter().map(|sum| sum.calls).sum::<u64>()
    ))?;
    store
        .kv
        .set(&workspace, "s", "after", "1".to_owned())
        .await?;
    for key in 0..kept {
        let found = store.kv.get(&workspace, "s", &key.to_string()).await?;
        if found.as_ref() != Some(&value) {
            return Err(format!("the value {key} was acknowledged and is lost").into());
        }
    }
    say(&format!("lost {}", store.lost()))?;
    store.close().await?;
    Ok(())
}

fn say(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}
