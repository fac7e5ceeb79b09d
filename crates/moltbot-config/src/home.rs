//! The home: the folder that holds everything, and where each thing stands in it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::expand::trim;

/// A folder with the files of one MoltBot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Home {
    root: PathBuf,
}

/// Why there is no home, with the cure.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// Neither a flag nor a variable names one.
    #[error("no home: neither --home nor MOLTBOT_HOME nor HOME is set; give --home DIR")]
    Unnamed,
    /// It does not exist.
    #[error("there is no home at {0}; make one with `moltctl init --home {0}`")]
    Missing(PathBuf),
    /// It cannot be read.
    #[error(
        "the home {path} cannot be read ({source}); run `ls -ld {path}` and give this user read and write permission, or choose another with --home DIR"
    )]
    Unreadable {
        /// The home.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl Home {
    /// The home in `root`; nothing is looked at yet.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        let root = root.into();
        Self {
            root: std::path::absolute(&root).unwrap_or(root),
        }
    }

    /// `flag`, else `$MOLTBOT_HOME`, else `~/.moltbot`.
    ///
    /// # Errors
    /// [`HomeError::Unnamed`] where none of them, nor `$HOME`, is set.
    pub fn resolve(flag: Option<PathBuf>) -> Result<Self, HomeError> {
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        flag.or_else(|| variable("MOLTBOT_HOME").map(PathBuf::from))
            .or_else(|| variable("HOME").map(|home| Path::new(&home).join(".moltbot")))
            .map(Self::new)
            .ok_or(HomeError::Unnamed)
    }

    /// Looks whether it is there and can be read.
    ///
    /// # Errors
    /// [`HomeError::Missing`] and [`HomeError::Unreadable`], each with its cure.
    pub fn check(&self) -> Result<(), HomeError> {
        match fs::read_dir(&self.root) {
            Ok(_) => Ok(()),
            Err(source) if source.kind() == io::ErrorKind::NotFound => {
                Err(HomeError::Missing(self.root.clone()))
            }
            Err(source) => Err(HomeError::Unreadable {
                path: self.root.clone(),
                source,
            }),
        }
    }

    /// The folder itself, absolute.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// `config/`.
    pub fn config_dir(&self) -> PathBuf {
        self.root.join("config")
    }

    /// `config/gateway.yaml`: the configuration.
    pub fn gateway_file(&self) -> PathBuf {
        self.root.join(GATEWAY)
    }

    /// `config/key`: the key that callers show, made by `init`; mode 0600.
    pub fn key_file(&self) -> PathBuf {
        self.root.join("config/key")
    }

    /// The key in that file, without the BOM and blanks that editors leave; `None` where there is no file.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn key(&self) -> io::Result<Option<String>> {
        match fs::read_to_string(self.key_file()) {
            Ok(key) => Ok(Some(trim(&key).to_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// `config/.versions/`: the last versions of `gateway.yaml`.
    pub fn versions_dir(&self) -> PathBuf {
        self.root.join("config/.versions")
    }

    /// `models/auth.json`: credentials; mode 0600.
    pub fn auth_file(&self) -> PathBuf {
        self.root.join(AUTH)
    }

    /// `workspace/channels.toml`: channels of the workspace `default`.
    pub fn channels_file(&self) -> PathBuf {
        self.root.join("workspace/channels.toml")
    }

    /// `config/workspace`: the name of the workspace at hand.
    pub fn current_workspace_file(&self) -> PathBuf {
        self.root.join("config/workspace")
    }

    /// `skills/`: skills that every workspace may use.
    pub fn skills_dir(&self) -> PathBuf {
        self.root.join("skills")
    }

    /// `workspaces/`: a folder for each workspace but `default`.
    pub fn workspaces_dir(&self) -> PathBuf {
        self.root.join("workspaces")
    }

    /// `workspaces/NAME/`: the files of one workspace.
    pub fn workspace_dir(&self, name: &str) -> PathBuf {
        self.workspaces_dir().join(name)
    }

    /// `workspaces/NAME/models.yaml`: its own models.
    pub fn models_file(&self, workspace: &str) -> PathBuf {
        self.workspace_dir(workspace).join("models.yaml")
    }

    /// `workspaces/NAME/policy.yaml`: what it may use.
    pub fn policy_file(&self, workspace: &str) -> PathBuf {
        self.workspace_dir(workspace).join("policy.yaml")
    }

    /// `workspaces/NAME/channels.toml`, and `workspace/channels.toml` for `default`.
    pub fn channels_file_of(&self, workspace: &str) -> PathBuf {
        match workspace {
            DEFAULT => self.channels_file(),
            name => self.workspace_dir(name).join("channels.toml"),
        }
    }

    /// `workspaces/NAME/skills/`: skills of one workspace.
    pub fn workspace_skills_dir(&self, workspace: &str) -> PathBuf {
        self.workspace_dir(workspace).join("skills")
    }

    /// Whether a file, named as problems name it, belongs to that workspace.
    pub fn is_file_of(&self, workspace: &str, file: &str) -> bool {
        let file = self.root.join(file);
        file.starts_with(self.workspace_dir(workspace)) || file == self.channels_file_of(workspace)
    }

    /// A path as it is told: relative to the home.
    pub(crate) fn relative(&self, path: &Path) -> String {
        let path = path.strip_prefix(&self.root).unwrap_or(path);
        path.display().to_string()
    }

    /// `data/`: the store and model files.
    pub fn data_dir(&self) -> PathBuf {
        self.root.join("data")
    }

    /// `data/audit.jsonl`: who changed what; mode 0600.
    pub fn audit_file(&self) -> PathBuf {
        self.root.join("data/audit.jsonl")
    }

    /// `data/key.pepper`: goes into every stored digest of a key; mode 0600.
    pub fn pepper_file(&self) -> PathBuf {
        self.root.join("data/key.pepper")
    }

    /// `data/tokens/`: tokens of upstreams; mode 0700.
    pub fn tokens_dir(&self) -> PathBuf {
        self.root.join("data/tokens")
    }

    /// `logs/`: a file for each day.
    pub fn logs_dir(&self) -> PathBuf {
        self.root.join("logs")
    }

    /// `run/`: what exists only while the daemon runs.
    pub fn run_dir(&self) -> PathBuf {
        self.root.join("run")
    }

    /// `run/moltbotd.json`: pid and bound addresses of the running daemon.
    pub fn run_file(&self) -> PathBuf {
        self.root.join("run/moltbotd.json")
    }

    /// `run/admin.sock`: the admin socket.
    pub fn admin_socket(&self) -> PathBuf {
        self.root.join("run/admin.sock")
    }

    /// `run/admin.token`: opens the admin listener; mode 0600.
    pub fn admin_token_file(&self) -> PathBuf {
        self.root.join("run/admin.token")
    }
}

/// `gateway.yaml`, relative to the home.
pub(crate) const GATEWAY: &str = "config/gateway.yaml";
/// `auth.json`, relative to the home.
pub(crate) const AUTH: &str = "models/auth.json";

/// The workspace that always exists.
pub(crate) const DEFAULT: &str = "default";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_names_the_home() {
        let home = Home::resolve(Some("/srv/bot".into())).unwrap();
        assert_eq!(
            home.gateway_file(),
            Path::new("/srv/bot/config/gateway.yaml")
        );
    }

    #[test]
    fn a_missing_home_names_its_cure() {
        let dir = tempfile::tempdir().unwrap();
        let error = Home::new(dir.path().join("none")).check().unwrap_err();
        assert!(error.to_string().contains("moltctl init --home"), "{error}");
    }

    #[test]
    fn a_file_is_no_home() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = Home::new(file.path()).check().unwrap_err();
        assert!(matches!(error, HomeError::Unreadable { .. }));
    }
}
