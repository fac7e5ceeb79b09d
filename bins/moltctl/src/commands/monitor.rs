//! `moltctl monitor`.

use std::io::ErrorKind;

use moltbot_telemetry::monitor::{self, MonitorSettings};
use serde_json::{Value, json};

use super::Context;
use crate::cli::Monitor;
use crate::failure::Failure;
use crate::output::{self, line};

pub(super) async fn run(context: &Context, command: &Monitor) -> Result<(), Failure> {
    let Monitor::Init { dir } = command;
    let mut settings = MonitorSettings::default();
    if let Some(admin) = admin(context).await {
        settings.admin = admin;
    }
    let report = monitor::write(dir, &settings).map_err(|error| {
        let cure = match error.kind() {
            ErrorKind::NotADirectory | ErrorKind::AlreadyExists => "it is a file; name a folder",
            _ => "name a folder that this user may write",
        };
        Failure::new(2, format!("{}: {error}; {cure}", dir.display()))
    })?;
    if context.json() {
        return output::json(&json!({ "created": report.created, "kept": report.kept }));
    }
    if context.global.quiet {
        return Ok(());
    }
    for path in &report.created {
        line(&format!("made {}", path.display()))?;
    }
    for path in &report.kept {
        line(&format!("kept {}", path.display()))?;
    }
    line(&format!(
        "\nnext: prometheus --config.file={}",
        dir.join("prometheus.yml").display()
    ))
}

/// Where the daemon's control plane is: where it listens now, else where the configuration says.
async fn admin(context: &Context) -> Option<String> {
    let home = context.client.home();
    let bound = std::fs::read(home.run_file()).ok();
    let bound = bound.and_then(|text| serde_json::from_slice::<Value>(&text).ok());
    if let Some(Value::String(admin)) = bound.as_ref().and_then(|bound| bound.get("admin")) {
        return Some(admin.clone());
    }
    let configured: Value = context
        .client
        .get("config/values/server%2Eadmin")
        .await
        .ok()?;
    configured.as_str().map(str::to_owned)
}
