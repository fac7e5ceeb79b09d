//! The checked configuration, as plain structs: whoever holds one need not check anything again.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use indexmap::IndexMap;
use schemars::JsonSchema;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::unit::{self, PositiveTime, Size, Time};

pub use crate::cache::{Cache, CacheTemperature};
pub use crate::channel::{Channel, ChannelKind, ChannelMode, MessageFormat, SessionOf};
pub use crate::filters::{FilterAction, Filters, OnError, Pattern, Safety, SafetyAction, Words};
pub use crate::policy::{
    Allowance, FilterName, Member, MemberRole, Policy, WorkspaceFilters, WorkspaceLimits,
};
pub use crate::rate::{Rate, Spend};
pub use crate::workspace::{Rules, Workspace};

/// The whole configuration of a home.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// The daemon's own listeners, workers and limits.
    pub server: Server,
    /// What holds for all models.
    pub model: ModelSettings,
    /// The models, in the order of the file. Names are unique.
    pub models: Vec<Model>,
    /// Where this node runs; its own region's targets come first.
    pub region: Option<String>,
    /// What is logged, and how long it is kept.
    pub logs: Logs,
    /// The workspaces, `default` first, then by name.
    pub workspaces: Vec<Workspace>,
    /// The secrets of skills by the name of their entry in `auth.json`: `skill.NAME`, or `WORKSPACE/skill.NAME` of a
    /// workspace's own.
    pub skill_secrets: BTreeMap<String, BTreeMap<String, SecretString>>,
    /// Where things are remembered.
    pub store: Store,
    /// What must not pass.
    pub filters: Filters,
    /// Where closed days of the log go, if anywhere.
    pub archive: Option<Archive>,
    /// Skills of all workspaces.
    pub skills: Skills,
    /// Answers that are remembered.
    pub cache: Cache,
}

impl Config {
    /// The shared model of that name.
    pub fn model(&self, name: &str) -> Option<&Model> {
        self.models.iter().find(|model| model.name == name)
    }

    /// The workspace of that name.
    pub fn workspace(&self, name: &str) -> Option<&Workspace> {
        self.workspaces
            .iter()
            .find(|workspace| workspace.name == name)
    }
}

/// The daemon's own listeners, workers and limits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Server {
    /// Address of the data plane, `host:port`. Takes effect at a start.
    #[schemars(extend("format" = "address", "x-restart" = true))]
    pub listen: String,
    /// Address of the control plane, `host:port`. Takes effect at a start.
    #[schemars(extend("format" = "address", "x-restart" = true))]
    pub admin: String,
    /// Whether callers must show a key.
    pub auth: AuthMode,
    /// The certificate that the data plane shows; without it, it speaks plain HTTP. Changed files are in force within
    /// two seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// Worker threads; 0 is one per core. Takes effect at a start.
    #[schemars(range(max = 1024), extend("x-restart" = true))]
    pub workers: usize,
    /// What a caller may use up.
    pub limits: Limits,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:18789".to_owned(),
            admin: "127.0.0.1:18790".to_owned(),
            auth: AuthMode::default(),
            tls: None,
            workers: 0,
            limits: Limits::default(),
        }
    }
}

/// A certificate and its key, PEM files; relative paths start from the home.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The certificate, followed by those between it and its authority.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// Whether callers must show a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AuthMode {
    /// Every call shows a key.
    #[default]
    Keys,
    /// No key is asked for; only on loopback.
    None,
}

/// What callers may use up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Most bytes of a request's body.
    #[serde(with = "unit::size")]
    #[schemars(with = "Size")]
    pub body: u64,
    /// Longest time until a request's headers are complete.
    #[serde(with = "unit::time")]
    #[schemars(with = "PositiveTime")]
    pub header_timeout: Duration,
    /// Most open connections.
    #[schemars(range(min = 1))]
    pub connections: usize,
    /// Most calls at once.
    #[schemars(range(min = 1))]
    pub concurrency: usize,
    /// Longest time a call waits for its turn.
    #[serde(with = "unit::time")]
    #[schemars(with = "Time")]
    pub queue_wait: Duration,
    /// Most bytes of a whole answer.
    #[serde(with = "unit::size")]
    #[schemars(with = "Size")]
    pub reply: u64,
    /// Most bytes of one event of a stream.
    #[serde(with = "unit::size")]
    #[schemars(with = "Size")]
    pub event: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body: 32 << 20,
            header_timeout: Duration::from_secs(10),
            connections: 20_000,
            concurrency: 4096,
            queue_wait: Duration::from_millis(100),
            reply: 64 << 20,
            event: 1 << 20,
        }
    }
}

/// What holds for all models.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModelSettings {
    /// Default params by kind; already part of each [`Model::params`].
    pub defaults: BTreeMap<ModelKind, Params>,
    /// Moving on to other targets and models.
    pub failover: Failover,
    /// Repeats on the same target.
    pub retry: Retry,
    /// When a target is taken out.
    pub breaker: Breaker,
    /// How a target is picked.
    pub routing: Routing,
}

/// Moving on to other targets and models.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Failover {
    /// Whether a call may move on at all.
    pub enabled: bool,
    /// First rest of a failed target before it is probed again.
    #[serde(with = "unit::time")]
    #[schemars(with = "PositiveTime")]
    pub retry_interval: Duration,
    /// Attempts of the whole call, over all targets and models; at least 1.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_attempts: u32,
    /// Moves to another target per call, measured over 10 s; 0 to 1.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub budget: f64,
}

impl Default for Failover {
    fn default() -> Self {
        Self {
            enabled: true,
            retry_interval: Duration::from_secs(5),
            max_attempts: 6,
            budget: 0.5,
        }
    }
}

/// Repeats on the same target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Retry {
    /// First wait.
    #[serde(with = "unit::time")]
    #[schemars(with = "PositiveTime")]
    pub initial: Duration,
    /// Longest wait; not below `initial`.
    #[serde(with = "unit::time")]
    #[schemars(with = "PositiveTime")]
    pub max: Duration,
    /// Repeats per call, measured over 10 s; 0 to 1.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub budget: f64,
    /// Whether the wait that an upstream asks for is kept.
    pub honor_retry_after: bool,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            initial: Duration::from_millis(100),
            max: Duration::from_secs(5),
            budget: 0.2,
            honor_retry_after: true,
        }
    }
}

/// When a target is taken out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Breaker {
    /// Failures in a row; at least 1. More are needed of a target that fails now and then anyway.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub consecutive: u32,
    /// Share of failures in `window`; above 0, at most 1.
    #[schemars(range(max = 1.0), extend("exclusiveMinimum" = 0.0))]
    pub error_ratio: f64,
    /// Calls in `window` before `error_ratio` counts; at least 1.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub min_requests: u32,
    /// How far back calls are looked at.
    #[serde(with = "unit::time")]
    #[schemars(with = "PositiveTime")]
    pub window: Duration,
    /// Longest rest.
    #[serde(with = "unit::time")]
    #[schemars(with = "PositiveTime")]
    pub max_rest: Duration,
}

impl Default for Breaker {
    fn default() -> Self {
        Self {
            consecutive: 5,
            error_ratio: 0.5,
            min_requests: 20,
            window: Duration::from_secs(10),
            max_rest: Duration::from_secs(300),
        }
    }
}

/// How a target is picked among those that are well.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Routing {
    /// The rule.
    pub strategy: Strategy,
}

/// The rule by which a target is picked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// By the weights of the targets alone.
    Weighted,
    /// The one that answers fastest.
    #[default]
    LeastLatency,
    /// The one with the fewest calls under way.
    LeastInflight,
}

/// What a model is for.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum ModelKind {
    /// Conversations.
    #[default]
    Chat,
    /// Code.
    Code,
    /// Texts and images.
    Multimodal,
    /// Vectors.
    Embedding,
}

/// How a model is spoken to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Provider {
    /// The OpenAI dialect over HTTP.
    #[default]
    OpenAi,
    /// Answered by the daemon itself.
    Builtin,
}

/// A model as callers name it.
#[derive(Clone, Debug)]
pub struct Model {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub kind: ModelKind,
    /// How it is spoken to.
    pub provider: Provider,
    /// The provider's own name for it.
    pub model: String,
    /// Where it is answered; at least one, but none for [`Provider::Builtin`] and beside `instance`.
    pub targets: Vec<Target>,
    /// The servers that the daemon runs for it, each of which is a target.
    pub instance: Option<Instance>,
    /// Its own params over those of its kind.
    pub params: Params,
    /// How long each part of a call may take.
    pub timeouts: Timeouts,
    /// Most calls at once per target; `None` is no limit.
    pub concurrency: Option<usize>,
    /// As whom calls leave.
    pub auth: Auth,
    /// What its tokens cost.
    pub price: Price,
    /// Models that answer when this one cannot, in order. They exist, and no circle leads back.
    pub fallback: Vec<String>,
    /// Models that answer where the request does not suit this one.
    pub fallback_on: FallbackOn,
    /// While set, calls that name this model are answered by that one. It exists, and no circle leads back.
    pub switch_to: Option<String>,
}

/// What the tokens of a model cost, in dollars for a million.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Price {
    /// Tokens that it reads.
    #[schemars(range(min = 0.0, max = 1_000_000.0))]
    pub input: f64,
    /// Tokens that it writes.
    #[schemars(range(min = 0.0, max = 1_000_000.0))]
    pub output: f64,
}

/// Model servers of this machine that the daemon starts, watches and restarts.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["command"]))]
pub struct Instance {
    /// The program and its arguments. `{port}` stands for the port to listen on at `127.0.0.1`, which the
    /// variable `PORT` holds too. The server inherits the daemon's environment, the place for its secrets.
    #[schemars(length(min = 1))]
    pub command: Vec<String>,
    /// How many servers there are.
    #[schemars(range(min = 1, max = 256))]
    pub replicas: usize,
    /// When a server is ready for calls.
    pub ready: Ready,
}

impl Default for Instance {
    fn default() -> Self {
        Self {
            command: Vec::new(),
            replicas: 1,
            ready: Ready::default(),
        }
    }
}

/// When a model server is ready for calls.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Ready {
    /// Where a `GET` tells it.
    #[schemars(extend("format" = "url-path"))]
    pub path: String,
    /// How long a start may take before it is late; one that works then gets more time.
    #[serde(with = "unit::time")]
    #[schemars(with = "PositiveTime")]
    pub within: Duration,
}

impl Default for Ready {
    fn default() -> Self {
        Self {
            path: "/v1/models".to_owned(),
            within: Duration::from_secs(60),
        }
    }
}

/// One place that answers for a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// Its name; `None`: `model/index`.
    pub name: Option<String>,
    /// Its base URL, `http` or `https`, without credentials, query or fragment.
    pub url: String,
    /// Where it runs.
    pub region: Option<String>,
    /// Which part of the region.
    pub zone: Option<String>,
    /// Whether it serves always or stands by.
    pub role: Role,
    /// Its share among equals; at least 1.
    pub weight: u32,
}

/// Whether a target serves always or stands by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Serves always.
    #[default]
    Primary,
    /// Serves while no primary of its region is well.
    Standby,
}

/// Fields that are added to calls which set none of their own.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Params {
    /// The fields, under the name that the model takes. For [`Provider::Builtin`]: its script.
    pub fields: IndexMap<String, serde_json::Value>,
    /// Longest time until an unstreamed answer begins; also [`Timeouts::answer`].
    pub timeout: Option<Duration>,
}

/// How long each part of a call may take; all but `total` hold for one attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Timeouts {
    /// Until the connection stands.
    #[serde(with = "unit::time")]
    #[schemars(with = "PositiveTime")]
    pub connect: Duration,
    /// Until a stream's first content.
    #[serde(with = "unit::time")]
    #[schemars(with = "PositiveTime")]
    pub first_token: Duration,
    /// Between two pieces of a body.
    #[serde(with = "unit::time")]
    #[schemars(with = "PositiveTime")]
    pub idle: Duration,
    /// Until the body of an unstreamed answer begins.
    #[serde(with = "unit::time")]
    #[schemars(with = "PositiveTime")]
    pub answer: Duration,
    /// The whole call.
    #[serde(with = "unit::time")]
    #[schemars(with = "PositiveTime")]
    pub total: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            first_token: Duration::from_secs(30),
            idle: Duration::from_secs(30),
            answer: Duration::from_secs(120),
            total: Duration::from_secs(600),
        }
    }
}

/// As whom calls leave.
#[derive(Clone, Debug, Default)]
pub enum Auth {
    /// As nobody.
    #[default]
    None,
    /// With a key.
    ApiKey {
        /// Names the credential, never its secret: `model/NAME` or `profile/NAME`.
        id: String,
        /// The key, without blanks at its ends or control characters.
        key: SecretString,
    },
    /// With a token of OAuth 2.0: by the refresh token where there is one, else by client credentials.
    OAuth(OAuth),
    /// A secret is missing: the credential is dead, `fallback` answers.
    Missing {
        /// Names the credential, as above.
        id: String,
        /// What is missing and how to give it, in one sentence.
        what: String,
        /// Whether it would have tokens of OAuth 2.0.
        oauth: bool,
    },
}

impl Auth {
    /// Its name, never its secret; `None` where calls leave as nobody.
    pub fn id(&self) -> Option<&str> {
        match self {
            Self::None => None,
            Self::ApiKey { id, .. } | Self::Missing { id, .. } => Some(id),
            Self::OAuth(oauth) => Some(&oauth.id),
        }
    }

    /// Its secrets.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = &SecretString> {
        let secrets = match self {
            Self::None | Self::Missing { .. } => [None, None],
            Self::ApiKey { key, .. } => [Some(key), None],
            Self::OAuth(oauth) => [oauth.client_secret.as_ref(), oauth.refresh_token.as_ref()],
        };
        secrets.into_iter().flatten()
    }
}

/// A client of OAuth 2.0. It has a secret, a refresh token or both.
#[derive(Clone, Debug)]
pub struct OAuth {
    /// Names the credential: `model/NAME` or `profile/NAME`.
    pub id: String,
    /// The client, as the token server knows it.
    pub client_id: String,
    /// Its secret.
    pub client_secret: Option<SecretString>,
    /// Where tokens are fetched, `http` or `https`.
    pub token_url: String,
    /// What is asked for, words separated by blanks.
    pub scope: Option<String>,
    /// The refresh token that a person got.
    pub refresh_token: Option<SecretString>,
}

/// Models that answer where the request does not suit this one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FallbackOn {
    /// When the prompt is too long.
    pub context_window: Vec<String>,
    /// When the provider's policy refuses the content.
    pub content_policy: Vec<String>,
}

/// Where things are remembered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Store {
    /// `sqlite:` and an absolute path, or `memory:`.
    pub url: String,
}

/// Skills of all workspaces.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Skills {
    /// Whether scripts run only where the kernel can close their workers in.
    pub require_sandbox: bool,
    /// What makes an approved skill wait for `moltctl skill enable` again.
    pub approve: Approve,
}

impl Default for Skills {
    fn default() -> Self {
        Self {
            require_sandbox: true,
            approve: Approve::default(),
        }
    }
}

/// What makes an approved skill wait again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Approve {
    /// Any change of its files.
    #[default]
    Changes,
    /// A change of what it asks for.
    Permissions,
}

/// What is logged, and how long it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Logs {
    /// The least level that is written.
    pub level: Level,
    /// How long files are kept. Takes effect at a start.
    #[serde(with = "unit::time")]
    #[schemars(with = "PositiveTime", extend("x-restart" = true))]
    pub keep: Duration,
    /// Whether prompts and answers are written.
    pub content: bool,
    /// The object storage that closed days go to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) archive: Option<ArchiveForm>,
}

/// Object storage that closed days of the log go to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ArchiveForm {
    /// `s3://bucket/prefix`.
    pub(crate) url: String,
    /// How long after its end a day goes there.
    #[serde(with = "unit::time")]
    #[schemars(with = "Time")]
    pub(crate) after: Duration,
    /// How long it stays there.
    #[serde(with = "unit::time")]
    #[schemars(with = "PositiveTime")]
    pub(crate) keep: Duration,
    /// Base URL of the server; Amazon's where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) endpoint: Option<String>,
    /// Region of the bucket.
    pub(crate) region: String,
    /// Name of the key; better as `${env:NAME}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) access_key: Option<String>,
    /// Secret of the key; better as `${env:NAME}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) secret_key: Option<String>,
}

impl Default for ArchiveForm {
    fn default() -> Self {
        Self {
            url: String::new(),
            after: Duration::from_secs(86_400),
            keep: Duration::from_secs(365 * 86_400),
            endpoint: None,
            region: "us-east-1".to_owned(),
            access_key: None,
            secret_key: None,
        }
    }
}

/// Object storage that closed days of the log go to.
#[derive(Clone, Debug)]
pub struct Archive {
    /// `s3://bucket/prefix`.
    pub url: String,
    /// How long after its end a day goes there.
    pub after: Duration,
    /// How long it stays there.
    pub keep: Duration,
    /// Base URL of the server; Amazon's where absent.
    pub endpoint: Option<String>,
    /// Region of the bucket.
    pub region: String,
    /// Name of the key.
    pub access_key: Option<SecretString>,
    /// Secret of the key.
    pub secret_key: Option<SecretString>,
    /// Which secret is missing, and how to give it, in one sentence: nothing is archived until then.
    pub missing: Option<String>,
}

impl Default for Logs {
    fn default() -> Self {
        Self {
            level: Level::default(),
            keep: Duration::from_secs(7 * 86_400),
            content: false,
            archive: None,
        }
    }
}

/// How much a log line matters.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Every step.
    Trace,
    /// What a developer asks for.
    Debug,
    /// What happened.
    #[default]
    Info,
    /// What was saved by a retry or a fallback.
    Warn,
    /// What failed.
    Error,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        })
    }
}
