//! Keeps two local model servers running until Ctrl-C, and tells what happens to them:
//! `cargo run --example instances -- llama-server --model m.gguf --port {port}`

use std::error::Error;

use futures_util::future::join_all;
use moltbot_providers::instance::{Replica, guard};
use moltbot_providers::{Client, ClientSettings, InstanceSettings, Instances};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

fn main() -> Result<(), Box<dyn Error>> {
    // Before anything else: the servers' guards are this program too.
    guard::enter();
    tokio::runtime::Runtime::new()?.block_on(serve())
}

async fn serve() -> Result<(), Box<dyn Error>> {
    let settings = InstanceSettings {
        name: "local".to_owned(),
        command: std::env::args().skip(1).collect(),
        replicas: 2,
        ..InstanceSettings::default()
    };
    let client = Client::new(ClientSettings::default())?;
    let (tracker, cancel) = (TaskTracker::new(), CancellationToken::new());
    let instances = Instances::start(settings, client, &tracker, cancel.clone())?;
    let told = join_all(instances.replicas().iter().map(tell));
    tokio::select! {
        _ = told => {}
        interrupted = tokio::signal::ctrl_c() => interrupted?,
    }
    cancel.cancel();
    tracker.close();
    tracker.wait().await;
    Ok(())
}

/// Prints every change of a replica.
async fn tell(replica: &Replica) {
    let mut changes = replica.watch();
    loop {
        let status = changes.borrow_and_update().clone();
        let (index, state, url) = (replica.index(), status.state, status.base_url());
        let pid = status.pid.map_or("-".to_owned(), |pid| pid.to_string());
        let reason = status.reason.unwrap_or_default();
        println!("{index} {state} {url} {pid} {reason}");
        if changes.changed().await.is_err() {
            return;
        }
    }
}
