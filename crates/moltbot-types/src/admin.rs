//! Shapes of the admin API, as `moltctl` prints them with `--output json`. Fields may come, none goes.

use serde::{Deserialize, Serialize};

/// `GET /admin/v1/status`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Status {
    /// The daemon's version.
    pub version: String,
    /// Whether it takes calls.
    pub ready: bool,
    /// Seconds since it started.
    pub uptime_s: u64,
    /// The configuration in force.
    pub config: ConfigStatus,
    /// Models and their targets.
    pub models: Vec<ModelStatus>,
    /// Channels; empty while none runs.
    pub channels: Vec<ChannelStatus>,
    /// Started with channels and skills off, after repeated crashes.
    pub safe_mode: bool,
}

/// The configuration in force.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ConfigStatus {
    /// Counts applied configurations, from 1.
    pub generation: u64,
    /// What came of the last reload: `applied`, `unchanged`, `rejected`.
    pub result: String,
    /// What is wrong with the files, each with file, line and key; empty when nothing is.
    pub problems: Vec<String>,
}

/// One model.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ModelStatus {
    /// Its name.
    pub name: String,
    /// The workspace that sees it; `default` for shared ones.
    pub workspace: String,
    /// `up`, `degraded`, `down` or `no_credential`.
    pub state: String,
    /// Its targets.
    pub targets: Vec<TargetStatus>,
}

/// One target.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TargetStatus {
    /// Its name, else `model/index`.
    pub target: String,
    /// `up`, `resting` or `no_credential`.
    pub state: String,
    /// Calls under way.
    pub inflight: u64,
    /// Smoothed time to the first content, in milliseconds; `null` before the first answer.
    pub latency_ms: Option<f64>,
    /// Why it is not up.
    pub reason: Option<String>,
}

/// One channel.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ChannelStatus {
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: String,
    /// Its workspace.
    pub workspace: String,
    /// `running`, `disabled`, `missing_secret`, `failed` or `unused`.
    pub state: String,
    /// Why it does not run.
    pub reason: Option<String>,
    /// Messages received since the start.
    pub received: u64,
    /// Messages answered since the start.
    pub answered: u64,
    /// Messages failed since the start.
    pub failed: u64,
    /// Messages waiting.
    pub queued: u64,
}

/// The answer to an admin request that failed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Failure {
    /// What happened and what to do, one sentence each problem.
    pub error: String,
    /// The exit code that `moltctl` gives for it: 1, 2, 3, 4, 5 or 78.
    pub exit: u8,
}
