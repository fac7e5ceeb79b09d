//! What leaves towards a platform, what a platform can do, and how a sending ends.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What a platform can do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// A sent text can be edited, so that an answer may grow.
    pub edit: bool,
    /// It shows that the bot is writing.
    pub typing: bool,
    /// It knows a repeated sending by its key and shows it once.
    pub idempotent: bool,
}

/// How an answer's Markdown leaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// In the platform's own formatting.
    #[default]
    Markdown,
    /// Its text without marks.
    Plain,
    /// As the model wrote it.
    Native,
}

/// One text as it is sent: an answer that is too long for the platform becomes several.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// The text, within the platform's limit.
    pub text: String,
    /// The same part without marks, for a platform that refuses `text` for them.
    pub plain: String,
    /// `text` is written in the platform's markup; `plain` and `native` texts are not.
    pub marked: bool,
}

/// Where a text goes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Place {
    /// The bot's account, team or tenant.
    pub account: String,
    /// The room; where a platform names none, the person.
    pub room: String,
    /// The thread in the room.
    pub thread: Option<String>,
}

/// One sending. Repeats of it are equal in everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outgoing {
    /// The idempotency key, a UUID; the same over retries and restarts.
    pub key: String,
    /// Where it goes.
    pub place: Place,
    /// The text: for a platform without markup, or where `marked` is false, as it stands.
    pub text: String,
    /// `text` is written in the platform's markup.
    pub marked: bool,
    /// The id of the message that it answers, as [`crate::Message::id`].
    pub in_reply_to: Option<String>,
    /// Who wrote that message.
    pub sender: Option<String>,
}

/// A sending that the platform took.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// The platform's id of the text, by which it can be edited.
    pub id: Option<String>,
}

/// A sending that failed, by what is known of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The platform refused it and will again. The text was not shown.
    #[error("{0}")]
    Refused(String),
    /// The platform refused its marks; the plain text may pass.
    #[error("{0}")]
    Marks(String),
    /// Not shown, and worth a repeat: 429, 503, no connection.
    #[error("{reason}")]
    Later {
        /// What happened.
        reason: String,
        /// How long the platform wants to be left alone, where it says so.
        after: Option<Duration>,
    },
    /// Nobody knows whether it was shown: no answer, a broken one, a server's failure.
    #[error("{0}")]
    Unknown(String),
}
