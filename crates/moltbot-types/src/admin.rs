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

/// One line of the audit log; `GET /admin/v1/audit`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct AuditEntry {
    /// When, RFC 3339.
    pub ts: String,
    /// How it came: `socket`, `token`, `offline` (with the daemon down), or `daemon` for what it saw itself.
    pub actor: String,
    /// The workspace that it was for.
    pub workspace: String,
    /// The method and path of the admin request, or what the daemon saw.
    pub action: String,
    /// `done`, or `refused with` the exit code; a number where something is counted.
    pub outcome: String,
    /// The id of what was made or changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// What a key of the configuration said before, a secret hidden.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<serde_json::Value>,
    /// What it says now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<serde_json::Value>,
}

/// Whether the audit log is what was written; `GET /admin/v1/audit/verify`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AuditVerdict {
    /// Whether every line is.
    pub ok: bool,
    /// Lines that were looked at.
    pub lines: usize,
    /// The first line that is not, from 1.
    pub broken: Option<usize>,
    /// The hash of the last line: kept elsewhere, it tells a whole new file too.
    pub last: Option<String>,
}

/// One check of a house; `GET /admin/v1/doctor`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Check {
    /// Names it, such as `files.secrets`.
    pub id: String,
    /// `ok`, `warn` or `fail`.
    pub status: String,
    /// What was found.
    pub what: String,
    /// What to do; empty where all is well.
    pub cure: String,
}

/// A key that was made; `POST /admin/v1/keys`. Its text is told this once.
#[derive(Clone, Serialize, Deserialize)]
pub struct NewKey {
    /// Names it from now on.
    pub id: String,
    /// Its text.
    pub key: String,
    /// The workspace that it belongs to.
    pub workspace: String,
    /// What it may do there.
    pub role: String,
    /// From when on it is refused, RFC 3339; `null` is never.
    pub expires: Option<String>,
    /// The name that its owner gave it.
    pub name: String,
    /// The models that it may use; `null` is all that the policy allows.
    pub models: Option<Vec<String>>,
}

/// One key of a caller; `GET /admin/v1/keys`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct KeyStatus {
    /// Names it.
    pub id: String,
    /// The name that its owner gave it.
    pub name: String,
    /// The workspace that it belongs to.
    pub workspace: String,
    /// What it may do there.
    pub role: String,
    /// `active`, `overlap` (replaced, and good for a while), `replaced`, `expired` or `revoked`.
    pub state: String,
    /// The models that it may use; `null` is all that the policy allows.
    pub models: Option<Vec<String>>,
    /// When it was made, RFC 3339; `null` for the key in the home's file.
    pub created: Option<String>,
    /// From when on it is refused, RFC 3339; `null` is never.
    pub expires: Option<String>,
    /// When it was last shown, RFC 3339, to within half a minute.
    pub last_used: Option<String>,
    /// The key that took its place.
    pub replaced_by: Option<String>,
}

/// As whom the calls of one model leave; `GET /admin/v1/auth`, `POST /admin/v1/auth/check`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct CredentialStatus {
    /// The model.
    pub model: String,
    /// Names the credential: `model/NAME` or `profile/NAME`; `null` where calls leave as nobody.
    pub credential: Option<String>,
    /// `none`, `api_key`, `oauth` or `missing`.
    pub kind: String,
    /// Whether it is good; `null` where nobody has tried.
    pub ok: Option<bool>,
    /// What is to blame where it is not: `secret`, `clock` or `server`.
    pub cause: Option<String>,
    /// What happened, and what to do.
    pub detail: Option<String>,
    /// Seconds that its token still lives.
    pub lives_s: Option<u64>,
    /// Seconds that this machine's clock is ahead of the token server's.
    pub skew_s: Option<i64>,
}

/// One workspace; `GET /admin/v1/workspaces`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct WorkspaceStatus {
    /// Its name.
    pub name: String,
    /// Whether commands that name no workspace work in it.
    pub current: bool,
    /// `ok`, `last_good` (a file is invalid, and what it was is in force) or `invalid`.
    pub state: String,
    /// Its own models.
    pub models: Vec<String>,
    /// The shared models that its policy allows.
    pub shared_models: Vec<String>,
    /// Its channels.
    pub channels: Vec<String>,
    /// Keys that have another role here than their own.
    pub members: usize,
    /// What is wrong with its files, each with file, line and key.
    pub problems: Vec<String>,
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
    /// What embeds a web chat in another page.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub snippet: Option<String>,
}

/// What is asked of a channel: `POST /admin/v1/channels/NAME/simulate` and `…/send`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ChannelOrder {
    /// Who says it, for a trial.
    pub sender: String,
    /// Where it is said, or where it is sent.
    pub room: Option<String>,
    /// The text.
    pub text: String,
    /// A trial's answer is sent, and skills write.
    pub deliver: bool,
}

/// What came of an order.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Done {
    /// Whether it went well.
    pub ok: bool,
    /// What happened.
    pub detail: String,
}

/// One sending; `GET /admin/v1/outbox`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OutboxRow {
    /// Its id.
    pub id: String,
    /// The channel that it leaves by.
    pub channel: String,
    /// Where it goes.
    pub to: String,
    /// `prepared`, `sending`, `delivered`, `failed`, `unknown`, `expired` or `dropped`.
    pub state: String,
    /// How often it was tried.
    pub attempts: u32,
    /// Seconds since it was prepared.
    pub age_s: u64,
    /// What went wrong last.
    pub error: Option<String>,
}

/// What calls used; `GET /admin/v1/usage`. What rows are not told apart by is `null`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UsageSum {
    /// The workspace.
    pub workspace: Option<String>,
    /// The model that answered.
    pub model: Option<String>,
    /// The id of the key that was shown; `null` also where none was asked for.
    pub key: Option<String>,
    /// The day (UTC), `2026-11-25`.
    pub day: Option<String>,
    /// Calls.
    pub calls: u64,
    /// Tokens read.
    pub tokens_in: u64,
    /// Tokens written.
    pub tokens_out: u64,
    /// US dollars, each call at the price of its time.
    pub cost_usd: f64,
}

/// A comparison of models, as it is ordered; the body of `POST /admin/v1/tests`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct TestOrder {
    /// Its name.
    pub name: String,
    /// The models, the baseline first.
    pub models: Vec<String>,
    /// Units over all arms together.
    pub sample_size: Option<u64>,
    /// `user` or `request`.
    pub unit: Option<String>,
    /// How units are spread over the models; empty is evenly.
    pub weights: Vec<f64>,
    /// What decides.
    pub metric: Option<String>,
    /// The least difference that matters, in the metric's unit.
    pub mde: Option<f64>,
    /// `METRIC:MARGIN`: what must not get worse by more.
    pub guards: Vec<String>,
    /// Calls to this model join.
    pub model: Option<String>,
}

/// One comparison of models; `GET /admin/v1/tests`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TestStatus {
    /// Its name.
    pub name: String,
    /// `running`, `complete`, `harmed`, `stopped` or `promoted`.
    pub state: String,
    /// What decides.
    pub metric: String,
    /// Units that have an arm.
    pub units: u64,
    /// Units that it wants.
    pub sample_size: u64,
    /// The models, the baseline first.
    pub arms: Vec<String>,
}

/// The answer to an admin request that failed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Failure {
    /// What happened and what to do, one sentence each problem.
    pub error: String,
    /// The exit code that `moltctl` gives for it: 1, 2, 3, 4, 5 or 78.
    pub exit: u8,
}

/// `POST /admin/v1/drill`: takes a part away for a while and tells what callers felt.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DrillOrder {
    /// What is taken away.
    pub take: DrillPart,
    /// The model that loses it; `None` is the first one that can do without.
    pub model: Option<String>,
    /// Short calls to the model in each phase.
    pub calls: usize,
}

/// What a drill takes away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DrillPart {
    /// One target: a server that the daemon runs is killed, any other one is held back.
    Instance,
    /// The primaries of the region.
    Node,
    /// All targets of the region.
    Region,
}

/// What came of a drill.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DrillReport {
    /// What was taken away.
    pub take: DrillPart,
    /// The model that lost it.
    pub model: String,
    /// The targets that were taken away.
    pub taken: Vec<String>,
    /// Whether a process was killed; else the targets were held back.
    pub killed: bool,
    /// `before`, `during` and `after`.
    pub phases: Vec<DrillPhase>,
    /// From the loss to the first answer of another target, in milliseconds; `null` where none came.
    pub elsewhere_ms: Option<f64>,
    /// Until what was taken took calls again, in milliseconds: from the kill, or from its release; `null`
    /// where it is not back yet.
    pub back_ms: Option<f64>,
}

/// What the calls of one phase felt.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DrillPhase {
    /// Its name.
    pub phase: String,
    /// Calls.
    pub calls: usize,
    /// Calls that failed.
    pub errors: usize,
    /// The first failure, in words.
    pub error: Option<String>,
    /// Attempts of all calls together.
    pub attempts: usize,
    /// The median time of an answer in milliseconds; `null` where there was none.
    pub p50_ms: Option<f64>,
    /// The time that 99 of 100 answers stay below, in milliseconds.
    pub p99_ms: Option<f64>,
    /// Who answered how often.
    pub served: Vec<DrillServed>,
}

/// One who answered.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DrillServed {
    /// The target.
    pub target: String,
    /// Its answers.
    pub calls: usize,
}

/// What the cache holds, and what came of it since the daemon's start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CacheStatus {
    /// Answers that are remembered.
    pub entries: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Calls that were answered by one, or shared another's.
    pub hits: u64,
    /// Calls for which a model was asked.
    pub misses: u64,
    /// Hits of all that were looked up, 0 to 1.
    pub ratio: f64,
}
