//! The form of `gateway.yaml` where it differs from the checked configuration.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use indexmap::IndexMap;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};

use crate::config::{
    Breaker, Cache, Failover, FallbackOn, Filters, Instance, Logs, ModelKind, Price, Retry, Role,
    Routing, Server, Skills, Timeouts,
};
use crate::preset;
use crate::unit::{self, PositiveTime};

/// The configuration of a MoltBot home.
#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "config/gateway.yaml")]
pub(crate) struct Form {
    /// The daemon's own listeners, workers and limits.
    pub(crate) server: Server,
    /// What holds for all models.
    pub(crate) model: SettingsForm,
    /// The models, each under its own name.
    pub(crate) models: Vec<ModelForm>,
    /// Where this node runs; its own region's targets come first.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub(crate) region: Option<String>,
    /// What is logged, and how long it is kept.
    pub(crate) logs: Logs,
    /// Where keys, usage, limits and tests are remembered.
    pub(crate) store: StoreForm,
    /// What must not pass.
    pub(crate) filters: Filters,
    /// Skills of all workspaces.
    pub(crate) skills: Skills,
    /// Answers that are remembered.
    pub(crate) cache: Cache,
}

/// Where things are remembered.
#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct StoreForm {
    /// `sqlite:PATH` (relative to the home), or `memory:` for what may be forgotten at the end of the daemon;
    /// `sqlite:${data}/moltbot.db` where absent. Takes effect at a start.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "store-url", "x-restart" = true))]
    pub(crate) url: Option<String>,
}

/// The models of a workspace: seen by it alone.
#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "models.yaml")]
pub(crate) struct ModelsForm {
    /// The models, each under its own name, which no shared model bears.
    pub(crate) models: Vec<ModelForm>,
}

/// What holds for all models.
#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct SettingsForm {
    /// Params by kind of model: a model's own win over them, and the caller's over both.
    pub(crate) defaults: Defaults,
    /// Moving on to other targets and models.
    pub(crate) failover: Failover,
    /// Repeats on the same target.
    pub(crate) retry: Retry,
    /// When a target is taken out.
    pub(crate) breaker: Breaker,
    /// How a target is picked.
    pub(crate) routing: RoutingForm,
}

/// Params by kind.
#[derive(Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Defaults {
    /// For models of kind `chat`.
    #[serde(skip_serializing_if = "ParamsForm::is_empty")]
    pub(crate) chat: ParamsForm,
    /// For models of kind `code`.
    #[serde(skip_serializing_if = "ParamsForm::is_empty")]
    pub(crate) code: ParamsForm,
    /// For models of kind `multimodal`.
    #[serde(skip_serializing_if = "ParamsForm::is_empty")]
    pub(crate) multimodal: ParamsForm,
    /// For models of kind `embedding`.
    #[serde(skip_serializing_if = "ParamsForm::is_empty")]
    pub(crate) embedding: ParamsForm,
}

impl Defaults {
    pub(crate) fn of(&self, kind: ModelKind) -> &ParamsForm {
        match kind {
            ModelKind::Chat => &self.chat,
            ModelKind::Code => &self.code,
            ModelKind::Multimodal => &self.multimodal,
            ModelKind::Embedding => &self.embedding,
        }
    }

    pub(crate) fn by_kind(&self) -> BTreeMap<ModelKind, &ParamsForm> {
        [
            ModelKind::Chat,
            ModelKind::Code,
            ModelKind::Multimodal,
            ModelKind::Embedding,
        ]
        .into_iter()
        .map(|kind| (kind, self.of(kind)))
        .filter(|(_, params)| !params.is_empty())
        .collect()
    }
}

/// How a target is picked among those that are well.
#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct RoutingForm {
    /// The rule: by weight alone, the fastest, or the one with the fewest calls under way.
    pub(crate) strategy: crate::config::Strategy,
    /// Whether calls stay with the target that served them before.
    pub(crate) affinity: Affinity,
}

/// Whether calls stay with a target.
#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Affinity {
    #[default]
    None,
}

impl From<RoutingForm> for Routing {
    fn from(form: RoutingForm) -> Self {
        Self {
            strategy: form.strategy,
        }
    }
}

/// Fields that are added to calls which set none of their own: any of the dialect's, such as
/// `max_tokens`, `stop_sequences` or `temperature`; for `builtin` its script.
#[derive(Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct ParamsForm {
    /// Longest time until an unstreamed answer begins; sets `timeouts.answer`.
    #[serde(with = "unit::some_time", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "PositiveTime")]
    pub(crate) timeout: Option<Duration>,
    #[serde(flatten)]
    #[schemars(with = "BTreeMap<String, serde_json::Value>")]
    pub(crate) fields: IndexMap<String, serde_json::Value>,
}

impl ParamsForm {
    pub(crate) fn is_empty(&self) -> bool {
        self.timeout.is_none() && self.fields.is_empty()
    }
}

/// A model as callers name it.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["name"]))]
pub(crate) struct ModelForm {
    /// The name that callers use.
    #[schemars(length(min = 1, max = 256))]
    pub(crate) name: String,
    /// What it is for; chooses its default params.
    pub(crate) kind: ModelKind,
    /// The dialect, or a vendor whose address is known.
    #[schemars(extend("enum" = preset::names()))]
    pub(crate) provider: String,
    /// The provider's own name for it; the same as `name` where absent. For `builtin`: `echo` or `script`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) model: Option<String>,
    /// The base URL, as the short form of one target; the provider's public address where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "base-url"))]
    pub(crate) endpoint: Option<String>,
    /// Several places that answer for it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1))]
    pub(crate) targets: Vec<TargetForm>,
    /// Local model servers that answer for it, in the place of `endpoint` and `targets`: the daemon starts,
    /// watches and restarts them. A change starts new ones; `fallback` answers until they are ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) instance: Option<Instance>,
    /// Its own params; they win over those of its kind.
    #[serde(skip_serializing_if = "ParamsForm::is_empty")]
    pub(crate) params: ParamsForm,
    /// How long each part of a call may take.
    pub(crate) timeouts: Timeouts,
    /// Most calls at once per target; no limit where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub(crate) concurrency: Option<usize>,
    /// As whom calls leave; `models/auth.json` wins over it, key by key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) auth: Option<AuthForm>,
    /// What its tokens cost; nothing where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) price: Option<Price>,
    /// Models that answer when this one cannot: one name or a list, in order.
    #[serde(skip_serializing_if = "Names::is_empty")]
    pub(crate) fallback: Names,
    /// Models that answer where the request does not suit this one.
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) fallback_on: FallbackOn,
    /// While set, calls that name this model are answered by that one; `moltctl model switch` writes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) switch_to: Option<String>,
}

impl Default for ModelForm {
    fn default() -> Self {
        Self {
            name: String::new(),
            kind: ModelKind::default(),
            provider: "openai".to_owned(),
            model: None,
            endpoint: None,
            targets: Vec::new(),
            instance: None,
            params: ParamsForm::default(),
            timeouts: Timeouts::default(),
            concurrency: None,
            auth: None,
            price: None,
            fallback: Names::default(),
            fallback_on: FallbackOn::default(),
            switch_to: None,
        }
    }
}

fn is_default(on: &FallbackOn) -> bool {
    *on == FallbackOn::default()
}

/// One place that answers for a model.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct TargetForm {
    /// Its name in headers, metrics and `status`; `model/index` where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub(crate) name: Option<String>,
    /// Its base URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "base-url"))]
    pub(crate) url: Option<String>,
    /// Where it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) region: Option<String>,
    /// Which part of the region.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) zone: Option<String>,
    /// Whether it serves always or stands by.
    pub(crate) role: Role,
    /// Its share among equals.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) weight: u32,
}

impl Default for TargetForm {
    fn default() -> Self {
        Self {
            name: None,
            url: None,
            region: None,
            zone: None,
            role: Role::default(),
            weight: 1,
        }
    }
}

/// As whom calls leave.
#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct AuthForm {
    /// `none`, `api_key` with a `key`, or `oauth` with `client_id` and `token_url`; here or in `models/auth.json`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub(crate) kind: Option<AuthKind>,
    /// The key; better in `models/auth.json` or as `${env:NAME}` or `${file:PATH}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<String>,
    /// For `oauth`: the client, as the token server knows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub(crate) client_id: Option<String>,
    /// For `oauth`: the client's secret; better in `models/auth.json` or as a reference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) client_secret: Option<String>,
    /// For `oauth`: where tokens are fetched.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "token-url"))]
    pub(crate) token_url: Option<String>,
    /// For `oauth`: what is asked for, words separated by blanks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) scope: Option<String>,
    /// For `oauth`: a refresh token, where one is used instead of client credentials; as secret as a key. Where the
    /// token server gives another one, that is kept in `data/tokens/`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) refresh_token: Option<String>,
    /// The entry of `models/auth.json` that several models share.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) profile: Option<String>,
}

/// The kind of a credential.
#[derive(Clone, Copy, Serialize, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AuthKind {
    None,
    ApiKey,
    #[serde(rename = "oauth")]
    OAuth,
}

/// One name or a list of names.
#[derive(Clone, Default, Serialize)]
#[serde(transparent)]
pub(crate) struct Names(pub(crate) Vec<String>);

impl Names {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            One(String),
            Many(Vec<String>),
        }
        Ok(Self(match Form::deserialize(d)? {
            Form::One(name) => vec![name],
            Form::Many(names) => names,
        }))
    }
}

impl JsonSchema for Names {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Names".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": ["string", "array"], "items": {"type": "string"}})
    }
}
