//! Comparisons of models: made, listed, reported, stopped, promoted.

use std::sync::Arc;

use jiff::Timestamp;
use moltbot_abtest::{Error, Experiment, Tests};
use moltbot_store::experiments::Definition;
use moltbot_store::{Store, StoreError};
use moltbot_types::Workspace;
use moltbot_types::admin::{TestOrder, TestStatus};
use serde::Deserialize;
use serde_json::json;

use super::{Admin, Answer, Query, Refusal, json};
use crate::experiments;

/// The body of `POST tests/NAME/promote`.
#[derive(Default, Deserialize)]
pub(super) struct Promotion {
    to: Option<String>,
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::failed(error.to_string())
    }
}

impl Admin {
    /// The comparisons that run, or with the daemon down those that the store remembers.
    async fn tests(&self) -> Result<(Arc<Tests>, Store), Refusal> {
        let store = self.store().await?;
        let tests = match &self.daemon {
            Some(daemon) => Arc::clone(&daemon.rt.tests),
            None => Arc::new(experiments::load(&store).await?),
        };
        Ok((tests, store))
    }

    pub(super) async fn test_list(&self, scope: &Workspace) -> Answer {
        let (tests, _) = self.tests().await?;
        let tests = tests.list(scope);
        json(&tests.iter().map(|test| status(test)).collect::<Vec<_>>())
    }

    pub(super) async fn test_create(&self, scope: &Workspace, order: TestOrder) -> Answer {
        let settings = experiments::settings(&order, scope)
            .map_err(|error| Refusal::usage(error.to_string()))?;
        self.models_exist(scope, &order)?;
        let (tests, store) = self.tests().await?;
        let definition = Definition {
            workspace: scope.clone(),
            name: order.name.clone(),
            json: serde_json::to_string(&order)
                .map_err(|error| Refusal::failed(error.to_string()))?,
            created: Timestamp::now(),
        };
        tests.check(&settings)?;
        match store.experiments.create(definition).await {
            Err(StoreError::Duplicate(name)) => {
                let words = format!("there is a test `{name}` already: choose another name");
                return Err(Refusal::failed(words));
            }
            kept => kept?,
        }
        let test = experiments::open(&tests, &store, settings)?;
        json(&status(&test))
    }

    /// The models of a comparison are there, and its workspace may use them.
    fn models_exist(&self, scope: &Workspace, order: &TestOrder) -> Result<(), Refusal> {
        let config = self.load()?.config;
        let rules = config
            .workspace(scope.as_str())
            .and_then(|workspace| workspace.rules.as_ref());
        for name in order.models.iter().chain(&order.model) {
            let own = rules.is_some_and(|rules| rules.models.iter().any(|own| own.name == *name));
            let shared = config.model(name).is_some();
            if !own && !shared {
                return Err(super::seen::unknown(name));
            }
            if !own && !rules.is_some_and(|rules| rules.policy.allows_model(name)) {
                let words = format!("the policy of this workspace excludes the model `{name}`");
                return Err(Refusal::new(http::StatusCode::FORBIDDEN, 5, words));
            }
        }
        Ok(())
    }

    /// `?as=text` and `?as=html` give the report for people, else it is data.
    pub(super) async fn test_report(
        &self,
        scope: &Workspace,
        name: &str,
        query: &Query<'_>,
    ) -> Answer {
        let (tests, _) = self.tests().await?;
        let test = find(&tests, scope, name)?;
        match query.get("as").as_deref() {
            Some("text") => json(&json!({ "text": test.report().to_text() })),
            Some("html") => json(&json!({ "html": test.html() })),
            _ => json(&test.report()),
        }
    }

    pub(super) async fn test_stop(&self, scope: &Workspace, name: &str) -> Answer {
        let (tests, store) = self.tests().await?;
        let test = find(&tests, scope, name)?;
        test.stop()?;
        store.experiments.settle().await?;
        json(&json!({ "detail": format!("the test `{name}` is stopped"), "test": status(&test) }))
    }

    pub(super) async fn test_promote(
        &self,
        scope: &Workspace,
        name: &str,
        promotion: Promotion,
    ) -> Answer {
        let (tests, store) = self.tests().await?;
        let test = find(&tests, scope, name)?;
        let winner = test.promote(promotion.to.as_deref())?;
        store.experiments.settle().await?;
        let detail = format!("`{winner}` answers the calls of the test `{name}` from now on");
        json(&json!({ "detail": detail, "model": winner, "test": status(&test) }))
    }
}

fn find(tests: &Tests, scope: &Workspace, name: &str) -> Result<Arc<Experiment>, Refusal> {
    tests.get(scope, name).ok_or_else(|| {
        Refusal::missing(format!(
            "there is no test `{name}` in this workspace; `moltctl test list` names those there are"
        ))
    })
}

fn status(test: &Experiment) -> TestStatus {
    let settings = test.settings();
    TestStatus {
        name: settings.name.clone(),
        state: test.state().word().to_owned(),
        metric: settings.metric.clone(),
        units: test.units(),
        sample_size: settings.sample_size,
        arms: settings.models.iter().map(ToString::to_string).collect(),
    }
}
