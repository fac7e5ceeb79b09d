//! What can go wrong with what must be remembered.

use std::path::PathBuf;

/// Why something is not stored, or not found out. Each says what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The address names no store of this version.
    #[error("{0}")]
    Unsupported(String),
    /// Another process has the file.
    #[error(
        "{} is in use by another process; stop it (`fuser {}` names it), or name another file in `store.url`",
        .0.display(), .0.display()
    )]
    Locked(PathBuf),
    /// The file is damaged. Nothing is written to it any more.
    #[error(
        "{} is damaged ({detail}) and was left as it is; stop moltbotd, then put a backup in its place, or save what can be read with `sqlite3 {} .recover | sqlite3 new.db` and put new.db there",
        .file.display(), .file.display()
    )]
    Corrupt {
        /// The file.
        file: PathBuf,
        /// What was found.
        detail: String,
    },
    /// A newer version has written the file.
    #[error(
        "{} was written by a newer version (schema {found}; this one knows up to {known}); install that version again, or put the backup from before the upgrade in its place",
        .file.display()
    )]
    Newer {
        /// The file.
        file: PathBuf,
        /// The newest migration in the file.
        found: i64,
        /// The newest migration that this version has.
        known: i64,
    },
    /// There is no room. Nothing of the refused change was written.
    #[error("there is no room to write {}; free some space on its disk, nothing needs a restart", .0.display())]
    Full(PathBuf),
    /// The file cannot be used for another reason.
    #[error("{} cannot be used: {detail}", .file.display())]
    Failed {
        /// The file.
        file: PathBuf,
        /// What the system or the database says.
        detail: String,
    },
    /// There is one already.
    #[error("{0} exists already")]
    Duplicate(String),
    /// A value above its bound.
    #[error("{what} has {size} bytes; {bound} is the most")]
    TooLarge {
        /// What it is.
        what: String,
        /// Its size in bytes.
        size: usize,
        /// The most that it may have.
        bound: usize,
    },
    /// The store was closed: the process is about to end.
    #[error("the store is closed")]
    Closed,
}

/// What the store gives back.
pub type Result<T> = std::result::Result<T, StoreError>;
