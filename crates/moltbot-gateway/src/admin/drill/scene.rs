//! Which model a drill is for, what it loses, and whether it can do without.

use std::sync::Arc;

use http::StatusCode;
use moltbot_config::config::Model;
use moltbot_providers::instance::Replica;
use moltbot_router::health::{Held, Standing, State, TargetHealth};
use moltbot_router::table::{Route, RouteTarget};
use moltbot_router::tier::Role;
use moltbot_types::admin::{DrillOrder, DrillPart};
use moltbot_types::{TargetId, Workspace};
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::Instant;
use tracing::warn;

use super::{Call, Refusal};
use crate::admin::seen::{in_service, unknown};
use crate::runtime::Runtime;
use crate::snapshot::Snapshot;

/// A model, and those of its targets that a drill may take.
pub(super) struct Scene {
    model: String,
    /// Whether all candidates are taken, or one of them.
    all: bool,
    candidates: Vec<Victim>,
    /// What other models lose with it: their targets in the same region.
    beside: Vec<Victim>,
}

/// A target that may be taken away.
#[derive(Clone)]
pub(super) struct Victim {
    pub(super) id: TargetId,
    health: Arc<TargetHealth>,
    /// The server of ours that is killed, with its process; others are held back.
    server: Option<(Replica, Pid)>,
}

/// What was taken away. Dropping it puts back what is held; killed servers are started again by who
/// watches them.
pub(super) struct Taken {
    held: Vec<Held>,
}

impl Scene {
    /// The model that was named, else the first that can do without what is taken.
    ///
    /// # Errors
    /// There is no such model, or nobody else could answer: that would be no drill but an outage.
    pub(super) fn choose(
        snapshot: &Snapshot,
        scope: &Workspace,
        rt: &Runtime,
        order: &DrillOrder,
    ) -> Result<Self, Refusal> {
        let region = snapshot.config.region.as_deref();
        let workspace = in_service(snapshot, scope)?;
        let route_of = |model: &Model| workspace.routes_of(&model.name)?.route(&model.name);
        let of = |model: &Model| {
            let route = route_of(model)?;
            let home = home(route.targets(), region);
            let mut scene = Self::of(model, route, (region, &home), rt, order.take)?;
            if order.take == DrillPart::Region {
                let others = workspace.models().filter(|other| other.name != model.name);
                // Those that can't do without keep theirs: a drill is no outage.
                let lost = others
                    .filter_map(|other| {
                        Self::of(other, route_of(other)?, (region, &home), rt, order.take)
                    })
                    .flat_map(|other| other.candidates);
                scene.beside = lost.collect();
            }
            Some(scene)
        };
        let Some(name) = &order.model else {
            let found = workspace
                .models()
                .filter(|m| m.switch_to.is_none())
                .find_map(of);
            return found.ok_or_else(|| refuse("no model can do without that"));
        };
        let model = workspace.model(name).ok_or_else(|| unknown(name))?;
        if let Some(other) = &model.switch_to {
            return Err(Refusal::usage(format!(
                "{other} answers for {name}; name that one with --model"
            )));
        }
        of(model).ok_or_else(|| refuse(&format!("{name} can't do without that")))
    }

    fn of(
        model: &Model,
        route: &Route,
        (own, home): (Option<&str>, &Option<Arc<str>>),
        rt: &Runtime,
        take: DrillPart,
    ) -> Option<Self> {
        let targets = route.targets();
        let candidates = candidates(targets, own, home, take);
        let now = Instant::now();
        let is_up = |at: &usize| targets[*at].health.snapshot(now).state == State::Up;
        let all = take != DrillPart::Instance;
        let others = match all {
            true => (0..targets.len())
                .filter(|at| !candidates.contains(at) && is_up(at))
                .count(),
            false => (0..targets.len()).filter(is_up).count().saturating_sub(1),
        };
        if candidates.is_empty() || (others == 0 && model.fallback.is_empty()) {
            return None;
        }
        let instance = model.instance.as_ref().filter(|_| !all);
        let running = instance.and_then(|instance| rt.servers.find(&model.name, instance));
        let victim = |at: usize| {
            let replica = running
                .as_ref()
                .and_then(|running| running.replicas().get(at));
            Victim {
                id: targets[at].id.clone(),
                health: Arc::clone(&targets[at].health),
                server: replica.and_then(|replica| Some((replica.clone(), process(replica)?))),
            }
        };
        Some(Self {
            model: model.name.clone(),
            all,
            candidates: candidates.into_iter().map(victim).collect(),
            beside: Vec::new(),
        })
    }

    pub(super) fn model(&self) -> &str {
        &self.model
    }

    /// What is taken away: where that is one of several, the one that answered most.
    pub(super) fn victims(&self, before: &[Call]) -> Vec<Victim> {
        if self.all {
            return [&*self.candidates, &*self.beside].concat();
        }
        let answers = |victim: &&Victim| {
            let id = Some(victim.id.to_string());
            before.iter().filter(|call| call.served() == id).count()
        };
        // The first one of those alike.
        let busiest = self.candidates.iter().rev().max_by_key(answers);
        busiest.cloned().into_iter().collect()
    }
}

/// The region of a target; `None` is the own one.
fn region(target: &RouteTarget, own: Option<&str>) -> Option<Arc<str>> {
    let region = target.place.region.clone();
    region.filter(|region| Some(&**region) != own)
}

/// The region that a drill takes of a model: the own one, else the first target's.
fn home(targets: &[RouteTarget], own: Option<&str>) -> Option<Arc<str>> {
    let regions = || targets.iter().map(|target| region(target, own));
    match regions().any(|region| region.is_none()) {
        true => None,
        false => regions().next().flatten(),
    }
}

/// The targets in the region `home` that a drill may take, by their index.
fn candidates(
    targets: &[RouteTarget],
    own: Option<&str>,
    home: &Option<Arc<str>>,
    take: DrillPart,
) -> Vec<usize> {
    let there = |role: Option<Role>| {
        let fits = |target: &RouteTarget| {
            region(target, own) == *home && role.is_none_or(|role| target.place.role == role)
        };
        let all = targets.iter().enumerate();
        all.filter(|(_, target)| fits(target))
            .map(|(at, _)| at)
            .collect()
    };
    match take {
        DrillPart::Region => there(None),
        DrillPart::Node | DrillPart::Instance => there(Some(Role::Primary)),
    }
}

impl Victim {
    /// Whether it takes calls again; a server of ours does so in another process.
    pub(super) fn is_back(&self) -> bool {
        let server = self.server.as_ref();
        server.is_none_or(|(replica, killed)| process(replica).is_some_and(|now| now != *killed))
            && !matches!(self.health.standing(Instant::now()), Standing::Resting(_))
    }
}

impl Taken {
    /// Takes them away.
    pub(super) fn take(victims: &[Victim]) -> Self {
        let mut held = Vec::new();
        for victim in victims {
            warn!(taken = %victim.id, "a drill takes a target away");
            match &victim.server {
                Some((_, process)) => {
                    // One that is gone already is taken as well.
                    let _ = kill_process(*process, Signal::KILL);
                }
                None => held.push(victim.health.hold("taken away by a drill")),
            }
        }
        Self { held }
    }

    /// Whether a server was killed.
    pub(super) fn is_killed(&self) -> bool {
        self.held.is_empty()
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        if !self.held.is_empty() {
            warn!("what the drill took away takes calls again");
        }
    }
}

/// The process of a server that is ready.
fn process(replica: &Replica) -> Option<Pid> {
    let status = replica.status();
    let pid = status.pid.filter(|_| status.is_ready())?;
    Pid::from_raw(i32::try_from(pid).ok()?)
}

fn refuse(what: &str) -> Refusal {
    Refusal::new(
        StatusCode::FORBIDDEN,
        5,
        format!("{what}: nobody else could answer; give it another target or a `fallback` first"),
    )
}
