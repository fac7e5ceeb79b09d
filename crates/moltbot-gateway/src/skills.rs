//! Skills at work: the library of the home, looked at again and again, and its place on the path of calls.

mod cron;
mod mcp;
mod outside;
mod step;
mod tools;

use std::sync::Arc;
use std::time::Duration;

use moltbot_config::config::{Approve as Asked, Policy};
use moltbot_config::{Config, Home};
use moltbot_skills::worker::{Pool, PoolSettings};
use moltbot_skills::{
    Approve, Ended, Library, LibrarySettings, OwnSkills, Ready, Said, SkillState,
};
use moltbot_store::Store;
use moltbot_telemetry::Calls;
use moltbot_types::Workspace;
use tokio_util::task::TaskTracker;
use tracing::warn;

use cron::keep_time;
pub(crate) use mcp::Mcp;
pub(crate) use outside::Snapshots;
pub(crate) use step::skills;

use crate::channels::Channels;
use crate::gateway::StartError;
use crate::live::Live;
use crate::runtime::Runtime;
use outside::Outside;

/// How often the folders are looked at: a change is in force within two seconds.
const LOOKS_EVERY: Duration = Duration::from_millis(700);
/// A start does not wait longer for the first look.
const FIRST_LOOK: Duration = Duration::from_secs(10);

/// The skills of a home.
pub(crate) struct Shelf {
    home: Home,
    library: Library,
    outside: Arc<Outside>,
    calls: Arc<Calls>,
}

impl Shelf {
    /// A shelf that has not looked yet.
    ///
    /// # Errors
    /// The file of approvals can't be read; TLS can't be set up.
    pub(crate) fn new(
        home: &Home,
        config: &Config,
        store: &Store,
        calls: Arc<Calls>,
        tasks: TaskTracker,
    ) -> Result<Self, StartError> {
        let outside = Arc::new(Outside::new(store, config).map_err(StartError::other)?);
        let settings = PoolSettings {
            require_sandbox: config.skills.require_sandbox,
            ..PoolSettings::default()
        };
        let pool = Arc::new(Pool::new(settings, tasks));
        let settings = LibrarySettings {
            shared: (home.skills_dir(), "skills".to_owned()),
            approvals: home.data_dir().join("skills.json"),
        };
        let library = Library::new(settings, pool, outside.roles()).map_err(StartError::other)?;
        let shelf = Self {
            home: home.clone(),
            library,
            outside,
            calls,
        };
        shelf.configure(config);
        Ok(shelf)
    }

    /// Takes over the settings of a new configuration.
    pub(crate) fn configure(&self, config: &Config) {
        self.library.configure(match config.skills.approve {
            Asked::Changes => Approve::Changes,
            Asked::Permissions => Approve::Permissions,
        });
        let pool = self.library.pool();
        pool.set_require_sandbox(config.skills.require_sandbox);
        self.outside.configure(config);
    }

    /// Lets skills ask models by the way of every call.
    pub(crate) fn connect(&self, snapshots: Snapshots, rt: &Arc<Runtime>) {
        self.outside.connect(snapshots, rt);
    }

    /// The library.
    pub(crate) fn library(&self) -> &Library {
        &self.library
    }

    /// Looks at all folders.
    pub(crate) async fn look(&self, config: &Config) {
        let own = config.workspaces.iter().map(|workspace| OwnSkills {
            workspace: Workspace::from(workspace.name.as_str()),
            folder: self.home.workspace_skills_dir(&workspace.name),
            label: format!("workspaces/{}/skills", workspace.name),
        });
        let own: Vec<_> = own.collect();
        for wrong in self.library.look(&own).await {
            warn!("a skill is broken; its last good version stays, where there is one: {wrong}");
        }
        for workspace in &own {
            for listed in self.library.list(&workspace.workspace) {
                self.calls.metrics().skill(&listed.name);
            }
        }
    }

    /// The skills that a workspace may run now.
    pub(crate) fn ready(&self, workspace: &Workspace, policy: &Policy) -> Vec<Ready> {
        let mut ready = self.library.ready(workspace);
        ready.retain(|ready| may_use(ready, policy));
        ready
    }

    /// Runs a skill, and counts how it ended.
    pub(crate) async fn run(&self, ready: &Ready, said: Said) -> Ended {
        let ended = self.library.run(ready, said).await;
        let metrics = self.calls.metrics();
        metrics.skill_ran(ready.name(), ended.outcome.word());
        ended
    }

    /// What is wrong with skills, one line each.
    pub(crate) fn problems(&self, workspaces: &[Workspace]) -> Vec<String> {
        let listed = workspaces.iter().flat_map(|name| self.library.list(name));
        let broken = listed.filter(|skill| skill.state == SkillState::Broken);
        let mut problems: Vec<_> = broken.filter_map(|skill| skill.reason).collect();
        problems.sort();
        problems.dedup();
        problems
    }
}

/// Whether a workspace may use a skill: its own always, a shared one as its policy says.
pub(crate) fn may_use(ready: &Ready, policy: &Policy) -> bool {
    ready.is_own() || policy.allows_skill(ready.name())
}

/// Looks once, then again and again.
pub(crate) async fn start(live: &Arc<Live>, rt: &Arc<Runtime>, channels: &Arc<Channels>) {
    let way = Arc::downgrade(live);
    let snapshots: Snapshots = Box::new(move || way.upgrade().map(|live| live.snapshot()));
    rt.skills.connect(snapshots, rt);
    let snapshot = live.snapshot();
    let looking = rt.skills.look(&snapshot.config);
    if tokio::time::timeout(FIRST_LOOK, looking).await.is_err() {
        warn!("the skills are many or the machine is busy: some join later");
    }
    let (looked, again) = (Arc::clone(live), Arc::clone(rt));
    rt.background.keep("skills", move || {
        let (live, rt) = (Arc::clone(&looked), Arc::clone(&again));
        async move {
            loop {
                tokio::select! {
                    () = tokio::time::sleep(LOOKS_EVERY) => {}
                    () = rt.stop.cancelled() => break,
                }
                let config = live.snapshot();
                rt.skills.look(&config.config).await;
            }
            rt.skills.library().pool().cool_down();
        }
    });
    keep_time(live, rt, channels);
}
