//! One workspace, built: what its callers meet, and nothing of any other.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use moltbot_config::Config;
use moltbot_config::config::{self, MemberRole, Model, ModelKind, Rules};
use moltbot_filters::Chain;
use moltbot_router::FailoverSettings;
use moltbot_router::cache::Cache;
use moltbot_router::table::Table;
use moltbot_telemetry::Declared;
use moltbot_types::{CallError, CallService, Kind, ModelName, Role, Workspace};
use serde_json::json;

use crate::filter::Filters;
use crate::gateway::StartError;
use crate::policy;
use crate::price::Prices;
use crate::routes::Routes;
use crate::runtime::Runtime;
use crate::stack;

/// A workspace with its path.
pub(crate) struct WorkspacePath {
    /// Its name.
    pub(crate) name: Workspace,
    /// What it was built from.
    pub(crate) rules: Rules,
    shared: Arc<Routes>,
    own: Routes,
    table: Arc<Table>,
    path: CallService,
    prices: Prices,
    list: Bytes,
    entries: HashMap<ModelName, Bytes>,
    fingerprint: String,
}

/// What the steps of a path are made of.
pub(crate) struct Parts<'a> {
    /// The workspace.
    pub(crate) name: &'a Workspace,
    /// Its policy and its own models.
    pub(crate) rules: &'a Rules,
    /// What all workspaces share.
    pub(crate) config: &'a Config,
    /// The models that all workspaces share, also those that this one may not use.
    pub(crate) shared: &'a Arc<Routes>,
    /// What the models that it sees cost.
    pub(crate) prices: &'a Prices,
    /// Each model that this workspace may use, and the route that answers for it.
    pub(crate) table: &'a Arc<Table>,
    /// The filters that its calls and their answers pass.
    pub(crate) filters: Chain,
    /// Where answers are remembered, if they are.
    pub(crate) cache: Option<Arc<Cache>>,
}

impl WorkspacePath {
    /// Builds the path of a workspace over the routes to shared models.
    ///
    /// # Errors
    /// As [`Routes::build`].
    pub(crate) fn build(
        name: Workspace,
        rules: &Rules,
        config: &Config,
        shared: &Arc<Routes>,
        filters: &Filters,
        fingerprint: String,
        rt: &Runtime,
    ) -> Result<Self, StartError> {
        let own = Routes::build(&rules.models, Some(&name), config, rt)?;
        let table = Arc::new(table(rules, shared, &own));
        let prices = Prices::new(shared.models().iter().chain(own.models()));
        let path = stack::path(
            &Parts {
                name: &name,
                rules,
                config,
                shared,
                prices: &prices,
                table: &table,
                filters: filters.of(&rules.policy.filters, &[]),
                cache: rt.cache.of(&config.cache, &rt.tasks),
            },
            rt,
        );
        let mut built = Self {
            name,
            rules: rules.clone(),
            shared: Arc::clone(shared),
            prices,
            own,
            table,
            path,
            list: Bytes::new(),
            entries: HashMap::new(),
            fingerprint,
        };
        let entries: Vec<_> = built.models().map(entry).collect();
        built.list = bytes(&json!({ "object": "list", "data": entries }));
        built.entries = built
            .models()
            .zip(&entries)
            .map(|(model, entry)| (ModelName::from(model.name.as_str()), bytes(entry)))
            .collect();
        Ok(built)
    }

    /// Equal where it would be built the same.
    pub(crate) fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// The path of its callers.
    pub(crate) fn path(&self) -> &CallService {
        &self.path
    }

    /// The models that it sees: shared ones, then its own.
    pub(crate) fn models(&self) -> impl Iterator<Item = &Model> {
        let shared = self.shared.models().iter();
        let seen = |model: &&Model| self.is_seen(&model.name);
        shared.filter(seen).chain(self.own.models())
    }

    /// The model of that name, if it sees one.
    pub(crate) fn model(&self, name: &str) -> Option<&Model> {
        let own = self.own.model(name);
        own.or_else(|| self.shared.model(name).filter(|_| self.is_seen(name)))
    }

    /// What models cost.
    pub(crate) fn prices(&self) -> &Prices {
        &self.prices
    }

    /// The routes to its own models.
    pub(crate) fn own(&self) -> &Routes {
        &self.own
    }

    /// The routes to which the model of that name belongs, if it sees one.
    pub(crate) fn routes_of(&self, name: &str) -> Option<&Routes> {
        match self.own.has(name) {
            true => Some(&self.own),
            false => Some(&*self.shared).filter(|_| self.is_seen(name)),
        }
    }

    /// Whether it may use a model of that name.
    pub(crate) fn is_seen(&self, name: &str) -> bool {
        self.table.get(name).is_some()
    }

    /// Whether its callers may know that there is a model of that name.
    pub(crate) fn knows(&self, name: &str) -> bool {
        self.is_seen(name) || self.shared.has(name)
    }

    /// Whether it may use a shared skill.
    pub(crate) fn may_use_skill(&self, skill: &str) -> bool {
        self.rules.policy.allows_skill(skill)
    }

    /// The first model for conversations that it sees.
    pub(crate) fn first_chat_model(&self) -> Option<ModelName> {
        let chat = self.models().find(|model| model.kind == ModelKind::Chat)?;
        Some(chat.name.as_str().into())
    }

    /// The role that a key of that name has here; `None` where it keeps its own.
    pub(crate) fn member_role(&self, key: &str) -> Option<Role> {
        Some(match self.rules.policy.role_of(key)? {
            MemberRole::Viewer => Role::Viewer,
            MemberRole::User => Role::User,
            MemberRole::Operator => Role::Operator,
            MemberRole::Admin => Role::Admin,
        })
    }

    /// The list of models, in the OpenAI shape.
    pub(crate) fn models_json(&self) -> Bytes {
        self.list.clone()
    }

    /// One model, in the OpenAI shape.
    ///
    /// # Errors
    /// 403 for a shared model that the policy excludes, else 404.
    pub(crate) fn model_json(&self, name: &str) -> Result<Bytes, CallError> {
        let name = ModelName::from(name);
        if let Some(body) = self.entries.get(&name) {
            return Ok(body.clone());
        }
        if self.knows(name.as_str()) {
            return Err(policy::excluded(&name));
        }
        let unknown = self.table.find(&name).err();
        Err(unknown.unwrap_or_else(|| {
            CallError::new(Kind::ModelNotFound, format!("no model `{name}`")).param("model")
        }))
    }

    /// Its models and their targets, so that their series exist before the first call.
    pub(crate) fn declared(&self) -> Declared {
        let all = self.shared.targets().chain(self.own.targets());
        let seen = all.filter(|(name, _)| self.is_seen(name));
        Declared {
            workspace: self.name.clone(),
            models: seen
                .map(|(name, targets)| (ModelName::from(name), targets))
                .collect(),
        }
    }
}

/// Each name that the workspace may use and the route that answers for it: its own, or that of the model it is
/// switched to. What the policy excludes is passed over, here as in fallbacks.
fn table(rules: &Rules, shared: &Routes, own: &Routes) -> Table {
    let allowed = |model: &&Model| rules.policy.allows_model(&model.name) && !own.has(&model.name);
    let shared_models = shared.models().iter().filter(allowed);
    let model_of = |name: &str| {
        let shared = || shared.model(name).filter(allowed);
        own.model(name).or_else(shared)
    };
    let names = shared_models.chain(own.models()).filter_map(|model| {
        // The configuration has no circle.
        let next = |model: &&Model| model_of(model.switch_to.as_deref()?);
        let answers = std::iter::successors(Some(model), next).last()?;
        let routes = if own.has(&answers.name) { own } else { shared };
        let route = routes.route(&answers.name)?;
        Some((ModelName::from(model.name.as_str()), Arc::clone(route)))
    });
    names.collect()
}

/// How far the calls of a workspace go to find an answer.
pub(crate) fn failover(config: &Config) -> FailoverSettings {
    let config::ModelSettings {
        failover, retry, ..
    } = &config.model;
    FailoverSettings {
        enabled: failover.enabled,
        max_attempts: failover.max_attempts,
        initial: retry.initial,
        max: retry.max,
        honor_retry_after: retry.honor_retry_after,
    }
}

/// A model as the OpenAI dialect lists it.
fn entry(model: &Model) -> serde_json::Value {
    json!({ "id": model.name, "object": "model", "created": 0, "owned_by": "moltbot" })
}

fn bytes(value: &serde_json::Value) -> Bytes {
    value.to_string().into()
}
