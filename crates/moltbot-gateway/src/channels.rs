//! The channels of all workspaces: each runs as its file says, and a change of one leaves the others alone.

mod adapter;
mod house;
mod post;
mod web;

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use moltbot_channels::web::snippet;
use moltbot_channels::{
    Channel as Platform, ChannelError, Driver, House, Outcome, Parts, Status, Stores, Way, tidy,
};
use moltbot_config::config::{Channel, ChannelKind};
use moltbot_types::admin::ChannelStatus;
use moltbot_types::{Door, Workspace};
use tracing::{info, warn};

use crate::live::Live;
use crate::runtime::Runtime;
use crate::snapshot::Snapshot;
use house::Rooms;

/// Time between two looks for messages and sendings that may be forgotten.
const TIDY_EVERY: Duration = Duration::from_secs(600);

/// A channel's name within all workspaces.
type Name = (Workspace, String);

/// The channels of all workspaces.
pub(crate) struct Channels {
    rt: Arc<Runtime>,
    live: Arc<Live>,
    door: Arc<dyn Door>,
    house: Arc<dyn House>,
    stores: Stores,
    at_work: RwLock<HashMap<Name, Post>>,
}

/// A channel as it stands.
#[derive(Clone)]
struct Post {
    state: State,
    /// The one that works, or worked last: what it counted stays.
    last: Option<Driver>,
    /// What its adapter was made of.
    print: String,
}

#[derive(Clone)]
enum State {
    /// Its file switches it off.
    Disabled,
    /// A secret is not there.
    MissingSecret(String),
    /// Its workspace cannot serve.
    Unused(String),
    /// It could not be made.
    Failed(String),
    /// It works, or tries to.
    Running(Driver),
}

impl Channels {
    pub(crate) fn new(rt: Arc<Runtime>, live: Arc<Live>, door: Arc<dyn Door>) -> Self {
        let store = &rt.store;
        let stores = Stores {
            inbox: Arc::clone(&store.inbox),
            outbox: Arc::clone(&store.outbox),
            sessions: Arc::clone(&store.sessions),
        };
        let house = Rooms::new(Arc::clone(&live), Arc::clone(&rt));
        Self {
            house: Arc::new(house),
            stores,
            door,
            live,
            rt,
            at_work: RwLock::default(),
        }
    }

    /// Puts each new configuration in force, and tidies up.
    pub(crate) async fn keep(&self) {
        let mut changes = self.live.changes();
        let mut tidying = tokio::time::interval(TIDY_EVERY);
        tidying.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            changes.mark_unchanged();
            self.apply(&self.live.snapshot());
            loop {
                tokio::select! {
                    changed = changes.changed() => match changed {
                        Ok(()) => break,
                        Err(_) => return,
                    },
                    _ = tidying.tick() => if let Err(error) = tidy(&self.stores).await {
                        warn!(%error, "old messages of channels could not be forgotten");
                    },
                    () = self.rt.stop.cancelled() => return,
                }
            }
        }
    }

    /// Begins, changes and ends channels as a configuration says.
    fn apply(&self, snapshot: &Snapshot) {
        let mut at_work = self.write();
        let mut wanted = HashMap::new();
        for (workspace, channel) in snapshot.channels() {
            let name = (workspace.clone(), channel.name.clone());
            let before = at_work.remove(&name);
            let post = self.post(snapshot, &workspace, channel, before);
            wanted.insert(name, post);
        }
        for ((workspace, channel), gone) in at_work.drain() {
            if let State::Running(driver) = gone.state {
                info!(%workspace, channel, "the channel is gone");
                driver.stop();
            }
        }
        *at_work = wanted;
    }

    /// A channel as the configuration wants it. One that does not change goes on; one whose platform stays the same
    /// only gets its new settings.
    fn post(
        &self,
        snapshot: &Snapshot,
        workspace: &Workspace,
        channel: &Channel,
        before: Option<Post>,
    ) -> Post {
        let print = adapter::print(channel);
        let is_same = before.as_ref().is_some_and(|before| {
            matches!(before.state, State::Running(_)) && before.print == print
        });
        let last = before.and_then(|before| before.last);
        if let (Some(last), false) = (&last, is_same) {
            last.stop();
        }
        let state = match self.idle(snapshot, workspace, channel) {
            Some(idle) => {
                if let Some(last) = &last {
                    last.stop();
                }
                idle
            }
            None => self.working(workspace, channel, last.as_ref(), is_same),
        };
        let last = match &state {
            State::Running(driver) => Some(driver.clone()),
            _ => last,
        };
        Post { state, last, print }
    }

    /// Why a channel does not run, if it does not.
    fn idle(&self, snapshot: &Snapshot, workspace: &Workspace, channel: &Channel) -> Option<State> {
        if !channel.enabled {
            return Some(State::Disabled);
        }
        if let Some(missing) = &channel.missing {
            return Some(State::MissingSecret(missing.clone()));
        }
        let model = house::model(snapshot, workspace, channel.model.as_deref());
        model
            .err()
            .map(|error| State::Unused(error.message().to_owned()))
    }

    fn working(
        &self,
        workspace: &Workspace,
        channel: &Channel,
        before: Option<&Driver>,
        is_same: bool,
    ) -> State {
        let settings = adapter::settings(workspace, channel);
        if let (Some(driver), true) = (before, is_same) {
            if *driver.settings() != settings {
                info!(%workspace, channel = channel.name, "the channel has new settings");
                driver.set(settings);
            }
            return State::Running(driver.clone());
        }
        let platform = match adapter::build(channel) {
            Ok(platform) => platform,
            Err(error) => {
                warn!(%workspace, channel = channel.name, %error, "the channel can't be made");
                return State::Failed(error.to_string());
            }
        };
        for way in [Way::In, Way::Out] {
            for outcome in Outcome::ALL {
                let (way, outcome) = (way.word(), outcome.word());
                self.rt
                    .calls
                    .metrics()
                    .channel_messages(&channel.name, way, outcome, 0);
            }
        }
        let parts = Parts {
            settings,
            channel: platform,
            stores: self.stores.clone(),
            door: Arc::clone(&self.door),
            house: Arc::clone(&self.house),
        };
        let driver = Driver::new(parts, before);
        let (works, stop) = (driver.clone(), self.rt.stop.clone());
        self.rt.tasks.spawn(async move {
            let run = works.run();
            tokio::pin!(run);
            tokio::select! {
                () = &mut run => return,
                () = stop.cancelled() => works.stop(),
            }
            run.await;
        });
        State::Running(driver)
    }

    /// Takes nothing new; turns that run are finished by whoever waits for the tasks.
    pub(crate) fn stop(&self) {
        for post in self.read().values() {
            if let State::Running(driver) = &post.state {
                driver.stop();
            }
        }
    }

    /// A channel that works.
    pub(crate) fn driver(&self, workspace: &str, channel: &str) -> Option<Driver> {
        let name = (Workspace::from(workspace), channel.to_owned());
        match self.read().get(&name)?.state.clone() {
            State::Running(driver) => Some(driver),
            _ => None,
        }
    }

    /// How the channels are, of one workspace or of all, in the order of their files.
    pub(crate) fn statuses(&self, of: Option<&Workspace>) -> Vec<ChannelStatus> {
        let snapshot = self.live.snapshot();
        let at_work = self.read();
        let channels = snapshot.channels();
        let channels = channels.filter(|(workspace, _)| of.is_none_or(|of| of == workspace));
        channels
            .map(|(workspace, channel)| {
                let post = at_work.get(&(workspace.clone(), channel.name.clone()));
                let mut status = status(&workspace, channel, post);
                if channel.kind == ChannelKind::Web {
                    let address = format!("http://{}", snapshot.config.server.listen);
                    status.snippet = Some(snippet(&address, workspace.as_str()));
                }
                status
            })
            .collect()
    }

    fn read(&self) -> RwLockReadGuard<'_, HashMap<Name, Post>> {
        self.at_work.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, HashMap<Name, Post>> {
        self.at_work.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How a channel is without a daemon.
pub(crate) fn at_rest(workspace: &Workspace, channel: &Channel) -> ChannelStatus {
    let state = match (channel.enabled, &channel.missing) {
        (false, _) => State::Disabled,
        (true, Some(missing)) => State::MissingSecret(missing.clone()),
        (true, None) => State::Failed("the daemon does not run".to_owned()),
    };
    let post = Post {
        state,
        last: None,
        print: String::new(),
    };
    status(workspace, channel, Some(&post))
}

/// The platform of a channel that is not at work, for a try at logging in.
///
/// # Errors
/// As [`adapter::build`].
pub(crate) fn platform(channel: &Channel) -> Result<Arc<dyn Platform>, ChannelError> {
    adapter::build(channel)
}

fn status(workspace: &Workspace, channel: &Channel, post: Option<&Post>) -> ChannelStatus {
    let counted = post.and_then(|post| post.last.as_ref()).map(Driver::status);
    let (state, reason) = match post.map(|post| &post.state) {
        Some(State::Running(_)) => match counted.as_ref().and_then(|now| now.problem.clone()) {
            None => ("running", None),
            Some(problem) => ("failed", Some(problem)),
        },
        Some(State::MissingSecret(why)) => ("missing_secret", Some(why.clone())),
        Some(State::Unused(why)) => ("unused", Some(why.clone())),
        Some(State::Failed(why)) => ("failed", Some(why.clone())),
        Some(State::Disabled) => ("disabled", None),
        None => ("failed", Some("it is about to begin".to_owned())),
    };
    let count = |of: fn(&Status) -> u64| counted.as_ref().map_or(0, of);
    ChannelStatus {
        name: channel.name.clone(),
        kind: channel.kind.word().to_owned(),
        workspace: workspace.to_string(),
        state: state.to_owned(),
        reason,
        received: count(|now| now.received),
        answered: count(|now| now.answered),
        failed: count(|now| now.failed),
        queued: count(|now| now.queued),
        snippet: None,
    }
}
