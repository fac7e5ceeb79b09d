//! One process at a time has the file.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::error::{Result, StoreError};

/// The lock of a file; the system gives it back when the process ends.
///
/// It is a file of its own beside the database: SQLite's locks go when any handle of its file is closed.
#[derive(Debug)]
pub(super) struct FileLock(#[expect(dead_code, reason = "held, not read")] File);

impl FileLock {
    /// Takes the lock, and makes the folder and the file where they are missing: only this user can read it.
    pub(super) fn acquire(file: &Path) -> Result<Self> {
        let failed = |error: io::Error| StoreError::Failed {
            file: file.to_owned(),
            detail: format!("{error}; give the user that runs this access to it and to its folder"),
        };
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder).map_err(failed)?;
        }
        let lock = open(&beside(file, "lock")).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StoreError::Locked(file.to_owned())),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        if !file.exists() {
            open(file).map_err(failed)?;
        }
        Ok(Self(lock))
    }
}

fn open(file: &Path) -> io::Result<File> {
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(file)
}

/// `FILE.what`.
fn beside(file: &Path, what: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".");
    name.push(what);
    PathBuf::from(name)
}
