//! What leaves for chat platforms: each sending a row with its own key, from before it leaves until a day after.

use std::fmt;
use std::str::FromStr;

use async_trait::async_trait;
use jiff::Timestamp;
use moltbot_types::Workspace;

use crate::error::Result;
use crate::inbox::Scope;

/// How far a sending is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// It waits.
    Prepared,
    /// It is under way, or was when the process ended.
    Sending,
    /// The platform has it.
    Delivered,
    /// The platform refused it.
    Failed,
    /// Nobody knows whether the platform showed it.
    Unknown,
    /// It was too late to be of use.
    Expired,
    /// An operator dropped it.
    Dropped,
}

impl State {
    /// Its word in lists and in the store.
    pub fn word(self) -> &'static str {
        match self {
            Self::Prepared => "prepared",
            Self::Sending => "sending",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
            Self::Expired => "expired",
            Self::Dropped => "dropped",
        }
    }

    /// Whether something will still happen to it by itself.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Prepared | Self::Sending)
    }

    /// Whether an operator may have it sent again.
    pub fn may_be_resent(self) -> bool {
        matches!(self, Self::Unknown | Self::Failed | Self::Expired)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A word that is no state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no such state of a sending")]
pub struct NoState;

impl FromStr for State {
    type Err = NoState;

    fn from_str(word: &str) -> std::result::Result<Self, NoState> {
        let states = [
            Self::Prepared,
            Self::Sending,
            Self::Delivered,
            Self::Failed,
            Self::Unknown,
            Self::Expired,
            Self::Dropped,
        ];
        let state = states.into_iter().find(|state| state.word() == word);
        state.ok_or(NoState)
    }
}

/// A sending as it is prepared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRow {
    /// Its id, which is also its idempotency key: unique over everything.
    pub id: String,
    /// The conversation that it belongs to; order holds within one.
    pub lane: String,
    /// Where it goes, for people.
    pub to: String,
    /// The sending, in whatever form its sender wants it back.
    pub body: String,
    /// The id that log lines about it bear.
    pub trace: String,
    /// When it was prepared.
    pub created: Timestamp,
    /// From when on it is too late.
    pub expires: Timestamp,
    /// The platform's id of a text that stands there already and is to become this one.
    pub sent: Option<String>,
}

/// A sending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// What was prepared; `sent` is what is known by now.
    pub row: NewRow,
    /// The channel.
    pub channel: String,
    /// How far it is.
    pub state: State,
    /// How often it was tried.
    pub attempts: u32,
    /// What went wrong last.
    pub error: Option<String>,
    /// When its state became what it is.
    pub changed: Timestamp,
}

/// What became of a try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    /// How far it is now.
    pub state: State,
    /// What went wrong.
    pub error: Option<String>,
    /// The platform's id of the text, where it told one; what was known before stays.
    pub sent: Option<String>,
    /// When.
    pub at: Timestamp,
}

/// Sendings, by channel. Only [`Outbox::resend`] brings a closed one back.
#[async_trait]
pub trait Outbox: Send + Sync + fmt::Debug {
    /// Keeps sendings that answer no message of the inbox.
    ///
    /// # Errors
    /// The store cannot be written: nothing is kept.
    async fn put(&self, scope: &Scope, rows: Vec<NewRow>) -> Result<()>;

    /// The open sendings of a channel, in the order in which they were prepared.
    ///
    /// # Errors
    /// The store cannot be read.
    async fn open(&self, scope: &Scope) -> Result<Vec<Row>>;

    /// A try begins: the row is `sending`, on the disk, when this returns. `false` where it is closed.
    ///
    /// # Errors
    /// The store cannot be written: do not send.
    async fn begin(&self, id: &str, at: Timestamp) -> Result<bool>;

    /// Notes what became of a try. `false` where the row is closed.
    ///
    /// # Errors
    /// The store cannot be written.
    async fn settle(&self, id: &str, settled: Settled) -> Result<bool>;

    /// The sendings of a workspace: open ones, and those closed since `closed_since`.
    ///
    /// # Errors
    /// The store cannot be read.
    async fn list(&self, workspace: &Workspace, closed_since: Timestamp) -> Result<Vec<Row>>;

    /// One sending of a workspace.
    ///
    /// # Errors
    /// The store cannot be read.
    async fn get(&self, workspace: &Workspace, id: &str) -> Result<Option<Row>>;

    /// Opens a row again that [`State::may_be_resent`]; `None` where there is none.
    ///
    /// # Errors
    /// The store cannot be written.
    async fn resend(
        &self,
        workspace: &Workspace,
        id: &str,
        at: Timestamp,
        expires: Timestamp,
    ) -> Result<Option<Row>>;

    /// Drops a row that is not delivered or dropped yet; `false` where there is none.
    ///
    /// # Errors
    /// The store cannot be written.
    async fn discard(&self, workspace: &Workspace, id: &str, at: Timestamp) -> Result<bool>;

    /// Removes rows that were closed before `before`.
    ///
    /// # Errors
    /// The store cannot be written.
    async fn forget(&self, before: Timestamp) -> Result<()>;
}
