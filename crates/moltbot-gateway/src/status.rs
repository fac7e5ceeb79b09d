//! How models and targets are, for `status` and for the metrics.

use moltbot_router::health::State;
use moltbot_router::table::Route;
use moltbot_types::Workspace;
use moltbot_types::admin::{ModelStatus, TargetStatus};
use tokio::time::Instant;

use crate::runtime::Runtime;
use crate::snapshot::Snapshot;

/// Every model in the order of the configuration.
pub(crate) fn models(snapshot: &Snapshot) -> Vec<ModelStatus> {
    let models = snapshot.config.models.iter();
    models
        .filter_map(|model| {
            let route = snapshot.own_route(&model.name)?;
            let problem = snapshot.credential(&model.name)?.problem();
            Some(status(route, problem.as_deref()))
        })
        .collect()
}

fn status(route: &Route, problem: Option<&str>) -> ModelStatus {
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
        workspace: Workspace::DEFAULT.to_owned(),
        state: state.to_owned(),
        targets,
    }
}

/// Sets `moltbot_target_up` of every target and `moltbot_credential_up` of every model.
pub(crate) fn publish(snapshot: &Snapshot, rt: &Runtime) {
    let now = Instant::now();
    let mut credentials = Vec::new();
    for route in snapshot.own_routes() {
        let credential = snapshot.credential(route.name().as_str());
        let is_dead = credential.is_some_and(|credential| credential.problem().is_some());
        credentials.push((route.name().clone(), !is_dead));
        for target in route.targets() {
            let up = !is_dead && target.health.snapshot(now).state == State::Up;
            rt.calls.metrics().target_up(route.name(), &target.id, up);
        }
    }
    rt.calls.metrics().credentials_up(credentials);
}
