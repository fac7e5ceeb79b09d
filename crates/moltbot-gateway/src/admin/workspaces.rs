//! Workspaces: listed, made, deleted, chosen.

use http::StatusCode;
use moltbot_config::config::Workspace as Configured;
use moltbot_config::workspace::{self, WorkspaceError};
use moltbot_config::{Home, Loaded};
use moltbot_types::Workspace;
use moltbot_types::admin::WorkspaceStatus;
use serde::Deserialize;
use serde_json::json;

use super::seen::{Seen, exists, workspace as find};
use super::{Admin, Answer, Refusal, json};

/// The body of `POST workspaces`.
#[derive(Deserialize)]
pub(super) struct Wanted {
    name: String,
}

impl From<WorkspaceError> for Refusal {
    fn from(error: WorkspaceError) -> Self {
        let words = error.to_string();
        match error {
            WorkspaceError::BadName(_) => Self::usage(words),
            WorkspaceError::Missing(_) => Self::missing(words),
            WorkspaceError::Exists(_)
            | WorkspaceError::SameVariables(_)
            | WorkspaceError::Default => Self::new(StatusCode::CONFLICT, 1, words),
            WorkspaceError::Secrets(error) => error.into(),
            WorkspaceError::Io { .. } => Self::failed(words),
        }
    }
}

impl Admin {
    pub(super) fn workspaces(&self) -> Answer {
        let loaded = self.load()?;
        let all = loaded.config.workspaces.iter();
        let rows: Vec<_> = all
            .map(|workspace| self.shown(workspace, &loaded))
            .collect();
        json(&rows)
    }

    pub(super) fn workspace(&self, name: &str) -> Answer {
        let loaded = self.load()?;
        json(&self.shown(find(&loaded.config, &name.into())?, &loaded))
    }

    pub(super) async fn workspace_create(&self, wanted: Wanted) -> Answer {
        let name = wanted.name;
        let made = workspace::create(&self.home, &name)?;
        let mut words = format!("the workspace {name} is made:");
        for path in made {
            words.push_str("\n  ");
            words.push_str(&path.display().to_string());
        }
        self.changed(&words).await
    }

    pub(super) async fn workspace_delete(&self, name: &str) -> Answer {
        let scope = Workspace::from(name);
        exists(&self.home, &scope)?;
        if scope == Workspace::default() {
            return Err(WorkspaceError::Default.into());
        }
        self.revoke_all(&scope).await?;
        workspace::delete(&self.home, &self.overrides(), name)?;
        self.changed(&format!("the workspace {name} is deleted"))
            .await
    }

    /// Commands that name no workspace work in this one from now on.
    pub(super) fn workspace_use(&self, name: &str) -> Answer {
        workspace::choose(&self.home, name)?;
        let detail = format!("commands work in the workspace {name} from now on");
        json(&json!({ "detail": detail }))
    }

    fn shown(&self, workspace: &Configured, loaded: &Loaded) -> WorkspaceStatus {
        let name = &workspace.name;
        let rules = workspace.rules.as_ref();
        let is_served = |daemon: &super::Daemon| {
            let snapshot = daemon.live.snapshot();
            snapshot.workspace(&Workspace::from(name.as_str())).is_ok()
        };
        let state = match (workspace.is_whole(), &self.daemon) {
            (true, _) => "ok",
            (false, Some(daemon)) if is_served(daemon) => "last_good",
            (false, _) => "invalid",
        };
        let scope = Workspace::from(name.as_str());
        let seen = Seen::of(loaded, &scope).ok();
        let names = |own: bool| {
            let models = seen.iter().flat_map(|seen| {
                let models = seen.models();
                models.filter(move |model| seen.owns(&model.name) == own)
            });
            models.map(|model| model.name.clone()).collect()
        };
        WorkspaceStatus {
            name: name.clone(),
            current: workspace::current(&self.home) == *name,
            state: state.to_owned(),
            models: names(true),
            shared_models: names(false),
            channels: workspace
                .channels
                .iter()
                .flatten()
                .map(|channel| channel.name.clone())
                .collect(),
            members: rules.map_or(0, |rules| rules.policy.members.len()),
            problems: problems(&self.home, name, loaded),
        }
    }
}

/// What is wrong with the files of a workspace.
fn problems(home: &Home, name: &str, loaded: &Loaded) -> Vec<String> {
    let problems = loaded.parts.0.iter();
    problems
        .filter(|problem| home.is_file_of(name, &problem.file))
        .map(ToString::to_string)
        .collect()
}
