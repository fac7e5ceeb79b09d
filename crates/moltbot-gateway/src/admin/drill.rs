//! Drills: a part is taken away while calls of our own feel what callers would, and put back in every case.
//!
//! The part is held by the future of the request. Who goes away while a drill runs drops that future, and
//! with it what was held.

mod felt;
mod scene;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join;
use futures_util::{StreamExt, stream};
use http::StatusCode;
use moltbot_types::Workspace;
use moltbot_types::admin::{DrillOrder, DrillReport};
use tokio::time::{Instant, interval, sleep, timeout};

use super::probe::{Probed, probe};
use super::{Admin, Answer, Daemon, Refusal, json};
use felt::{felt, millis};
use scene::{Scene, Taken, Victim};

/// Most calls of one phase: each may cost money.
const MOST_CALLS: usize = 200;
/// A call begins so often, so that a phase lasts a while.
const PACE: Duration = Duration::from_millis(50);
/// Calls of ours at once.
const AT_ONCE: usize = 8;
/// Calls of a phase that have not begun by then are left out.
const PHASE: Duration = Duration::from_secs(20);
/// A call that takes longer has failed.
const CALL: Duration = Duration::from_secs(30);
/// The part is taken so long after the first call began, so that it finds a call under way.
const STRIKE: Duration = Duration::from_millis(10);
/// How long a part may take to come back, and how often it is looked for.
const BACK: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(10);

/// A call of ours that has ended, for whatever reason.
pub(super) struct Call {
    ended: Instant,
    /// `None` where it took too long.
    probed: Option<Probed>,
}

impl Admin {
    pub(super) async fn drill(&self, scope: &Workspace, order: DrillOrder) -> Answer {
        let daemon = self.daemon()?;
        let alone = Arc::clone(&daemon.drill).try_lock_owned();
        let _alone = alone.map_err(|_| {
            Refusal::new(
                StatusCode::CONFLICT,
                1,
                "another drill is under way; wait for its end",
            )
        })?;
        let calls = order.calls;
        if !(1..=MOST_CALLS).contains(&calls) {
            return Err(Refusal::usage(format!(
                "a phase has from 1 to {MOST_CALLS} calls"
            )));
        }
        let scene = Scene::choose(&daemon.live.snapshot(), scope, &daemon.rt, &order)?;
        let phase = || daemon.phase(scope, scene.model(), calls);

        let before = phase().await;
        let victims = scene.victims(&before);
        let strike = async {
            sleep(STRIKE).await;
            let struck = Instant::now();
            let taken = Taken::take(&victims);
            let back = match taken.is_killed() {
                true => until_back(&victims).await,
                false => None,
            };
            (struck, taken, back)
        };
        let (during, (struck, taken, back)) = join(phase(), strike).await;
        let killed = taken.is_killed();
        let released = Instant::now();
        drop(taken);
        let back = match killed {
            true => back.map(|back| back - struck),
            false => until_back(&victims).await.map(|back| back - released),
        };
        let after = phase().await;

        let names: Vec<String> = victims.iter().map(|victim| victim.id.to_string()).collect();
        let elsewhere = during.iter().filter(|call| {
            let target = call.served();
            call.ended > struck && target.is_some_and(|target| !names.contains(&target))
        });
        let elsewhere = elsewhere.map(|call| call.ended - struck).min();
        json(&DrillReport {
            take: order.take,
            model: scene.model().to_owned(),
            taken: names,
            killed,
            phases: vec![
                felt("before", &before),
                felt("during", &during),
                felt("after", &after),
            ],
            elsewhere_ms: elsewhere.map(millis),
            back_ms: back.map(millis),
        })
    }
}

impl Daemon {
    /// Asks the model so many times, as callers do.
    async fn phase(&self, scope: &Workspace, model: &str, calls: usize) -> Vec<Call> {
        let pace = stream::unfold(interval(PACE), |mut pace| async {
            pace.tick().await;
            Some(((), pace))
        });
        let calls = pace.take(calls).take_until(sleep(PHASE)).map(|()| async {
            let snapshot = self.live.snapshot();
            let workspace = snapshot.workspace(scope).ok();
            let asked = workspace.and_then(|path| Some((path, path.model(model)?)));
            let probed = match asked {
                Some((path, model)) => timeout(CALL, probe(path, model, 8)).await.ok(),
                None => None, // it was removed meanwhile
            };
            Call {
                ended: Instant::now(),
                probed,
            }
        });
        calls.buffer_unordered(AT_ONCE).collect().await
    }
}

impl Call {
    /// The target that answered it.
    fn served(&self) -> Option<String> {
        let probed = self.probed.as_ref()?;
        probed.answer.as_ref().ok()?;
        Some(probed.tried.served.as_ref()?.target.to_string())
    }
}

/// When all of them took calls again; `None` where they did not in time.
async fn until_back(victims: &[Victim]) -> Option<Instant> {
    let all = async {
        while !victims.iter().all(Victim::is_back) {
            sleep(LOOK).await;
        }
        Instant::now()
    };
    timeout(BACK, all).await.ok()
}
