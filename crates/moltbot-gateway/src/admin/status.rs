//! How the daemon is: state, metrics, log level, reload.

use moltbot_telemetry::Level;
use moltbot_types::Workspace;
use moltbot_types::admin::Status;
use serde::Deserialize;
use serde_json::json;

use super::{Admin, Answer, Refusal, json};
use crate::snapshot::Snapshot;

/// The body of `PUT log-level`.
#[derive(Deserialize)]
pub(super) struct Wanted {
    level: String,
}

/// Leaves what one workspace sees.
fn narrow(status: &mut Status, snapshot: &Snapshot, only: &str) {
    let path = snapshot.workspace(&only.into()).ok();
    status.models.retain(|model| {
        let is_shared = model.workspace == Workspace::DEFAULT;
        let is_seen = || path.is_some_and(|path| path.is_seen(&model.name));
        model.workspace == only || (is_shared && is_seen())
    });
    status.channels.retain(|channel| channel.workspace == only);
    let own = format!("workspaces/{only}/");
    let is_others =
        |problem: &String| problem.starts_with("workspaces/") && !problem.starts_with(&own);
    status.config.problems.retain(|problem| !is_others(problem));
}

impl Admin {
    /// How everything is, or what `only` one workspace sees of it.
    pub(super) fn status(&self, only: Option<&str>) -> Answer {
        let daemon = self.daemon()?;
        let snapshot = daemon.live.snapshot();
        let mut config = daemon.live.status();
        let workspaces: Vec<_> = snapshot
            .workspaces()
            .map(|path| path.name.clone())
            .collect();
        config
            .problems
            .extend(daemon.rt.skills.problems(&workspaces));
        let mut status = Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ready: !daemon.rt.drain.started(),
            uptime_s: daemon.begun.elapsed().as_secs(),
            config,
            models: crate::status::models(&snapshot),
            channels: daemon.channels.statuses(None),
            safe_mode: false,
        };
        if let Some(only) = only {
            narrow(&mut status, &snapshot, only);
        }
        json(&status)
    }

    pub(super) async fn reload(&self) -> Answer {
        let daemon = self.daemon()?;
        let reloaded = daemon.live.reload().await?;
        let words = if reloaded.changed {
            "is in force"
        } else {
            "is in force already; nothing changed"
        };
        json(&json!({
            "detail": format!("configuration {} {words}", reloaded.generation),
            "generation": reloaded.generation,
            "problems": reloaded.notices,
        }))
    }

    pub(super) fn log_level(&self) -> Answer {
        json(&json!({ "level": self.daemon()?.live.level().word() }))
    }

    /// Until the next reload that changes something.
    pub(super) fn set_log_level(&self, wanted: Wanted) -> Answer {
        let daemon = self.daemon()?;
        let level: Level = wanted
            .level
            .parse()
            .map_err(|error| Refusal::usage(format!("{error}")))?;
        daemon.live.set_level(level);
        self.log_level()
    }

    /// All metrics in Prometheus' text format; nothing where no daemon runs.
    pub(super) fn render_metrics(&self) -> String {
        let Some(daemon) = &self.daemon else {
            return String::new();
        };
        crate::status::publish(&daemon.live.snapshot(), &daemon.rt);
        daemon.rt.calls.render()
    }
}
