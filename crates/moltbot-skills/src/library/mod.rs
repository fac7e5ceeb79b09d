//! All skills of a home: read, looked at again, approved, and watched while they run.

mod approval;
mod conduct;

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use moltbot_types::Workspace;
use serde::Serialize;
use tokio::time::Instant;

pub use approval::Approve;
use approval::{Approvals, Decision};
use conduct::Conduct;
pub use conduct::LastError;

use crate::folder::{self, Content};
use crate::manifest::{Manifest, Permissions};
use crate::rank::Wakeable;
use crate::role::Roles;
use crate::script::Script;
use crate::skill::{Ended, FaultKind, Outcome, Said, Skill};
use crate::trigger::Schedule;
use crate::worker::Pool;

/// Where skills lie and what is remembered of them.
#[derive(Clone, Debug)]
pub struct LibrarySettings {
    /// The folder of the skills that every workspace may use, and how people call it.
    pub shared: (PathBuf, String),
    /// The file of approvals.
    pub approvals: PathBuf,
}

/// The folders of a workspace's own skills.
#[derive(Clone, Debug)]
pub struct OwnSkills {
    /// The workspace.
    pub workspace: Workspace,
    /// The folder that holds a folder for each skill.
    pub folder: PathBuf,
    /// How people call it: `workspaces/team/skills`.
    pub label: String,
}

/// All skills of a home.
#[derive(Debug)]
pub struct Library {
    settings: LibrarySettings,
    pool: Arc<Pool>,
    roles: Roles,
    /// One look at a time.
    looking: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    approve: Approve,
    approvals: Approvals,
    /// By the workspace they belong to; the shared ones under `None`.
    shelves: BTreeMap<Option<Workspace>, BTreeMap<String, Entry>>,
    conduct: HashMap<(Workspace, Key), Conduct>,
}

/// A skill apart from all others: whether it belongs to a workspace, and its name.
type Key = (bool, String);

/// One folder.
#[derive(Clone, Debug, Default)]
struct Entry {
    /// Of the content that was looked at last.
    digest: String,
    good: Option<Good>,
    /// What is wrong with the content that was looked at last.
    problem: Option<String>,
}

#[derive(Clone, Debug)]
struct Good {
    digest: String,
    script: Arc<Script>,
}

/// A skill that may run in a workspace.
#[derive(Clone, Debug)]
pub struct Ready {
    key: Key,
    workspace: Workspace,
    script: Arc<Script>,
    granted: bool,
}

impl Wakeable for Ready {
    fn manifest(&self) -> &Manifest {
        self.script.manifest()
    }
}

impl Ready {
    /// Its manifest.
    pub fn manifest(&self) -> &Manifest {
        self.script.manifest()
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.key.1
    }

    /// Whether models may call it.
    pub fn is_tool(&self) -> bool {
        self.script.manifest().tool
    }

    /// The times at which it runs.
    pub fn schedules(&self) -> impl Iterator<Item = &Arc<Schedule>> {
        let triggers = self.script.manifest().triggers.iter();
        triggers.filter_map(crate::Trigger::schedule)
    }

    /// Whether it belongs to the workspace itself; else the workspace's policy must allow it.
    pub fn is_own(&self) -> bool {
        self.key.0
    }
}

/// How a skill is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SkillState {
    /// It runs.
    Enabled,
    /// It was switched off.
    Disabled,
    /// It waits for approval.
    Waiting,
    /// Its files are wrong; a last good version still runs.
    Broken,
    /// It misbehaved.
    Quarantined,
}

/// A line of `skill list`.
#[derive(Clone, Debug, Serialize)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// Its version; empty where no version could be read.
    pub version: String,
    /// The workspace that owns it; `default` for a shared one.
    pub workspace: Workspace,
    /// Whether every workspace may use it, as far as policies allow.
    pub shared: bool,
    /// How it is.
    pub state: SkillState,
    /// Why it does not run.
    pub reason: Option<String>,
    /// When it runs, in words.
    pub triggers: Vec<String>,
    /// Whether models may call it.
    pub tool: bool,
    /// What it asks for, in words.
    pub permissions: String,
    /// Runs since the start.
    pub runs: u64,
    /// Of them, failed.
    pub errors: u64,
    /// The last failure.
    pub last_error: Option<LastError>,
}

/// What enabling a skill granted.
#[derive(Clone, Debug)]
pub struct Granted {
    /// What it may do now.
    pub permissions: Permissions,
    /// Whether that had to be approved.
    pub approved: bool,
}

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum LibraryError {
    /// There is no such skill.
    #[error("no skill `{0}`; `moltctl skill list` shows those there are")]
    Unknown(String),
    /// It can't be approved as it is.
    #[error("{0}")]
    Broken(String),
    /// The decision can't be kept.
    #[error("{0} can't be written: {1}")]
    File(PathBuf, io::Error),
}

impl Library {
    /// A library that has not looked yet.
    ///
    /// # Errors
    /// The file of approvals can't be read.
    pub fn new(
        settings: LibrarySettings,
        pool: Arc<Pool>,
        roles: Roles,
    ) -> Result<Self, LibraryError> {
        let approvals = Approvals::open(&settings.approvals)
            .map_err(|error| LibraryError::File(settings.approvals.clone(), error))?;
        Ok(Self {
            settings,
            pool,
            roles,
            looking: tokio::sync::Mutex::default(),
            state: Mutex::new(State {
                approvals,
                ..State::default()
            }),
        })
    }

    /// Sets what makes an approved skill wait again.
    pub fn configure(&self, approve: Approve) {
        self.state().approve = approve;
    }

    /// The workers.
    pub fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    /// Looks at all folders; those whose content changed are read anew. Gives what is wrong with those that
    /// were found broken now.
    pub async fn look(&self, own: &[OwnSkills]) -> Vec<String> {
        let _one = self.looking.lock().await;
        let (shared, label) = &self.settings.shared;
        let mut wrong = self.look_at(None, shared, label).await;
        for own in own {
            let workspace = Some(own.workspace.clone());
            wrong.extend(self.look_at(workspace, &own.folder, &own.label).await);
        }
        let known = |workspace: &Option<Workspace>| match workspace {
            Some(workspace) => own.iter().any(|own| own.workspace == *workspace),
            None => true,
        };
        self.state().shelves.retain(|workspace, _| known(workspace));
        wrong
    }

    async fn look_at(
        &self,
        workspace: Option<Workspace>,
        folder: &Path,
        label: &str,
    ) -> Vec<String> {
        let (at, called) = (folder.to_owned(), label.to_owned());
        let contents = tokio::task::spawn_blocking(move || contents(&at, &called)).await;
        let contents = contents.unwrap_or_default();
        let before = self
            .state()
            .shelves
            .get(&workspace)
            .cloned()
            .unwrap_or_default();
        let mut after = BTreeMap::new();
        let mut wrong = Vec::new();
        for (name, content) in contents {
            let known = before.get(&name).cloned().unwrap_or_default();
            if known.digest == content.digest {
                after.insert(name, known);
                continue;
            }
            let digest = content.digest.clone();
            let label = format!("{label}/{name}");
            let entry = match self.load(content, &label, workspace.is_some()).await {
                Ok(good) => Entry {
                    digest,
                    good: Some(good),
                    problem: None,
                },
                // A machine that is too busy says nothing of the files: looked at again.
                Err(Wrong::Unavailable(why)) => Entry {
                    digest: String::new(),
                    problem: Some(why),
                    ..known
                },
                Err(Wrong::Files(why)) => {
                    wrong.push(why.clone());
                    Entry {
                        digest,
                        problem: Some(why),
                        ..known
                    }
                }
            };
            after.insert(name, entry);
        }
        self.state().shelves.insert(workspace, after);
        wrong
    }

    async fn load(&self, content: Content, label: &str, own: bool) -> Result<Good, Wrong> {
        let folder = content.folder(label);
        let folder = folder.map_err(|problems| Wrong::Files(problems.to_string()))?;
        let program = self.pool.check(folder.program).await;
        let program = program.map_err(|fault| match fault.kind {
            FaultKind::Unavailable => Wrong::Unavailable(fault.message),
            _ => match &fault.file {
                Some(_) => Wrong::Files(format!("{label}/{fault}")),
                None => Wrong::Files(format!("{label}: {fault}")),
            },
        })?;
        let script = Script::new(
            folder.manifest,
            Arc::new(program),
            own,
            Arc::clone(&self.pool),
            self.roles.clone(),
        );
        Ok(Good {
            digest: folder.digest,
            script: Arc::new(script),
        })
    }

    /// Whether there is no skill at all.
    pub fn is_empty(&self) -> bool {
        self.state().shelves.values().all(BTreeMap::is_empty)
    }

    /// The workspaces that have skills of their own.
    pub fn workspaces(&self) -> Vec<Workspace> {
        self.state().shelves.keys().flatten().cloned().collect()
    }

    /// The skills that may run in a workspace, as far as approval goes.
    pub fn ready(&self, workspace: &Workspace) -> Vec<Ready> {
        let state = self.state();
        let visible = state.visible(workspace);
        let ready = visible.into_iter().filter_map(|(key, entry)| {
            let (how, _) = state.how(workspace, &key, entry);
            let runs = matches!(how, SkillState::Enabled | SkillState::Broken);
            let script = Arc::clone(&entry.good.as_ref().filter(|_| runs)?.script);
            let runs = state.may_run(workspace, &key, entry);
            runs.then(|| Ready {
                key,
                workspace: workspace.clone(),
                script,
                granted: true,
            })
        });
        ready.collect()
    }

    /// A skill by its name, whether it may run or not; one that may not has no permissions.
    pub fn any(&self, workspace: &Workspace, name: &str) -> Option<Ready> {
        let state = self.state();
        let (key, entry) = state.find(workspace, name)?;
        let script = Arc::clone(&entry.good.as_ref()?.script);
        let granted = state.is_approved(workspace, &key, entry);
        Some(Ready {
            key,
            workspace: workspace.clone(),
            script,
            granted,
        })
    }

    /// Every skill that a workspace can see.
    pub fn list(&self, workspace: &Workspace) -> Vec<Listed> {
        let state = self.state();
        let visible = state.visible(workspace);
        visible
            .into_iter()
            .map(|(key, entry)| state.listed(workspace, key, entry))
            .collect()
    }

    /// How one skill is.
    pub fn find(&self, workspace: &Workspace, name: &str) -> Option<Listed> {
        let state = self.state();
        let (key, entry) = state.find(workspace, name)?;
        Some(state.listed(workspace, key, entry))
    }

    /// Approves a skill as it is now, switches it on and ends its quarantine.
    ///
    /// # Errors
    /// No such skill; one that is broken; the decision can't be kept.
    pub fn enable(&self, workspace: &Workspace, name: &str) -> Result<Granted, LibraryError> {
        let mut state = self.state();
        let unknown = || LibraryError::Unknown(name.to_owned());
        let (key, entry) = state.find(workspace, name).ok_or_else(unknown)?;
        let good = match (&entry.good, &entry.problem) {
            (Some(good), None) => good.clone(),
            (_, problem) => {
                let words = problem
                    .clone()
                    .unwrap_or_else(|| "it has no files".to_owned());
                return Err(LibraryError::Broken(words));
            }
        };
        let permissions = good.script.manifest().permissions.clone();
        let approved = !permissions.is_empty() && !state.is_approved(workspace, &key, entry);
        let change = |decision: &mut Decision| {
            *decision = Decision {
                digest: Some(good.digest),
                granted: Some(permissions.to_string()),
                disabled: false,
            };
        };
        state.decide(&self.settings, workspace, &key, change)?;
        if let Some(conduct) = state.conduct.get_mut(&(workspace.clone(), key)) {
            conduct.forgive();
        }
        Ok(Granted {
            permissions,
            approved,
        })
    }

    /// Switches a skill off.
    ///
    /// # Errors
    /// No such skill; the decision can't be kept.
    pub fn disable(&self, workspace: &Workspace, name: &str) -> Result<(), LibraryError> {
        let mut state = self.state();
        let unknown = || LibraryError::Unknown(name.to_owned());
        let (key, _) = state.find(workspace, name).ok_or_else(unknown)?;
        state.decide(&self.settings, workspace, &key, |decision| {
            decision.disabled = true;
        })
    }

    /// Runs a skill and remembers how it behaved.
    pub async fn run(&self, ready: &Ready, said: Said) -> Ended {
        let ungranted = said.ungranted || !ready.granted;
        let ended = ready.script.run(Said { ungranted, ..said }).await;
        let key = (ready.workspace.clone(), ready.key.clone());
        let name = &ready.key.1;
        let quarantined = {
            let mut state = self.state();
            let conduct = state.conduct.entry(key).or_default();
            conduct.note(&ended.outcome, Instant::now())
        };
        if let Outcome::Fault(fault) = &ended.outcome {
            tracing::warn!(skill = %name, workspace = %ready.workspace, error = %fault, "a skill failed");
        }
        if quarantined {
            tracing::error!(skill = %name, workspace = %ready.workspace, "a skill is quarantined; `moltctl skill enable {name}` ends it");
        }
        ended
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a folder is no skill.
enum Wrong {
    Files(String),
    Unavailable(String),
}

/// The content of each folder in `at`.
fn contents(at: &Path, label: &str) -> Vec<(String, Content)> {
    let Ok(entries) = std::fs::read_dir(at) else {
        return Vec::new();
    };
    let names = entries.flatten().filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        let is_folder = entry.path().is_dir() || entry.path().is_symlink();
        (is_folder && !name.starts_with('.')).then_some(name)
    });
    let read = |name: String| {
        let content = folder::content(&at.join(&name), &format!("{label}/{name}"));
        (name, content)
    };
    names.map(read).collect()
}

impl State {
    /// The entries that a workspace sees by name; its own hide shared ones.
    fn visible(&self, workspace: &Workspace) -> Vec<(Key, &Entry)> {
        let own = self.shelves.get(&Some(workspace.clone()));
        let mut visible: BTreeMap<&String, (bool, &Entry)> = BTreeMap::new();
        for (is_own, shelf) in [(false, self.shelves.get(&None)), (true, own)] {
            for (name, entry) in shelf.into_iter().flatten() {
                visible.insert(name, (is_own, entry));
            }
        }
        let keyed = visible.into_iter();
        keyed
            .map(|(name, (is_own, entry))| ((is_own, name.clone()), entry))
            .collect()
    }

    fn find(&self, workspace: &Workspace, name: &str) -> Option<(Key, &Entry)> {
        let own = self.shelves.get(&Some(workspace.clone()));
        let shelves = [(true, own), (false, self.shelves.get(&None))];
        shelves.into_iter().find_map(|(is_own, shelf)| {
            let entry = shelf?.get(name)?;
            Some(((is_own, name.to_owned()), entry))
        })
    }

    fn decision(&self, workspace: &Workspace, key: &Key) -> Option<&Decision> {
        self.approvals.of(workspace.as_str(), &written(key))
    }

    /// Whether what it asks for was granted to what it is now.
    fn is_approved(&self, workspace: &Workspace, key: &Key, entry: &Entry) -> bool {
        let Some(good) = &entry.good else {
            return false;
        };
        let permissions = &good.script.manifest().permissions;
        if permissions.is_empty() {
            return true;
        }
        let Some(decision) = self.decision(workspace, key) else {
            return false;
        };
        match self.approve {
            Approve::Changes => decision.digest.as_ref() == Some(&good.digest),
            Approve::Permissions => decision.granted == Some(permissions.to_string()),
        }
    }

    fn may_run(&self, workspace: &Workspace, key: &Key, entry: &Entry) -> bool {
        let disabled = self.decision(workspace, key).is_some_and(|d| d.disabled);
        let conduct = self.conduct.get(&(workspace.clone(), key.clone()));
        let quarantined = conduct.is_some_and(|conduct| conduct.quarantined.is_some());
        !disabled && !quarantined && self.is_approved(workspace, key, entry)
    }

    fn how(&self, workspace: &Workspace, key: &Key, entry: &Entry) -> (SkillState, Option<String>) {
        let conduct = self.conduct.get(&(workspace.clone(), key.clone()));
        let quarantine = conduct.and_then(|conduct| conduct.quarantined.clone());
        if self
            .decision(workspace, key)
            .is_some_and(|decision| decision.disabled)
        {
            return (SkillState::Disabled, Some("it was switched off".to_owned()));
        }
        if let Some(problem) = &entry.problem {
            return (SkillState::Broken, Some(problem.clone()));
        }
        if let Some(why) = quarantine {
            return (SkillState::Quarantined, Some(why));
        }
        if !self.is_approved(workspace, key, entry) {
            let permissions = entry
                .good
                .as_ref()
                .map(|good| good.script.manifest().permissions.to_string());
            let asks = permissions.unwrap_or_default();
            let words = format!(
                "it asks for {asks}: `moltctl skill enable {}` grants it",
                key.1
            );
            return (SkillState::Waiting, Some(words));
        }
        (SkillState::Enabled, None)
    }

    fn listed(&self, workspace: &Workspace, key: Key, entry: &Entry) -> Listed {
        let (state, reason) = self.how(workspace, &key, entry);
        let manifest = entry.good.as_ref().map(|good| good.script.manifest());
        let conduct = self.conduct.get(&(workspace.clone(), key.clone()));
        let conduct = conduct.cloned().unwrap_or_default();
        let (is_own, name) = key;
        Listed {
            name,
            version: manifest.map_or_else(String::new, |manifest| manifest.version.clone()),
            workspace: match is_own {
                true => workspace.clone(),
                false => Workspace::default(),
            },
            shared: !is_own,
            state,
            reason,
            triggers: manifest.map_or_else(Vec::new, |manifest| {
                manifest
                    .triggers
                    .iter()
                    .map(crate::Trigger::describe)
                    .collect()
            }),
            tool: manifest.is_some_and(|manifest| manifest.tool),
            permissions: manifest
                .map_or_else(String::new, |manifest| manifest.permissions.to_string()),
            runs: conduct.runs,
            errors: conduct.errors,
            last_error: conduct.last_error,
        }
    }

    fn decide(
        &mut self,
        settings: &LibrarySettings,
        workspace: &Workspace,
        key: &Key,
        change: impl FnOnce(&mut Decision),
    ) -> Result<(), LibraryError> {
        self.approvals
            .change(workspace.as_str(), &written(key), change)
            .map_err(|error| LibraryError::File(settings.approvals.clone(), error))
    }
}

/// How a skill is called in the file of approvals.
fn written((is_own, name): &Key) -> String {
    match is_own {
        true => format!("own/{name}"),
        false => format!("shared/{name}"),
    }
}
