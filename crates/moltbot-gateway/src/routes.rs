//! Models, and the way to each: the shared ones, or those of one workspace.

use std::collections::HashMap;
use std::sync::Arc;

use moltbot_config::Config;
use moltbot_config::config::{Model, Strategy};
use moltbot_router::pick::{LeastInflight, LeastLatency, Pick, Weighted};
use moltbot_router::table::{Route, RouteSettings};
use moltbot_types::{Credential, TargetId, Workspace};

use crate::gateway::StartError;
use crate::runtime::Runtime;
use crate::target;

/// Models, and the way to each.
pub(crate) struct Routes {
    /// In the order of the file.
    models: Vec<Model>,
    credentials: HashMap<String, Arc<dyn Credential>>,
    routes: HashMap<String, Arc<Route>>,
}

impl Routes {
    /// The ways to `models`, which all see, or `owner` alone.
    ///
    /// # Errors
    /// A part that can't be built: an address that is none, a key that no header can carry.
    pub(crate) fn build(
        models: &[Model],
        owner: Option<&Workspace>,
        config: &Config,
        rt: &Runtime,
    ) -> Result<Self, StartError> {
        let mut credentials = HashMap::new();
        let mut routes = HashMap::new();
        for model in models {
            let credential = rt.credentials.of(&model.auth, rt);
            let credential = credential.map_err(StartError::other)?;
            let targets = target::all(model, owner, &credential, config, rt)?;
            let route = Route::new(model.name.as_str(), targets, settings(model, config));
            credentials.insert(model.name.clone(), credential);
            routes.insert(model.name.clone(), Arc::new(route));
        }
        Ok(Self {
            models: models.to_vec(),
            credentials,
            routes,
        })
    }

    /// The models, in the order of the file.
    pub(crate) fn models(&self) -> &[Model] {
        &self.models
    }

    /// The model of that name.
    pub(crate) fn model(&self, name: &str) -> Option<&Model> {
        self.models.iter().find(|model| model.name == name)
    }

    /// Whether there is a model of that name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.routes.contains_key(name)
    }

    /// The route that a model has itself, whoever answers for it now.
    pub(crate) fn route(&self, name: &str) -> Option<&Arc<Route>> {
        self.routes.get(name)
    }

    /// As whom the calls of a model leave.
    pub(crate) fn credential(&self, model: &str) -> Option<&dyn Credential> {
        self.credentials.get(model).map(|credential| &**credential)
    }

    /// Each model's name with those of its targets.
    pub(crate) fn targets(&self) -> impl Iterator<Item = (&str, Vec<TargetId>)> {
        let models = self.models.iter();
        models.map(|model| (model.name.as_str(), target::ids(model).collect()))
    }
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
        // what is added to a call is not part of it, and answers depend on it
        identity: format!(
            "{:?} {} {:?}",
            model.provider, model.model, model.params.fields
        )
        .into(),
    }
}
