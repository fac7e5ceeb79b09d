//! Models: listed, added, removed, tried, switched.

use std::sync::Arc;

use moltbot_abtest::Tests;
use moltbot_config::Config;
use moltbot_config::config::{Model, ModelKind, Provider};
use moltbot_store::Store;
use moltbot_telemetry::{Telemetry, TelemetrySettings};
use moltbot_types::Workspace;
use moltbot_types::admin::ModelStatus;
use serde::Deserialize;
use serde_json::{Value, json};

use super::probe::{Probed, probe};
use super::seen::{Seen, in_service, unknown};
use super::{Admin, Answer, Refusal, json};
use crate::runtime::{LAST_TOKEN, Runtime};
use crate::snapshot::Snapshot;
use crate::{live, target};

/// The body of `POST models/NAME/switch`.
#[derive(Deserialize)]
pub(super) struct Switch {
    to: String,
}

impl Admin {
    pub(super) fn models(&self, scope: &Workspace) -> Answer {
        let loaded = self.load()?;
        let seen = Seen::of(&loaded, scope)?;
        let models = seen.models();
        let models: Vec<_> = models
            .map(|model| self.listed(model, scope, &seen))
            .collect();
        json(&models)
    }

    pub(super) fn model(&self, scope: &Workspace, name: &str) -> Answer {
        let loaded = self.load()?;
        let seen = Seen::of(&loaded, scope)?;
        json(&self.listed(seen.model(name)?, scope, &seen))
    }

    fn listed(&self, model: &Model, scope: &Workspace, seen: &Seen<'_>) -> Value {
        let owner = match seen.owns(&model.name) {
            true => scope.as_str(),
            false => Workspace::DEFAULT,
        };
        let status = self.daemon.as_ref().and_then(|daemon| {
            let models = crate::status::models(&daemon.live.snapshot());
            let its = |status: &ModelStatus| status.name == model.name && status.workspace == owner;
            models.into_iter().find(its)
        });
        json!({
            "name": model.name,
            "workspace": owner,
            "kind": match model.kind {
                ModelKind::Chat => "chat",
                ModelKind::Code => "code",
                ModelKind::Multimodal => "multimodal",
                ModelKind::Embedding => "embedding",
            },
            "provider": match model.provider {
                Provider::OpenAi => "openai",
                Provider::Builtin => "builtin",
            },
            "model": model.model,
            "targets": addresses(model),
            "fallback": model.fallback,
            "switch_to": model.switch_to,
            "status": status,
        })
    }

    pub(super) async fn model_add(&self, scope: &Workspace, model: Value) -> Answer {
        let name = model["name"].as_str().unwrap_or_default().to_owned();
        Seen::of(&self.load()?, scope)?;
        let owner = Some(scope).filter(|scope| scope.as_str() != Workspace::DEFAULT);
        self.edit_models(owner, |editor| editor.add_model(&model.to_string()))?;
        self.changed(&format!("model {name} is added")).await
    }

    pub(super) async fn model_remove(&self, scope: &Workspace, name: &str) -> Answer {
        let loaded = self.load()?;
        let seen = Seen::of(&loaded, scope)?;
        let owner = seen.owner(scope, name)?;
        self.edit_models(owner, |editor| editor.remove_model(name))?;
        self.changed(&format!("model {name} is removed")).await
    }

    /// Another model answers for this one; the model itself takes the switch back.
    pub(super) async fn model_switch(
        &self,
        scope: &Workspace,
        name: &str,
        switch: Switch,
    ) -> Answer {
        let loaded = self.load()?;
        let to = switch.to;
        let seen = Seen::of(&loaded, scope)?;
        let model = seen.model(name)?;
        seen.model(&to)?;
        let owner = seen.owner(scope, name)?;
        let key = format!("models.{name}.switch_to");
        if to != name {
            self.edit_models(owner, |editor| editor.set(&key, &to))?;
            return self.changed(&format!("{to} answers for {name}")).await;
        }
        if model.switch_to.is_some() {
            self.edit_models(owner, |editor| editor.unset(&key))?;
        }
        self.changed(&format!("{name} answers for itself")).await
    }

    /// Asks a model for one short answer, through the whole path.
    pub(super) async fn model_test(&self, scope: &Workspace, name: &str) -> Answer {
        let probed = match &self.daemon {
            Some(daemon) => asked(&daemon.live.snapshot(), scope, name).await?,
            None => {
                let (snapshot, rt) = self.build(scope, name)?;
                let probed = asked(&snapshot, scope, name).await;
                drop(snapshot);
                rt.end(LAST_TOKEN).await;
                probed?
            }
        };
        let answer = probed.answer;
        let answer = answer.map_err(|error| Refusal::failed(error.to_string()))?;
        let served = probed.tried.served.as_ref();
        json(&json!({
            "ok": true,
            "served": served.map(|served| served.model.as_str()),
            "target": served.map(|served| served.target.as_str()),
            "attempts": probed.tried.attempts.len(),
            "ms": u64::try_from(probed.took.as_millis()).unwrap_or(u64::MAX),
            "answer": answer,
        }))
    }

    /// The snapshot of the files, with the daemon down, to ask that model.
    fn build(&self, scope: &Workspace, name: &str) -> Result<(Snapshot, Runtime), Refusal> {
        let loaded = self.load()?;
        if Seen::of(&loaded, scope)?.model(name)?.instance.is_some() {
            return Err(Refusal::needs_daemon());
        }
        self.offline_on(loaded.config, Store::memory())
    }

    /// The snapshot of a configuration over a store, with the daemon down.
    pub(super) fn offline_on(
        &self,
        mut config: Config,
        store: Store,
    ) -> Result<(Snapshot, Runtime), Refusal> {
        let failed = |error: crate::gateway::StartError| Refusal::failed(error.to_string());
        // Their servers run with the daemon alone.
        config.models.retain(|model| model.instance.is_none());
        for rules in config
            .workspaces
            .iter_mut()
            .filter_map(|it| it.rules.as_mut())
        {
            rules.models.retain(|model| model.instance.is_none());
        }
        let key = live::caller_key(&self.home).map_err(failed)?;
        let rt = self.runtime_on(&config, store)?;
        let built = Snapshot::build(0, config, key.as_deref(), None, &rt);
        Ok((built.map_err(failed)?, rt))
    }

    /// What a snapshot stands on, with the daemon down.
    pub(super) fn runtime(&self, config: &Config) -> Result<Runtime, Refusal> {
        // A trial is nobody's call: it leaves nothing to be remembered.
        self.runtime_on(config, Store::memory())
    }

    fn runtime_on(&self, config: &Config, store: Store) -> Result<Runtime, Refusal> {
        // The call is told of in the home's own log, as any other.
        let mut settings = TelemetrySettings::default();
        settings.log.dir = self.home.logs_dir();
        let telemetry = Telemetry::new(&settings);
        let telemetry = telemetry.map_err(|error| Refusal::failed(error.to_string()))?;
        let calls = Arc::clone(telemetry.calls());
        let keys = crate::caller::nobody().map_err(|error| Refusal::failed(error.to_string()))?;
        let rt = Runtime::new(&self.home, config, calls, store, keys, Tests::default());
        rt.map_err(|error| Refusal::failed(error.to_string()))
    }
}

async fn asked(snapshot: &Snapshot, scope: &Workspace, name: &str) -> Result<Probed, Refusal> {
    let workspace = in_service(snapshot, scope)?;
    let model = workspace.model(name).ok_or_else(|| unknown(name))?;
    Ok(probe(workspace, model, 16).await)
}

/// Where a model is answered, as `model show` tells it; servers of our own have no lasting address.
fn addresses(model: &Model) -> Vec<String> {
    match model.instance {
        Some(_) => target::ids(model).map(|id| id.to_string()).collect(),
        None => model.targets.iter().map(|at| at.url.clone()).collect(),
    }
}
