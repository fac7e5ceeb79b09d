//! The configuration in force: read, checked, built, and swapped in by one pointer.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use moltbot_config::{Config, Home, Loaded, Overrides, Problems, load};
use moltbot_telemetry::{Level, LevelHandle, Reload};
use moltbot_types::admin::ConfigStatus;
use moltbot_types::{ModelName, Policy, Workspace};
use tokio::sync::watch;
use tracing::{info, warn};

use crate::gateway::StartError;
use crate::runtime::Runtime;
use crate::snapshot::Snapshot;

/// An invalid file is read again after this time: it may have been half written.
const HALF_WRITTEN: Duration = Duration::from_secs(1);

/// The configuration in force, and the way to the next one.
pub(crate) struct Live {
    home: Home,
    overrides: Overrides,
    rt: Arc<Runtime>,
    level: LevelHandle,
    now: ArcSwap<Snapshot>,
    status: Mutex<ConfigStatus>,
    /// The generation in force, for those who act on each.
    changes: watch::Sender<u64>,
    /// The keys that only a start puts in force, as they are in force.
    started: [(&'static str, String); 5],
    /// One reload at a time; holds what the files said last.
    fingerprint: tokio::sync::Mutex<String>,
}

/// What came of a reload that was not rejected.
pub(crate) struct Reloaded {
    pub(crate) generation: u64,
    pub(crate) changed: bool,
    pub(crate) notices: Vec<String>,
    /// The files that a watch should look at now.
    pub(crate) watched: Vec<PathBuf>,
}

/// Why a configuration is not in force, one line each problem.
#[derive(Debug)]
pub(crate) struct Rejected(pub(crate) Vec<String>);

impl From<Problems> for Rejected {
    fn from(problems: Problems) -> Self {
        Self(problems.0.iter().map(ToString::to_string).collect())
    }
}

impl Live {
    /// Builds the first configuration.
    ///
    /// # Errors
    /// As [`Snapshot::build`].
    pub(crate) fn start(
        home: Home,
        overrides: Overrides,
        loaded: Loaded,
        rt: Arc<Runtime>,
        level: LevelHandle,
    ) -> Result<Self, StartError> {
        let key = caller_key(&home)?;
        let fingerprint = print(&loaded.config, key.as_deref());
        let started = at_a_start(&loaded.config);
        let snapshot = Snapshot::build(1, loaded.config, key.as_deref(), None, &rt)?;
        rt.keys.set_home(snapshot.home_key());
        rt.certificate.show(snapshot.certificate());
        rt.calls.metrics().declare(&snapshot.declared());
        crate::names::look_up(&snapshot, &rt);
        let status = ConfigStatus {
            generation: 1,
            result: Reload::Applied.word().to_owned(),
            problems: told(loaded.notices, &loaded.parts, &snapshot),
        };
        Ok(Self {
            home,
            overrides,
            rt,
            level,
            now: ArcSwap::from_pointee(snapshot),
            status: Mutex::new(status),
            changes: watch::Sender::new(1),
            started,
            fingerprint: tokio::sync::Mutex::new(fingerprint),
        })
    }

    /// The snapshot in force. A call takes one and keeps it.
    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        self.now.load_full()
    }

    /// Hears of each configuration that comes into force.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// What stands above the files.
    pub(crate) fn overrides(&self) -> &Overrides {
        &self.overrides
    }

    /// The least level that is logged.
    pub(crate) fn level(&self) -> Level {
        self.level.get()
    }

    /// Sets the least level that is logged.
    pub(crate) fn set_level(&self, level: Level) {
        self.level.set(level);
    }

    /// What came of the last reload, for `status`.
    pub(crate) fn status(&self) -> ConfigStatus {
        self.status
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Reads the files and puts them in force where they are valid; else everything stays as it is. A workspace
    /// whose files are invalid stays as it is alone.
    pub(crate) async fn reload(self: &Arc<Self>) -> Result<Reloaded, Rejected> {
        let mut fingerprint = self.fingerprint.lock().await;
        match self.read(&fingerprint).await {
            Ok(next) => {
                next.fingerprint.clone_into(&mut fingerprint);
                Ok(self.applied(next))
            }
            Err(rejected) => {
                self.rejected(&rejected);
                Err(rejected)
            }
        }
    }

    /// The same after a file changed by another hand: an invalid one may be half written, and is given a
    /// moment, in which it holds up no other reload.
    pub(crate) async fn reload_settled(self: &Arc<Self>) -> Result<Reloaded, Rejected> {
        {
            let mut fingerprint = self.fingerprint.lock().await;
            let known = self.status().problems;
            if let Ok(next) = self.read(&fingerprint).await
                && next.parts.iter().all(|problem| known.contains(problem))
            {
                next.fingerprint.clone_into(&mut fingerprint);
                return Ok(self.applied(next));
            }
        }
        tokio::time::sleep(HALF_WRITTEN).await;
        self.reload().await
    }

    /// What the files say now, built. It takes its time; calls go on meanwhile.
    async fn read(self: &Arc<Self>, known: &str) -> Result<Next, Rejected> {
        let (live, known) = (Arc::clone(self), known.to_owned());
        let built = blocking(move || {
            let loaded = load(&live.home, &live.overrides)?;
            live.build(loaded, &known)
        });
        built.await
    }

    /// Whether the files say something else than what is in force.
    pub(crate) async fn outdated(self: &Arc<Self>) -> bool {
        let known = self.fingerprint.lock().await.clone();
        let live = Arc::clone(self);
        let said = blocking(move || {
            let mut loaded = load(&live.home, &live.overrides)?;
            live.snapshot().fill(&mut loaded.config);
            let key = caller_key(&live.home).map_err(|error| Rejected(vec![error.to_string()]))?;
            Ok::<_, Rejected>(print(&loaded.config, key.as_deref()))
        });
        said.await.map_or(true, |said| said != known)
    }

    /// The next snapshot, or `None` in it where the files say what they said before.
    fn build(&self, mut loaded: Loaded, known: &str) -> Result<Next, Rejected> {
        let key = caller_key(&self.home).map_err(|error| Rejected(vec![error.to_string()]))?;
        let now = self.snapshot();
        now.fill(&mut loaded.config);
        let fingerprint = print(&loaded.config, key.as_deref());
        let mut notices: Vec<_> = self.waiting_for_a_start(&loaded.config).collect();
        notices.extend(loaded.notices);
        let mut parts: Vec<_> = loaded.parts.0.iter().map(ToString::to_string).collect();
        let snapshot = if fingerprint == known {
            None
        } else {
            let next = now.generation + 1;
            let key = key.as_deref();
            let built = Snapshot::build(next, loaded.config, key, Some(&now), &self.rt);
            Some(built.map_err(|error| Rejected(vec![error.to_string()]))?)
        };
        parts.extend_from_slice(&snapshot.as_ref().unwrap_or(&now).problems);
        Ok(Next {
            fingerprint,
            snapshot,
            parts,
            notices,
            watched: loaded.watched,
        })
    }

    /// What a file says beside what was read at the start, for keys that only a start puts in force.
    fn waiting_for_a_start(&self, next: &Config) -> impl Iterator<Item = String> {
        let both = self.started.iter().zip(at_a_start(next));
        both.filter(|(started, next)| *started != next)
            .map(|(_, (key, _))| format!("{key} takes effect at the next start of moltbotd"))
    }

    fn applied(&self, next: Next) -> Reloaded {
        let changed = next.snapshot.is_some();
        let result = match next.snapshot {
            Some(snapshot) => {
                self.rt.configure(&snapshot.config);
                self.rt.calls.metrics().declare(&snapshot.declared());
                self.level.set(level(snapshot.config.logs.level));
                info!(
                    generation = snapshot.generation,
                    "the configuration is in force"
                );
                crate::names::look_up(&snapshot, &self.rt);
                self.rt.keys.set_home(snapshot.home_key());
                self.rt.certificate.show(snapshot.certificate());
                let generation = snapshot.generation;
                self.now.store(Arc::new(snapshot));
                self.changes.send_replace(generation);
                Reload::Applied
            }
            None if next.parts.is_empty() => Reload::Unchanged,
            None => Reload::Rejected,
        };
        let mut notices = next.parts;
        notices.extend(next.notices);
        self.rt.calls.metrics().reloaded(result);
        for notice in &notices {
            warn!("{notice}");
        }
        let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        status.generation = self.now.load().generation;
        result.word().clone_into(&mut status.result);
        status.problems.clone_from(&notices);
        Reloaded {
            generation: status.generation,
            changed,
            notices,
            watched: next.watched,
        }
    }

    fn rejected(&self, rejected: &Rejected) {
        self.rt.calls.metrics().reloaded(Reload::Rejected);
        for problem in &rejected.0 {
            warn!("the configuration is not in force, the last good one serves: {problem}");
        }
        let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        Reload::Rejected.word().clone_into(&mut status.result);
        status.problems.clone_from(&rejected.0);
    }
}

impl Policy for Live {
    fn may_use_model(&self, workspace: &Workspace, model: &ModelName) -> bool {
        let snapshot = self.now.load();
        let workspace = snapshot.workspace(workspace);
        workspace.is_ok_and(|workspace| workspace.is_seen(model.as_str()))
    }

    fn may_use_skill(&self, workspace: &Workspace, skill: &str) -> bool {
        let snapshot = self.now.load();
        let workspace = snapshot.workspace(workspace);
        workspace.is_ok_and(|workspace| workspace.may_use_skill(skill))
    }

    fn first_chat_model(&self, workspace: &Workspace) -> Option<ModelName> {
        self.now
            .load()
            .workspace(workspace)
            .ok()?
            .first_chat_model()
    }
}

/// Runs what takes time beside the calls.
async fn blocking<T, E>(work: impl FnOnce() -> Result<T, E> + Send + 'static) -> Result<T, E>
where
    T: Send + 'static,
    E: Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
    }
}

/// What the files say, built.
struct Next {
    fingerprint: String,
    /// `None` where they say what is in force.
    snapshot: Option<Snapshot>,
    /// What keeps workspaces as they are.
    parts: Vec<String>,
    notices: Vec<String>,
    watched: Vec<PathBuf>,
}

fn print(config: &Config, key: Option<&str>) -> String {
    // The key itself stays out of anything that is kept.
    let key = key.map_or(0, |key| {
        use std::hash::{DefaultHasher, Hash, Hasher};
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        hasher.finish()
    });
    format!("{}-{key:x}", config.fingerprint())
}

/// The key for callers that `moltctl init` wrote; `None` where there is none.
pub(crate) fn caller_key(home: &Home) -> Result<Option<String>, StartError> {
    home.key().map_err(|error| {
        let path = home.key_file();
        StartError::config(format!("{} can't be read: {error}", path.display()))
    })
}

/// What a person should know, although it keeps nothing but some workspace from being in force.
fn told(notices: Vec<String>, parts: &Problems, built: &Snapshot) -> Vec<String> {
    let mut told: Vec<_> = parts.0.iter().map(ToString::to_string).collect();
    told.extend_from_slice(&built.problems);
    told.extend(notices);
    told
}

/// The keys that a reload can't put in force, with their values.
fn at_a_start(config: &Config) -> [(&'static str, String); 5] {
    let server = &config.server;
    [
        ("server.listen", server.listen.clone()),
        ("server.admin", server.admin.clone()),
        ("server.workers", server.workers.to_string()),
        ("logs.keep", format!("{:?}", config.logs.keep)),
        ("store.url", config.store.url.clone()),
    ]
}

/// The level of the configuration as telemetry knows it.
pub(crate) fn level(level: moltbot_config::config::Level) -> Level {
    use moltbot_config::config::Level as Configured;
    match level {
        Configured::Trace => Level::Trace,
        Configured::Debug => Level::Debug,
        Configured::Info => Level::Info,
        Configured::Warn => Level::Warn,
        Configured::Error => Level::Error,
    }
}
