//! The configuration's files: what is in force, what they say, and changes of them.

use moltbot_config::{EditError, Editor, KeyError, Loaded, Overrides, Problems};
use moltbot_types::Workspace;
use serde::Deserialize;
use serde_json::json;

use super::{Admin, Answer, Refusal, json};
use crate::live::Rejected;

/// The body of `PUT config/values/KEY`.
#[derive(Deserialize)]
pub(super) struct Wanted {
    value: String,
}

impl From<Problems> for Refusal {
    fn from(problems: Problems) -> Self {
        Self::invalid(problems)
    }
}

impl From<Rejected> for Refusal {
    fn from(rejected: Rejected) -> Self {
        Self::invalid(rejected.0.join("\n"))
    }
}

impl From<EditError> for Refusal {
    fn from(error: EditError) -> Self {
        match error {
            EditError::Invalid(_) => Self::invalid(error),
            EditError::NotThere(_) => Self::missing(error.to_string()),
            EditError::Key(error) => error.into(),
            EditError::Refused(_) | EditError::Io { .. } => Self::failed(error.to_string()),
        }
    }
}

impl From<KeyError> for Refusal {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::Malformed(_) => Self::usage(error.to_string()),
            KeyError::NoItem { .. } => Self::missing(error.to_string()),
        }
    }
}

impl Admin {
    /// What the files say now, whether or not it is in force yet.
    pub(super) fn load(&self) -> Result<Loaded, Refusal> {
        Ok(moltbot_config::load(&self.home, &self.overrides())?)
    }

    pub(super) fn overrides(&self) -> Overrides {
        match &self.daemon {
            Some(daemon) => daemon.live.overrides().clone(),
            None => Overrides::from_process(Vec::new()),
        }
    }

    /// Works on the files, checked as a start of the daemon would check them.
    pub(super) fn edit<T>(
        &self,
        work: impl FnOnce(Editor<'_>) -> Result<T, EditError>,
    ) -> Result<T, Refusal> {
        Ok(work(Editor::new(&self.home, &self.overrides()))?)
    }

    /// The same on the models of a workspace, or on the shared ones.
    pub(super) fn edit_models<T>(
        &self,
        owner: Option<&Workspace>,
        work: impl FnOnce(Editor<'_>) -> Result<T, EditError>,
    ) -> Result<T, Refusal> {
        self.edit(|editor| {
            work(match owner {
                Some(owner) => editor.in_workspace(owner.as_str()),
                None => editor,
            })
        })
    }

    pub(super) fn config_show(&self) -> Answer {
        let entries = self.load()?.entries();
        let entries: Vec<_> = entries
            .iter()
            .map(|entry| {
                json!({
                    "key": entry.key,
                    "value": entry.value,
                    "layer": entry.origin.layer.to_string(),
                    "file": (!entry.origin.file.is_empty()).then_some(&*entry.origin.file),
                    "line": (entry.origin.line > 0).then_some(entry.origin.line),
                })
            })
            .collect();
        json(&entries)
    }

    pub(super) fn config_get(&self, key: &str, file: bool) -> Answer {
        let loaded = self.load()?;
        let value = if file {
            loaded.get_in_file(key)
        } else {
            loaded.get(key)
        };
        let value = value?.ok_or_else(|| Refusal::missing(format!("{key} is not set")))?;
        json(&value)
    }

    pub(super) async fn config_set(&self, key: &str, wanted: Wanted) -> Answer {
        self.edit(|editor| editor.set(key, &wanted.value))?;
        self.changed(&format!("{key} is {}", wanted.value)).await
    }

    pub(super) async fn config_unset(&self, key: &str) -> Answer {
        self.edit(|editor| editor.unset(key))?;
        self.changed(&format!("{key} is no longer set")).await
    }

    pub(super) fn config_validate(&self) -> Answer {
        let notices = crate::check(&self.home, &self.overrides())
            .map_err(|error| Refusal::invalid(error.to_string()))?;
        let mut detail = "the configuration is valid".to_owned();
        for notice in &notices {
            detail.push('\n');
            detail.push_str(notice);
        }
        json(&json!({ "detail": detail, "notices": notices }))
    }

    pub(super) fn config_diff(&self) -> Answer {
        json(&self.edit(|editor| editor.diff())?)
    }

    pub(super) async fn config_rollback(&self) -> Answer {
        self.edit(|editor| editor.rollback())?;
        self.changed("the last change is taken back").await
    }

    /// A file was written: it is in force before the answer goes out, where a daemon runs.
    pub(super) async fn changed(&self, what: &str) -> Answer {
        let mut detail = what.to_owned();
        if let Some(daemon) = &self.daemon {
            for notice in daemon.live.reload().await?.notices {
                detail.push('\n');
                detail.push_str(&notice);
            }
        }
        json(&json!({ "detail": detail }))
    }
}
