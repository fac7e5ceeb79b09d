//! Comparisons of models: what was set up, and what happened, row by row.

mod memory;
#[cfg(feature = "sqlite")]
mod sqlite;

use async_trait::async_trait;
use jiff::Timestamp;
use moltbot_types::Workspace;

pub(crate) use self::memory::Memory;
#[cfg(feature = "sqlite")]
pub(crate) use self::sqlite::{Sqlite, fold};
use crate::error::Result;

/// An experiment as it was set up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    /// Its workspace.
    pub workspace: Workspace,
    /// Its name, unique in the workspace.
    pub name: String,
    /// What was set up, as JSON; it never changes.
    pub json: String,
    /// When.
    pub created: Timestamp,
}

/// What a row tells, and so what makes it unique beside its subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RowKind {
    /// A unit got its arm; the first one counts.
    Exposure,
    /// A call ended; the first one counts.
    Outcome,
    /// Someone judged an answer; the last one counts.
    Feedback,
    /// Weights changed; the first one counts.
    Weights,
    /// The state changed; the first one counts.
    State,
}

/// Something that happened in an experiment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExperimentRow {
    /// Its workspace.
    pub workspace: Workspace,
    /// The experiment's name.
    pub name: String,
    /// What the row tells.
    pub kind: RowKind,
    /// Whom it tells of: the unit, the request, the request and the metric.
    pub subject: String,
    /// The rest, as JSON.
    pub json: String,
}

/// Where experiments are kept.
#[async_trait]
pub trait Experiments: Send + Sync + std::fmt::Debug {
    /// Keeps a new experiment.
    ///
    /// # Errors
    /// `Duplicate` where the workspace has one of that name.
    async fn create(&self, definition: Definition) -> Result<()>;

    /// All experiments of all workspaces, by age.
    ///
    /// # Errors
    /// The store cannot be read.
    async fn all(&self) -> Result<Vec<Definition>>;

    /// Hands a row to the operating system, without waiting for a disk: a process that is killed now loses nothing.
    ///
    /// # Errors
    /// The disk takes none. The row waits in memory and is tried again.
    fn append(&self, row: &ExperimentRow) -> Result<()>;

    /// Waits until every row appended before is on the disk.
    ///
    /// # Errors
    /// The store cannot be written.
    async fn settle(&self) -> Result<()>;

    /// Up to `most` rows after the row numbered `after` (0 to begin with), in the order in which they were appended,
    /// and the number of the last one.
    ///
    /// # Errors
    /// The store cannot be read.
    async fn rows(
        &self,
        workspace: &Workspace,
        name: &str,
        after: i64,
        most: u32,
    ) -> Result<(Vec<ExperimentRow>, i64)>;

    /// The experiment of a workspace that has a row of that kind and subject: which one had that request.
    ///
    /// # Errors
    /// The store cannot be read.
    async fn with_row(
        &self,
        workspace: &Workspace,
        kind: RowKind,
        subject: &str,
    ) -> Result<Option<String>>;
}

#[cfg(feature = "sqlite")]
impl RowKind {
    const ALL: [Self; 5] = [
        Self::Exposure,
        Self::Outcome,
        Self::Feedback,
        Self::Weights,
        Self::State,
    ];

    /// Its word in the store.
    fn word(self) -> &'static str {
        match self {
            Self::Exposure => "exposure",
            Self::Outcome => "outcome",
            Self::Feedback => "feedback",
            Self::Weights => "weights",
            Self::State => "state",
        }
    }

    fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }
}

impl RowKind {
    fn last_counts(self) -> bool {
        self == Self::Feedback
    }
}
