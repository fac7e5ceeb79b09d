//! Keys of callers, as digests.

mod memory;
#[cfg(feature = "sqlite")]
mod sqlite;

use async_trait::async_trait;
use jiff::Timestamp;
use moltbot_types::{Role, Workspace};

pub(crate) use self::memory::Memory;
#[cfg(feature = "sqlite")]
pub(crate) use self::sqlite::Sqlite;
use crate::error::Result;

/// A key of a caller. Its text is nowhere: only its digest is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRecord {
    /// Names the key towards people; unique over all workspaces.
    pub id: String,
    /// The keyed digest of its text.
    pub digest: [u8; 32],
    /// The name that its owner gave it.
    pub name: String,
    /// The workspace that it belongs to.
    pub workspace: Workspace,
    /// What it may do there.
    pub role: Role,
    /// The models that it may use, with globs; `None` is all that the policy allows.
    pub models: Option<Vec<String>>,
    /// When it was made.
    pub created: Timestamp,
    /// From when on it is refused.
    pub expires: Option<Timestamp>,
    /// When it was last shown, to within the time between two [`Keys::touch`].
    pub last_used: Option<Timestamp>,
    /// When it was revoked.
    pub revoked: Option<Timestamp>,
    /// The key that took its place.
    pub replaced_by: Option<String>,
    /// After it was replaced: from when on it is refused.
    pub overlap_until: Option<Timestamp>,
}

/// A key was shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    /// Its workspace.
    pub workspace: Workspace,
    /// Its id.
    pub id: String,
    /// When.
    pub at: Timestamp,
}

/// Where keys are kept. Times are kept to the millisecond.
#[async_trait]
pub trait Keys: Send + Sync + std::fmt::Debug {
    /// Keeps a new key.
    ///
    /// # Errors
    /// `Duplicate` where its id is taken, in whatever workspace.
    async fn insert(&self, key: KeyRecord) -> Result<()>;

    /// One key of a workspace.
    ///
    /// # Errors
    /// The store cannot be read.
    async fn get(&self, workspace: &Workspace, id: &str) -> Result<Option<KeyRecord>>;

    /// The keys of a workspace, by age.
    ///
    /// # Errors
    /// The store cannot be read.
    async fn list(&self, workspace: &Workspace) -> Result<Vec<KeyRecord>>;

    /// All keys, for whoever asks who is calling.
    ///
    /// # Errors
    /// The store cannot be read.
    async fn all(&self) -> Result<Vec<KeyRecord>>;

    /// Revokes a key; one that was revoked before keeps its time. `false` where the workspace has no such key.
    ///
    /// # Errors
    /// The store cannot be written.
    async fn revoke(&self, workspace: &Workspace, id: &str, at: Timestamp) -> Result<bool>;

    /// Puts `next` in the place of a key of the same workspace, which is good until `overlap_until`. `false`, and
    /// nothing is kept, where the workspace has no such key that is neither revoked nor replaced.
    ///
    /// # Errors
    /// `Duplicate` where the new id is taken; the store cannot be written.
    async fn rotate(&self, id: &str, next: KeyRecord, overlap_until: Timestamp) -> Result<bool>;

    /// Notes when keys were last shown, many at a time; an earlier time than the one at hand changes nothing.
    ///
    /// # Errors
    /// The store cannot be written.
    async fn touch(&self, uses: Vec<Use>) -> Result<()>;
}
