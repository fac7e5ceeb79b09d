//! What a person said to a bot, with the platform's own ids.

use serde::{Deserialize, Serialize};

use crate::send::Place;

/// What a message holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// Text, perhaps with images.
    #[default]
    Text,
    /// Something else, such as a sticker or a voice message: its sender gets a short notice.
    Other,
}

/// One message, verified. Ids are the platform's own, names play no part.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Message {
    /// The id of the event that brought it, where the platform has one beside the message's.
    pub event: Option<String>,
    /// The message's own id, unique within the channel: where a platform's ids hold for one room alone,
    /// the adapter puts the room in. Two events of one message bear the same.
    pub id: String,
    /// The bot's account, team or tenant; empty where a channel has one alone.
    pub account: String,
    /// Who wrote it.
    pub sender: String,
    /// Where it was written; `None` where the platform names no room.
    pub room: Option<String>,
    /// The thread in the room. Answers go there, and it has a context of its own.
    pub thread: Option<String>,
    /// Others read along: there the bot answers only when it is named.
    pub group: bool,
    /// The bot is named, or the message replies to it.
    pub mentioned: bool,
    /// Written by a bot, this one included; never answered.
    pub from_bot: bool,
    /// What it holds.
    pub content: Content,
    /// The text, without the bot's own mention.
    pub text: String,
    /// Addresses of images, for models with vision; never fetched here.
    pub images: Vec<String>,
}

impl Message {
    /// Where an answer goes.
    pub fn place(&self) -> Place {
        Place {
            account: self.account.clone(),
            room: self.room.as_ref().unwrap_or(&self.sender).clone(),
            thread: self.thread.clone(),
        }
    }
}
