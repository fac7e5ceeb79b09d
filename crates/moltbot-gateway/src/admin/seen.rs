//! The models that the files give a workspace: what admin requests for it can name. To them nothing else exists.

use http::StatusCode;
use moltbot_config::config::{Model, Rules, Workspace};
use moltbot_config::workspace::WorkspaceError;
use moltbot_config::{Config, Home, Loaded};
use moltbot_types::Workspace as Name;

use super::Refusal;
use crate::snapshot::Snapshot;
use crate::workspace::WorkspacePath;

/// The models of one workspace, as the files say.
pub(super) struct Seen<'a> {
    config: &'a Config,
    rules: Option<&'a Rules>,
    /// Whoever asks for no workspace owns the home: its shared models are all there.
    all_shared: bool,
}

impl<'a> Seen<'a> {
    /// What the workspace `scope` sees.
    ///
    /// # Errors
    /// There is no such workspace, or its files are invalid.
    pub(super) fn of(loaded: &'a Loaded, scope: &Name) -> Result<Self, Refusal> {
        let config = &loaded.config;
        let workspace = workspace(config, scope)?;
        let all_shared = scope.as_str() == Name::DEFAULT;
        if workspace.rules.is_none() && !all_shared {
            let problems: Vec<_> = loaded.parts.0.iter().map(ToString::to_string).collect();
            return Err(Refusal::invalid(problems.join("\n")));
        }
        Ok(Self {
            config,
            rules: workspace.rules.as_ref(),
            all_shared,
        })
    }

    /// The models: shared ones, then its own.
    pub(super) fn models(&self) -> impl Iterator<Item = &'a Model> + use<'a> {
        let allowed = |model: &&Model| {
            let policy = self.rules.map(|rules| &rules.policy);
            self.all_shared || policy.is_some_and(|policy| policy.allows_model(&model.name))
        };
        let shared: Vec<_> = self.config.models.iter().filter(allowed).collect();
        shared.into_iter().chain(self.own())
    }

    /// The model of that name.
    ///
    /// # Errors
    /// There is none, or none that the workspace sees.
    pub(super) fn model(&self, name: &str) -> Result<&'a Model, Refusal> {
        let mut models = self.models();
        models
            .find(|model| model.name == name)
            .ok_or_else(|| unknown(name))
    }

    /// Whether a model stands in the workspace's own file.
    pub(super) fn owns(&self, name: &str) -> bool {
        self.own().any(|model| model.name == name)
    }

    /// Whose file a model stands in: the workspace's own, or `None` for that of the shared ones.
    ///
    /// # Errors
    /// There is no such model, or it is shared, so that no workspace changes it.
    pub(super) fn owner<'s>(
        &self,
        scope: &'s Name,
        name: &str,
    ) -> Result<Option<&'s Name>, Refusal> {
        self.model(name)?;
        match (self.owns(name), self.all_shared) {
            (true, _) => Ok(Some(scope)),
            (false, true) => Ok(None),
            (false, false) => Err(Refusal::new(
                StatusCode::FORBIDDEN,
                5,
                format!(
                    "the model `{name}` is shared by all workspaces; change it without --workspace"
                ),
            )),
        }
    }

    fn own(&self) -> impl Iterator<Item = &'a Model> + use<'a> {
        self.rules.into_iter().flat_map(|rules| &rules.models)
    }
}

/// The workspace of that name.
///
/// # Errors
/// There is none.
pub(super) fn workspace<'a>(config: &'a Config, scope: &Name) -> Result<&'a Workspace, Refusal> {
    config
        .workspace(scope.as_str())
        .ok_or_else(|| WorkspaceError::Missing(scope.to_string()).into())
}

/// Looks whether the home has a workspace of that name.
///
/// # Errors
/// It has none.
pub(super) fn exists(home: &Home, scope: &Name) -> Result<(), Refusal> {
    let (names, _) = moltbot_config::workspace::names(home);
    match names.iter().any(|name| name == scope.as_str()) {
        true => Ok(()),
        false => Err(WorkspaceError::Missing(scope.to_string()).into()),
    }
}

/// What callers of a workspace meet now.
///
/// # Errors
/// There is no such workspace, or it is out of service.
pub(super) fn in_service<'a>(
    snapshot: &'a Snapshot,
    scope: &Name,
) -> Result<&'a WorkspacePath, Refusal> {
    workspace(&snapshot.config, scope)?;
    let path = snapshot.workspace(scope);
    path.map(|path| &**path)
        .map_err(|error| Refusal::invalid(error.message()))
}

pub(super) fn unknown(name: &str) -> Refusal {
    Refusal::missing(format!(
        "there is no model `{name}`; `moltctl model list` names those there are"
    ))
}
