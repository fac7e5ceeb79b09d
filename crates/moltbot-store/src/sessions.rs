//! What was said in a conversation, as far as a model is told of it.

use async_trait::async_trait;
use jiff::Timestamp;

use crate::error::Result;

/// A message and its answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exchange {
    /// What the person said, filtered.
    pub user: String,
    /// What was answered, filtered.
    pub assistant: String,
}

/// A conversation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Session {
    /// It is going on; else the next answer is its first.
    pub begun: bool,
    /// The model that was chosen in it.
    pub model: Option<String>,
    /// The last exchanges, oldest first.
    pub exchanges: Vec<Exchange>,
}

/// What a conversation learns when a message ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The conversation.
    pub key: String,
    /// When.
    pub at: Timestamp,
    /// A conversation without a message since then had ended: what was said in it is forgotten.
    pub alive_since: Timestamp,
    /// What.
    pub what: What,
}

/// See [`Change`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A message came, and nothing is remembered of it.
    Touched,
    /// An exchange; at most `keep` are kept.
    Said {
        /// The exchange.
        exchange: Exchange,
        /// How many are kept, this one included.
        keep: usize,
    },
    /// It starts anew. The chosen model stays.
    Cleared,
    /// Another model; `None` is the channel's own.
    Model(Option<String>),
}

/// Conversations, by a key that names workspace, channel and people.
#[async_trait]
pub trait Sessions: Send + Sync + std::fmt::Debug {
    /// A conversation with its last `turns` exchanges; where nobody said anything since `alive_since` it has
    /// not begun.
    ///
    /// # Errors
    /// The store cannot be read.
    async fn load(&self, key: &str, turns: usize, alive_since: Timestamp) -> Result<Session>;

    /// Notes a change.
    ///
    /// # Errors
    /// The store cannot be written.
    async fn change(&self, change: Change) -> Result<()>;

    /// Forgets what was said in conversations without a message since `alive_since`, and all of those without
    /// one since `before`.
    ///
    /// # Errors
    /// The store cannot be written.
    async fn forget(&self, alive_since: Timestamp, before: Timestamp) -> Result<()>;
}
