//! Which skills a workspace has approved and which it has switched off; kept in one file.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// What makes an approved skill wait again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Approve {
    /// Any change of its files.
    #[default]
    Changes,
    /// A change of what it asks for.
    Permissions,
}

/// What a workspace said of a skill.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Decision {
    /// The digest of the files that were approved.
    pub(super) digest: Option<String>,
    /// What was granted, in words.
    pub(super) granted: Option<String>,
    /// It is switched off.
    pub(super) disabled: bool,
}

/// All decisions, by workspace and skill (`own/NAME` or `shared/NAME`).
#[derive(Clone, Debug, Default)]
pub(super) struct Approvals {
    file: PathBuf,
    decisions: BTreeMap<String, BTreeMap<String, Decision>>,
}

impl Approvals {
    /// Reads the file; one that is missing says nothing.
    ///
    /// # Errors
    /// It can't be read, or is not ours.
    pub(super) fn open(file: &Path) -> io::Result<Self> {
        let decisions = match fs::read(file) {
            Ok(bytes) => serde_json::from_slice(&bytes)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(error),
        };
        Ok(Self {
            file: file.to_owned(),
            decisions,
        })
    }

    pub(super) fn of(&self, workspace: &str, key: &str) -> Option<&Decision> {
        self.decisions.get(workspace)?.get(key)
    }

    /// Changes a decision and writes the file before it counts.
    ///
    /// # Errors
    /// It can't be written; then nothing has changed.
    pub(super) fn change(
        &mut self,
        workspace: &str,
        key: &str,
        change: impl FnOnce(&mut Decision),
    ) -> io::Result<()> {
        let mut next = self.decisions.clone();
        let decisions = next.entry(workspace.to_owned()).or_default();
        change(decisions.entry(key.to_owned()).or_default());
        write(&self.file, &serde_json::to_vec_pretty(&next)?)?;
        self.decisions = next;
        Ok(())
    }
}

/// Writes a file that its owner alone reads; readers see the old one or the new one, whole.
fn write(file: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    let new = file.with_extension("new");
    let mut to = fs::OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(true)
        .mode(0o600)
        .open(&new)?;
    to.write_all(bytes)?;
    to.sync_all()?;
    fs::rename(&new, file)
}
