//! Workspaces come and go, and one of them is the one at hand.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::is_name;
use crate::edit::EditError;
use crate::expand::{trim, variables_of};
use crate::home::{DEFAULT, Home};
use crate::layers::Overrides;
use crate::write;
use crate::{Editor, workspace};

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum WorkspaceError {
    /// No workspace can have that name.
    #[error(
        "`{0}` is no name of a workspace: up to 64 small letters, digits, `-` and `_`, the first no mark"
    )]
    BadName(String),
    /// There is one already.
    #[error("there is a workspace `{0}` already")]
    Exists(String),
    /// Another one's variables would be its own.
    #[error("the workspace `{0}` has the same variables, whose names begin with {prefix}", prefix = variables_of(.0))]
    SameVariables(String),
    /// There is none of that name.
    #[error("there is no workspace `{0}`; `moltctl workspace list` names those there are")]
    Missing(String),
    /// It is always there.
    #[error("the workspace `default` can't be deleted")]
    Default,
    /// Its secrets could not be taken out of `auth.json`.
    #[error(transparent)]
    Secrets(#[from] EditError),
    /// The system refused.
    #[error("{path} could not be changed: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

fn io_at(path: &Path) -> impl FnOnce(io::Error) -> WorkspaceError + '_ {
    move |source| WorkspaceError::Io {
        path: path.to_owned(),
        source,
    }
}

/// Makes a workspace with commented files; nobody sees it half made. Gives what is new.
///
/// # Errors
/// [`WorkspaceError`]; nothing was made then.
pub fn create(home: &Home, name: &str) -> Result<Vec<PathBuf>, WorkspaceError> {
    if !is_name(name) {
        return Err(WorkspaceError::BadName(name.to_owned()));
    }
    let folder = home.workspace_dir(name);
    if name == DEFAULT || folder.exists() {
        return Err(WorkspaceError::Exists(name.to_owned()));
    }
    let others = workspace::names(home).0;
    let same = |other: &String| variables_of(other) == variables_of(name);
    if let Some(other) = others.into_iter().find(same) {
        return Err(WorkspaceError::SameVariables(other));
    }
    let parent = home.workspaces_dir();
    write::private_dir(&parent).map_err(io_at(&parent))?;
    let made = tempfile::Builder::new()
        .prefix(".new-")
        .permissions(fs::Permissions::from_mode(0o700))
        .tempdir_in(&parent)
        .map_err(io_at(&parent))?;
    let prefix = variables_of(name);
    let files = [
        ("models.yaml", include_str!("../init/workspace/models.yaml")),
        ("policy.yaml", include_str!("../init/workspace/policy.yaml")),
        (
            "channels.toml",
            include_str!("../init/workspace/channels.toml"),
        ),
    ];
    for (file, text) in files {
        let text = text.replace("MOLTBOT_NAME_", &prefix).replace("NAME", name);
        let path = made.path().join(file);
        write::replace(&path, &text).map_err(io_at(&path))?;
    }
    let skills = made.path().join("skills");
    write::private_dir(&skills).map_err(io_at(&skills))?;
    fs::rename(made.path(), &folder).map_err(|source| match source.kind() {
        // somebody else was quicker
        io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists => {
            WorkspaceError::Exists(name.to_owned())
        }
        _ => io_at(&folder)(source),
    })?;
    let _ = made.keep();
    let files = files.map(|(file, _)| folder.join(file));
    Ok([folder.clone()]
        .into_iter()
        .chain(files)
        .chain([folder.join("skills")])
        .collect())
}

/// Deletes a workspace with its files, and its entries in `auth.json`, so that another one of that name does not
/// inherit them.
///
/// # Errors
/// [`WorkspaceError`].
pub fn delete(home: &Home, overrides: &Overrides, name: &str) -> Result<(), WorkspaceError> {
    if name == DEFAULT {
        return Err(WorkspaceError::Default);
    }
    let folder = home.workspace_dir(name);
    if !is_name(name) || !folder.is_dir() {
        return Err(WorkspaceError::Missing(name.to_owned()));
    }
    Editor::new(home, overrides).remove_credentials_of(name)?;
    // one step takes it out of sight
    let parent = home.workspaces_dir();
    let gone = tempfile::Builder::new()
        .prefix(".gone-")
        .tempdir_in(&parent)
        .map_err(io_at(&parent))?;
    fs::rename(&folder, gone.path().join(name)).map_err(io_at(&folder))?;
    let path = gone.path().to_owned();
    gone.close().map_err(io_at(&path))?;
    if current(home) == name {
        choose(home, DEFAULT)?;
    }
    Ok(())
}

/// The workspace at hand: what commands work in where they name none.
pub fn current(home: &Home) -> String {
    let name = fs::read_to_string(home.current_workspace_file()).unwrap_or_default();
    match trim(&name) {
        name if is_name(name) => name.to_owned(),
        _ => DEFAULT.to_owned(),
    }
}

/// Makes a workspace the one at hand.
///
/// # Errors
/// [`WorkspaceError::Missing`], or the system refused.
pub fn choose(home: &Home, name: &str) -> Result<(), WorkspaceError> {
    if !workspace::names(home).0.iter().any(|known| known == name) {
        return Err(WorkspaceError::Missing(name.to_owned()));
    }
    let path = home.current_workspace_file();
    write::replace(&path, &format!("{name}\n")).map_err(io_at(&path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{InitOptions, init, load};

    fn home() -> (tempfile::TempDir, Home) {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::new(dir.path());
        init(&home, &InitOptions::default()).unwrap();
        (dir, home)
    }

    fn uncomment(path: &Path) {
        let text = fs::read_to_string(path).unwrap();
        let lines: Vec<_> = text
            .lines()
            .map(|line| line.replacen("#| ", "", 1))
            .collect();
        fs::write(path, lines.join("\n")).unwrap();
    }

    #[test]
    fn a_new_workspace_is_whole_and_private_and_a_duplicate_is_refused() {
        let (_dir, home) = home();
        let made = create(&home, "finance-team").unwrap();
        assert_eq!(made.len(), 5);
        for path in &made {
            let mode = fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode & 0o077, 0, "{}", path.display());
        }
        let loaded = load(&home, &Overrides::default()).unwrap();
        assert!(loaded.parts.0.is_empty(), "{}", loaded.parts);
        assert!(loaded.config.workspace("finance-team").unwrap().is_whole());
        for taken in ["finance-team", "default"] {
            assert!(matches!(
                create(&home, taken),
                Err(WorkspaceError::Exists(_))
            ));
        }
        assert!(matches!(
            create(&home, "finance_team"),
            Err(WorkspaceError::SameVariables(_))
        ));
        for bad in [
            "",
            "Finance",
            "a b",
            "../x",
            ".x",
            "-x",
            "a/b",
            &"x".repeat(65),
        ] {
            assert!(
                matches!(create(&home, bad), Err(WorkspaceError::BadName(_))),
                "{bad}"
            );
        }
        let left = fs::read_dir(home.workspaces_dir()).unwrap().count();
        assert_eq!(left, 1);
    }

    #[test]
    fn every_example_in_the_new_files_is_valid_once_its_mark_is_taken_away() {
        let (_dir, home) = home();
        for path in create(&home, "finance-team").unwrap() {
            if path.is_file() {
                uncomment(&path);
            }
        }
        let loaded = load(&home, &Overrides::default()).unwrap();
        let parts: Vec<_> = loaded.parts.0.iter().map(ToString::to_string).collect();
        let later = |part: &&String| part.contains("not supported by this version");
        assert!(parts.iter().all(|part| later(&part)), "{parts:#?}");
    }

    #[test]
    fn what_is_deleted_leaves_no_secret_behind() {
        let (_dir, home) = home();
        create(&home, "team").unwrap();
        let auth = r#"{"team/own": {"type": "api_key", "key": "a"}, "teams/own": {"type": "api_key", "key": "b"}}"#;
        write::replace(&home.auth_file(), auth).unwrap();
        choose(&home, "team").unwrap();
        assert_eq!(current(&home), "team");
        delete(&home, &Overrides::default(), "team").unwrap();
        assert_eq!(current(&home), "default");
        assert_eq!(fs::read_dir(home.workspaces_dir()).unwrap().count(), 0);
        let auth = fs::read_to_string(home.auth_file()).unwrap();
        assert!(
            !auth.contains("team/own") && auth.contains("teams/own"),
            "{auth}"
        );
        let again = delete(&home, &Overrides::default(), "team");
        assert!(matches!(again, Err(WorkspaceError::Missing(_))));
        assert!(matches!(
            choose(&home, "team"),
            Err(WorkspaceError::Missing(_))
        ));
        assert!(matches!(
            delete(&home, &Overrides::default(), "default"),
            Err(WorkspaceError::Default)
        ));
    }
}
