//! What people said to bots: kept before it is acknowledged, until a day after it came.

use async_trait::async_trait;
use jiff::Timestamp;
use moltbot_types::Workspace;

use crate::error::Result;
use crate::outbox::NewRow;
use crate::sessions::Change;

/// A channel of a workspace: the scope of the platform's ids.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Scope {
    /// The workspace.
    pub workspace: Workspace,
    /// The channel's name.
    pub channel: String,
}

/// A message that arrives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// The message's id, unique within the channel.
    pub id: String,
    /// The id of the event that brought it, where it has one.
    pub event: Option<String>,
    /// The conversation that it belongs to; order holds within one.
    pub lane: String,
    /// The message, in whatever form its reader wants it back.
    pub body: String,
    /// When it arrived.
    pub at: Timestamp,
    /// The id that log lines about it bear.
    pub trace: String,
    /// It is ended as it comes: nothing will be done about it, unless a later event of the same message comes
    /// without an end, such as the one of two that says that the bot is named.
    pub ended: Option<End>,
}

/// What became of an arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrived {
    /// It is kept; its place in the order of arrival.
    New(i64),
    /// It was there, ended as it came, and is open now.
    Reopened(i64),
    /// It was there.
    Known,
}

/// How a message ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// The metric's word: `answered`, `ignored`, …
    pub outcome: String,
    /// The answer, for whoever repeats the message.
    pub answer: Option<String>,
}

/// A message that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its place in the order of arrival.
    pub seq: i64,
    /// See [`Arrival::id`].
    pub id: String,
    /// See [`Arrival::lane`].
    pub lane: String,
    /// See [`Arrival::body`].
    pub body: String,
    /// See [`Arrival::at`].
    pub at: Timestamp,
    /// See [`Arrival::trace`].
    pub trace: String,
    /// How it ended; `None` while it waits.
    pub end: Option<End>,
}

/// The end of a message with all that comes of it, kept in one step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finish {
    /// The message.
    pub seq: i64,
    /// How it ended.
    pub end: End,
    /// What leaves for it, in order. A row that is there already, because its text was shown while it grew, is
    /// prepared anew.
    pub rows: Vec<NewRow>,
    /// What its conversation learns.
    pub session: Option<Change>,
}

/// Messages that arrived, by channel. An id is known for as long as its message is kept.
#[async_trait]
pub trait Inbox: Send + Sync + std::fmt::Debug {
    /// Keeps arrivals in their order; tells for each what became of it. They are on the disk when this returns.
    ///
    /// # Errors
    /// The store cannot be written: nothing is kept.
    async fn arrive(&self, scope: &Scope, arrivals: Vec<Arrival>) -> Result<Vec<Arrived>>;

    /// The message of an id.
    ///
    /// # Errors
    /// The store cannot be read.
    async fn find(&self, scope: &Scope, id: &str) -> Result<Option<Kept>>;

    /// The messages that are not ended, in their order.
    ///
    /// # Errors
    /// The store cannot be read.
    async fn waiting(&self, scope: &Scope) -> Result<Vec<Kept>>;

    /// Ends a message and keeps what comes of it. `false`, and nothing is kept, where it is ended already.
    ///
    /// # Errors
    /// The store cannot be written: nothing is kept.
    async fn finish(&self, scope: &Scope, finish: Finish) -> Result<bool>;

    /// Removes ended messages that arrived before `before`.
    ///
    /// # Errors
    /// The store cannot be written.
    async fn forget(&self, before: Timestamp) -> Result<()>;
}
