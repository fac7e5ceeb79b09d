//! One configuration, built: what a call meets from its door to its last byte.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use moltbot_auth::{Authenticate, CallerKey};
use moltbot_config::Config;
use moltbot_config::config::{Model, Strategy};
use moltbot_router::FailoverSettings;
use moltbot_router::pick::{LeastInflight, LeastLatency, Pick, Weighted};
use moltbot_router::table::{Route, RouteSettings, Table};
use moltbot_telemetry::Declared;
use moltbot_types::{
    CallError, CallService, Caller, Credential, Kind, ModelName, Plain, Workspace,
};
use serde_json::json;

use crate::gateway::StartError;
use crate::runtime::Runtime;
use crate::server::Peer;
use crate::{caller, stack, target};

/// A built configuration. Invariant: a call loads it once and keeps it.
pub(crate) struct Snapshot {
    /// Counts applied configurations, from 1.
    pub(crate) generation: u64,
    /// What it was built from.
    pub(crate) config: Config,
    authenticate: Arc<dyn Authenticate>,
    home_key: Option<CallerKey>,
    credentials: HashMap<String, Arc<dyn Credential>>,
    table: Arc<Table>,
    own: HashMap<String, Arc<Route>>,
    path: Plain<CallService>,
    list: Bytes,
    models: HashMap<ModelName, Bytes>,
}

impl Snapshot {
    /// Builds the path beside the one in force; nothing of that one is touched.
    ///
    /// # Errors
    /// Where a part can't be built: an address that is none, a key file that is none.
    pub(crate) fn build(
        generation: u64,
        config: Config,
        key: Option<&str>,
        rt: &Runtime,
    ) -> Result<Self, StartError> {
        let home_key = caller::check(&config, key, rt.keys.any_stored())?;
        let authenticate = caller::authenticate(&config, &rt.keys);
        let credentials = credentials(&config, rt)?;
        let own = own_routes(&config, &credentials, rt)?;
        let table = Arc::new(table(&config, &own));
        let path = stack::path(Arc::clone(&table), failover(&config), rt);
        let entries: Vec<_> = config.models.iter().map(entry).collect();
        let models = config
            .models
            .iter()
            .zip(&entries)
            .map(|(model, entry)| (ModelName::from(model.name.as_str()), bytes(entry)))
            .collect();
        Ok(Self {
            generation,
            authenticate,
            home_key,
            credentials,
            table,
            own,
            path: Plain::new(path),
            list: bytes(&json!({ "object": "list", "data": entries })),
            models,
            config,
        })
    }

    /// Who is calling.
    pub(crate) fn authenticate(
        &self,
        headers: &HeaderMap,
        peer: &Peer,
    ) -> Result<Caller, CallError> {
        let address = match peer {
            Peer::Tcp(address) => Some(address.ip()),
            Peer::Unix => None,
        };
        self.authenticate.authenticate(headers, address)
    }

    /// The key in the home's file.
    pub(crate) fn home_key(&self) -> Option<&CallerKey> {
        self.home_key.as_ref()
    }

    /// The path of a caller's workspace.
    pub(crate) fn path(&self) -> &Plain<CallService> {
        &self.path
    }

    /// Whether a model of that name is configured.
    pub(crate) fn knows(&self, model: &ModelName) -> bool {
        self.models.contains_key(model)
    }

    /// The list of models, in the OpenAI shape.
    pub(crate) fn models_json(&self) -> Bytes {
        self.list.clone()
    }

    /// One model, in the OpenAI shape.
    pub(crate) fn model_json(&self, name: &str) -> Result<Bytes, CallError> {
        let name = ModelName::from(name);
        if let Some(body) = self.models.get(&name) {
            return Ok(body.clone());
        }
        match self.table.find(&name) {
            Err(unknown) => Err(unknown),
            Ok(_) => Err(CallError::new(
                Kind::ModelNotFound,
                format!("no model `{name}`"),
            )),
        }
    }

    /// The route that a model has itself, whoever answers for it now.
    pub(crate) fn own_route(&self, name: &str) -> Option<&Route> {
        self.own.get(name).map(|route| &**route)
    }

    /// As whom the calls of a model leave.
    pub(crate) fn credential(&self, model: &str) -> Option<&dyn Credential> {
        self.credentials.get(model).map(|credential| &**credential)
    }

    /// The routes of all models.
    pub(crate) fn own_routes(&self) -> impl Iterator<Item = &Route> {
        self.own.values().map(|route| &**route)
    }

    /// Models and targets, so that their series exist before the first call.
    pub(crate) fn declared(&self) -> Vec<Declared> {
        let models = self.config.models.iter().map(|model| {
            let name = ModelName::from(model.name.as_str());
            let targets = target::ids(model).collect();
            (name, targets)
        });
        vec![Declared {
            workspace: Workspace::default(),
            models: models.collect(),
        }]
    }
}

/// The credential of each model.
fn credentials(
    config: &Config,
    rt: &Runtime,
) -> Result<HashMap<String, Arc<dyn Credential>>, StartError> {
    let models = config.models.iter();
    models
        .map(|model| {
            let credential = rt.credentials.of(&model.auth, rt);
            Ok((model.name.clone(), credential.map_err(StartError::other)?))
        })
        .collect()
}

/// The route of each model.
fn own_routes(
    config: &Config,
    credentials: &HashMap<String, Arc<dyn Credential>>,
    rt: &Runtime,
) -> Result<HashMap<String, Arc<Route>>, StartError> {
    let models = config.models.iter();
    models
        .filter_map(|model| Some((model, credentials.get(&model.name)?)))
        .map(|(model, credential)| {
            let targets = target::all(model, credential, config, rt)?;
            let route = Route::new(model.name.as_str(), targets, settings(model, config));
            Ok((model.name.clone(), Arc::new(route)))
        })
        .collect()
}

/// Each name and the route that answers for it: its own, or that of the model it is switched to.
fn table(config: &Config, own: &HashMap<String, Arc<Route>>) -> Table {
    let names = config.models.iter().filter_map(|model| {
        // The configuration has no circle.
        let next = |name: &&str| config.model(name)?.switch_to.as_deref();
        let answers = std::iter::successors(Some(model.name.as_str()), next).last()?;
        let route = own.get(answers)?;
        Some((ModelName::from(model.name.as_str()), Arc::clone(route)))
    });
    names.collect()
}

fn settings(model: &Model, config: &Config) -> RouteSettings {
    let pick: Arc<dyn Pick> = match config.model.routing.strategy {
        Strategy::Weighted => Arc::new(Weighted),
        Strategy::LeastLatency => Arc::new(LeastLatency),
        Strategy::LeastInflight => Arc::new(LeastInflight),
    };
    let names = |names: &[String]| names.iter().map(|name| name.as_str().into()).collect();
    RouteSettings {
        region: config.region.as_deref().map(Arc::from),
        pick,
        fallback: names(&model.fallback),
        on_context_window: names(&model.fallback_on.context_window),
        on_content_policy: names(&model.fallback_on.content_policy),
        total: model.timeouts.total,
    }
}

fn failover(config: &Config) -> FailoverSettings {
    let (failover, retry) = (&config.model.failover, &config.model.retry);
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
