//! Skills that run by time: each time fires once, and one that was missed is not made up.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use moltbot_skills::{Outcome, Ready, Said, SendTo};
use moltbot_types::{Caller, Role, Workspace};
use tracing::warn;

use crate::channels::Channels;
use crate::live::Live;
use crate::runtime::Runtime;

const LOOKS_EVERY: Duration = Duration::from_millis(500);
/// A time that lies further back was missed: the machine slept.
const MISSED: SignedDuration = SignedDuration::from_secs(60);

/// Fires what is due, again and again.
pub(crate) fn keep_time(live: &Arc<Live>, rt: &Arc<Runtime>, channels: &Arc<Channels>) {
    let (live, keeper, channels) = (Arc::clone(live), Arc::clone(rt), Arc::clone(channels));
    rt.background.keep("skills by time", move || {
        let (live, rt, channels) = (
            Arc::clone(&live),
            Arc::clone(&keeper),
            Arc::clone(&channels),
        );
        async move {
            let mut last = Timestamp::now();
            loop {
                tokio::select! {
                    () = tokio::time::sleep(LOOKS_EVERY) => {}
                    () = rt.stop.cancelled() => return,
                }
                let now = Timestamp::now();
                for (workspace, ready, send) in due(&live, &rt, last, now) {
                    let (rt, channels) = (Arc::clone(&rt), Arc::clone(&channels));
                    let tasks = rt.tasks.clone();
                    tasks.spawn(fire(rt, channels, workspace, ready, send));
                }
                // A clock that is set back fires nothing twice.
                last = last.max(now).min(now + MISSED);
            }
        }
    });
}

type Due = (Workspace, Ready, Option<SendTo>);

/// The skills whose time lies after `last` and not after `now`.
fn due(live: &Live, rt: &Runtime, last: Timestamp, now: Timestamp) -> Vec<Due> {
    let mut due = Vec::new();
    if rt.skills.library().is_empty() {
        return due;
    }
    for workspace in live.snapshot().workspaces() {
        for ready in rt.skills.ready(&workspace.name, &workspace.rules.policy) {
            let schedules: Vec<_> = ready.schedules().cloned().collect();
            for schedule in schedules {
                let at = schedule.after(last).filter(|at| *at <= now);
                if at.is_some_and(|at| now.duration_since(at) < MISSED) {
                    let fires = (workspace.name.clone(), ready.clone(), schedule.send.clone());
                    due.push(fires);
                }
            }
        }
    }
    due
}

async fn fire(
    rt: Arc<Runtime>,
    channels: Arc<Channels>,
    workspace: Workspace,
    ready: Ready,
    send: Option<SendTo>,
) {
    let caller = Caller {
        workspace: workspace.clone(),
        role: Role::User,
        ..Caller::anonymous()
    };
    let ended = rt.skills.run(&ready, Said::text(caller, "")).await;
    if let (Outcome::Answer(text) | Outcome::Pass(text), Some(to)) = (ended.outcome, send) {
        let driver = channels.driver(workspace.as_str(), &to.channel);
        let sent = match driver {
            Some(driver) => driver.send(&to.to, &text).await,
            None => Err("it does not run".to_owned()),
        };
        if let Err(why) = sent {
            let channel = to.channel;
            warn!(%workspace, channel, why, "the text of a skill was not sent");
        }
    }
}
