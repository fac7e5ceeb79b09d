//! Skills: listed, looked at, matched, run, approved and switched off.

use std::path::PathBuf;
use std::sync::Arc;

use http::StatusCode;
use moltbot_config::config::Policy;
use moltbot_skills::library::LibraryError;
use moltbot_skills::{Ended, Listed, Outcome, Said, SkillState, folder, woken};
use moltbot_store::Store;
use moltbot_types::{Caller, Role, Workspace};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Admin, Answer, Refusal, json as answer};
use crate::runtime::Runtime;
use crate::skills::{Shelf, Snapshots, may_use};

/// The body of `POST skills/match`.
#[derive(Deserialize)]
pub(super) struct Matched {
    text: String,
}

/// The body of `POST skills/NAME/run`.
#[derive(Deserialize)]
pub(super) struct Run {
    #[serde(default)]
    text: String,
    /// Called as a tool, with these arguments.
    args: Option<Value>,
    sender: Option<String>,
    channel: Option<String>,
}

/// The body of `POST skills`.
#[derive(Deserialize)]
pub(super) struct Install {
    path: PathBuf,
    #[serde(default)]
    force: bool,
}

/// The skills at hand: the daemon's, or with the daemon down those of the files.
struct Hand {
    shelf: Arc<Shelf>,
    policy: Policy,
    /// With the daemon down: what models are asked with.
    _rt: Option<Arc<Runtime>>,
}

impl Admin {
    async fn hand(&self, scope: &Workspace) -> Result<Hand, Refusal> {
        self.hand_on(scope, Store::memory()).await
    }

    async fn hand_on(&self, scope: &Workspace, store: Store) -> Result<Hand, Refusal> {
        let missing = || Refusal::missing(format!("there is no workspace `{scope}`"));
        if let Some(daemon) = &self.daemon {
            let snapshot = daemon.live.snapshot();
            let workspace = snapshot.workspace(scope).map_err(|_| missing())?;
            // What was written a moment ago counts.
            daemon.rt.skills.look(&snapshot.config).await;
            return Ok(Hand {
                shelf: Arc::clone(&daemon.rt.skills),
                policy: workspace.rules.policy.clone(),
                _rt: None,
            });
        }
        let config = self.load()?.config;
        let workspace = config.workspace(scope.as_str()).ok_or_else(missing)?;
        let policy = workspace.rules.as_ref().map(|rules| rules.policy.clone());
        let (snapshot, rt) = self.offline_on(config.clone(), store)?;
        let (snapshot, rt) = (Arc::new(snapshot), Arc::new(rt));
        let snapshots: Snapshots = Box::new(move || Some(Arc::clone(&snapshot)));
        rt.skills.connect(snapshots, &rt);
        rt.skills.look(&config).await;
        Ok(Hand {
            shelf: Arc::clone(&rt.skills),
            policy: policy.unwrap_or_default(),
            _rt: Some(rt),
        })
    }

    pub(super) async fn skills(&self, scope: &Workspace) -> Answer {
        let hand = self.hand(scope).await?;
        answer(&hand.listed(scope))
    }

    /// Every problem of one skill, or of all.
    pub(super) async fn skills_validate(&self, scope: &Workspace, name: Option<&str>) -> Answer {
        let hand = self.hand(scope).await?;
        let listed = hand.listed(scope);
        if let Some(name) = name.filter(|name| listed.iter().all(|skill| skill.name != **name)) {
            return Err(unknown(name));
        }
        let looked = listed
            .iter()
            .filter(|skill| name.is_none_or(|name| skill.name == name));
        let rows: Vec<_> = looked
            .map(|skill| {
                let broken = skill.state == SkillState::Broken;
                let library = hand.shelf.library();
                let warnings = library.any(scope, &skill.name).map(|any| any.manifest().warnings());
                json!({
                    "name": skill.name,
                    "ok": !broken,
                    "problems": skill.reason.iter().filter(|_| broken).flat_map(|reason| reason.lines()).collect::<Vec<_>>(),
                    "warnings": warnings.unwrap_or_default(),
                })
            })
            .collect();
        answer(&rows)
    }

    pub(super) async fn skills_match(&self, scope: &Workspace, asked: Matched) -> Answer {
        let hand = self.hand(scope).await?;
        let ready = hand.shelf.ready(scope, &hand.policy);
        let woken = woken(&ready, &asked.text);
        let rows = woken.iter().map(|woken| {
            json!({ "skill": woken.skill.name(), "trigger": woken.hit.trigger, "why": woken.hit.why })
        });
        answer(&rows.collect::<Vec<_>>())
    }

    pub(super) async fn skill_run(&self, scope: &Workspace, name: &str, run: Run) -> Answer {
        let hand = self.hand_on(scope, self.store().await?).await?;
        let library = hand.shelf.library();
        let ready = library
            .any(scope, name)
            .ok_or_else(|| match library.find(scope, name) {
                Some(broken) => Refusal::failed(broken.reason.unwrap_or_default()),
                None => unknown(name),
            })?;
        if !may_use(&ready, &hand.policy) {
            let words = format!("the policy of this workspace excludes the skill `{name}`");
            return Err(Refusal::new(StatusCode::FORBIDDEN, 5, words));
        }
        if run.args.as_ref().is_some_and(|args| !args.is_object()) {
            return Err(Refusal::usage("the arguments are no JSON object"));
        }
        let hit = woken([&ready], &run.text).into_iter().next();
        let caller = Caller {
            workspace: scope.clone(),
            role: Role::User,
            ..Caller::anonymous()
        };
        let said = Said {
            hit: hit.map(|woken| woken.hit),
            arguments: run.args,
            sender: run.sender.map(Into::into),
            channel: run.channel.map(Into::into),
            ..Said::text(caller, run.text)
        };
        answer(&ran(hand.shelf.run(&ready, said).await))
    }

    pub(super) async fn skill_enable(&self, scope: &Workspace, name: &str) -> Answer {
        let hand = self.hand(scope).await?;
        let granted = hand.shelf.library().enable(scope, name).map_err(refused)?;
        answer(&json!({
            "ok": true,
            "name": name,
            "permissions": granted.permissions.to_string(),
            "detail": format!("{name} is enabled; it may use: {}", granted.permissions),
        }))
    }

    pub(super) async fn skill_disable(&self, scope: &Workspace, name: &str) -> Answer {
        let hand = self.hand(scope).await?;
        hand.shelf.library().disable(scope, name).map_err(refused)?;
        answer(&json!({ "ok": true, "name": name, "detail": format!("{name} is disabled") }))
    }

    /// Copies a folder into the workspace's skills, after it was looked at; those of `default` are shared ones.
    pub(super) async fn skill_install(&self, scope: &Workspace, install: Install) -> Answer {
        let name = install.path.file_name().and_then(|name| name.to_str());
        let name = name.ok_or_else(|| Refusal::usage("the path names no folder"))?;
        if !install.path.is_dir() {
            let words = format!("{} is no folder", install.path.display());
            return Err(Refusal::missing(words));
        }
        let found = folder::read(&install.path, name);
        let found = found.map_err(|problems| Refusal::failed(problems.to_string()))?;
        let shelf = match scope.as_str() {
            Workspace::DEFAULT => self.home.skills_dir(),
            other => self.home.workspace_skills_dir(other),
        };
        let to = shelf.join(&found.manifest.name);
        if to.exists() && !install.force {
            let words = format!("{} is there; --force replaces it", to.display());
            return Err(Refusal::failed(words));
        }
        folder::copy(&install.path, &to)
            .map_err(|error| Refusal::failed(format!("{}: {error}", to.display())))?;
        let hand = self.hand(scope).await?;
        let listed = hand.shelf.library().find(scope, &found.manifest.name);
        answer(&json!({
            "ok": true,
            "name": found.manifest.name,
            "state": listed.as_ref().map(|skill| skill.state),
            "detail": match listed.and_then(|skill| skill.reason) {
                Some(reason) => format!("{name} is installed; {reason}"),
                None => format!("{name} is installed"),
            },
        }))
    }
}

impl Hand {
    fn listed(&self, scope: &Workspace) -> Vec<Listed> {
        let mut listed = self.shelf.library().list(scope);
        let allowed = |skill: &Listed| !skill.shared || self.policy.allows_skill(&skill.name);
        listed.retain(allowed);
        listed
    }
}

/// What a run came to, as `skill run` tells it.
fn ran(ended: Ended) -> Value {
    let (answer, pass, error) = match &ended.outcome {
        Outcome::Answer(text) => (Some(text.clone()), false, None),
        Outcome::Pass(text) => (Some(text.clone()), true, None),
        Outcome::Nothing => (None, true, None),
        Outcome::Fault(fault) => (None, true, Some(fault.to_string())),
    };
    let logs = ended
        .logs
        .iter()
        .map(|line| json!({ "level": line.level, "text": line.text }));
    json!({
        "answer": answer,
        "pass": pass,
        "logs": logs.collect::<Vec<_>>(),
        "error": error,
        "cpu_ms": ended.cpu.as_secs_f64() * 1000.0,
        "wall_ms": ended.wall.as_secs_f64() * 1000.0,
    })
}

fn unknown(name: &str) -> Refusal {
    Refusal::missing(LibraryError::Unknown(name.to_owned()).to_string())
}

fn refused(error: LibraryError) -> Refusal {
    match error {
        LibraryError::Unknown(_) => Refusal::missing(error.to_string()),
        error => Refusal::failed(error.to_string()),
    }
}
