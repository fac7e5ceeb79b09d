//! How models and targets are, for `status` and for the metrics.

use std::collections::BTreeMap;

use moltbot_router::health::State;
use moltbot_router::table::Route;
use moltbot_types::Workspace;
use moltbot_types::admin::{ModelStatus, TargetStatus};
use tokio::time::Instant;

use crate::routes::Routes;
use crate::runtime::Runtime;
use crate::snapshot::Snapshot;
use crate::workspace::WorkspacePath;

/// Every model in the order of the configuration: shared ones, then those of each workspace.
pub(crate) fn models(snapshot: &Snapshot) -> Vec<ModelStatus> {
    let shared = of(snapshot.shared(), Workspace::DEFAULT);
    let own = snapshot
        .workspaces()
        .flat_map(|workspace| of(workspace.own(), workspace.name.as_str()));
    shared.chain(own).collect()
}

/// The models of some routes, which `workspace` sees.
fn of(routes: &Routes, workspace: &str) -> impl Iterator<Item = ModelStatus> {
    let models = routes.models().iter();
    models.filter_map(move |model| {
        let route = routes.route(&model.name)?;
        let problem = routes.credential(&model.name)?.problem();
        Some(status(route, workspace, problem.as_deref()))
    })
}

fn status(route: &Route, workspace: &str, problem: Option<&str>) -> ModelStatus {
    let now = Instant::now();
    let targets: Vec<TargetStatus> = route
        .targets()
        .iter()
        .map(|target| {
            let health = target.health.snapshot(now);
            let (state, reason) = match problem {
                Some(what) => (State::NoCredential, Some(what.to_owned())),
                None => (health.state, health.reason),
            };
            TargetStatus {
                target: target.id.to_string(),
                state: state.word().to_owned(),
                inflight: health.inflight.into(),
                latency_ms: health.latency.map(|latency| latency.as_secs_f64() * 1000.0),
                reason,
            }
        })
        .collect();
    let all = |word: State| targets.iter().all(|target| target.state == word.word());
    let state = if all(State::Up) {
        "up"
    } else if all(State::NoCredential) {
        "no_credential"
    } else if targets
        .iter()
        .any(|target| target.state == State::Up.word())
    {
        "degraded"
    } else {
        "down"
    };
    ModelStatus {
        name: route.name().to_string(),
        workspace: workspace.to_owned(),
        state: state.to_owned(),
        targets,
    }
}

/// Sets `moltbot_target_up` of every target and `moltbot_credential_up` of every model. Where workspaces have models
/// of one name, it is up where it is up for all of them.
pub(crate) fn publish(snapshot: &Snapshot, rt: &Runtime) {
    let now = Instant::now();
    let mut credentials = BTreeMap::new();
    let mut targets = BTreeMap::new();
    let own = snapshot.workspaces().map(WorkspacePath::own);
    for routes in std::iter::once(snapshot.shared()).chain(own) {
        for model in routes.models() {
            let Some(route) = routes.route(&model.name) else {
                continue;
            };
            let credential = routes.credential(&model.name);
            let is_dead = credential.is_some_and(|credential| credential.problem().is_some());
            *credentials.entry(route.name()).or_insert(true) &= !is_dead;
            for target in route.targets() {
                let up = !is_dead && target.health.snapshot(now).state == State::Up;
                *targets.entry((route.name(), &target.id)).or_insert(true) &= up;
            }
        }
    }
    let metrics = rt.calls.metrics();
    for ((model, target), up) in targets {
        metrics.target_up(model, target, up);
    }
    let credentials = credentials.into_iter();
    metrics.credentials_up(credentials.map(|(name, up)| (name.clone(), up)).collect());
}
