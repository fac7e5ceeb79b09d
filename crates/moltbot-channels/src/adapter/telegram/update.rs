//! An update of Telegram, read as a message.

use serde_json::Value;

use super::super::answer::text;
use super::entities;
use crate::message::{Content, Message};

/// As whom the bot is logged in.
#[derive(Clone, Debug, Default)]
pub(super) struct Bot {
    /// Its id as a user.
    pub(super) id: i64,
    /// Its name, without `@`.
    pub(super) name: String,
}

/// What people send that is no text.
const OTHER: [&str; 14] = [
    "animation",
    "audio",
    "contact",
    "dice",
    "document",
    "game",
    "location",
    "photo",
    "poll",
    "sticker",
    "story",
    "venue",
    "video",
    "voice",
];

/// Reads an update. Nothing for those that are no message of a person to the bot: edits, people who join, commands
/// for another bot.
///
/// # Errors
/// What is missing.
pub(super) fn read(update: &Value, bot: Option<&Bot>) -> Result<Option<Message>, String> {
    let Some(event) = update["update_id"].as_i64() else {
        return Err("there is no `update_id`".to_owned());
    };
    let message = &update["message"];
    if !message.is_object() || message["is_automatic_forward"] == true {
        return Ok(None);
    }
    let ids = (
        message["message_id"].as_i64(),
        message["chat"]["id"].as_i64(),
    );
    let (Some(id), Some(chat)) = ids else {
        return Err("`message.message_id` or `message.chat.id` is missing".to_owned());
    };
    // Who writes as a room, such as an anonymous administrator, is known by the room.
    let by_room = message["sender_chat"]["id"].as_i64();
    let Some(sender) = by_room.or(message["from"]["id"].as_i64()) else {
        return Ok(None);
    };
    let (said, marks) = match message["text"].as_str() {
        Some(said) => (said, &message["entities"]),
        None => (text(message, "caption"), &message["caption_entities"]),
    };
    let other =
        OTHER.iter().any(|kind| !message[*kind].is_null()) || !message["video_note"].is_null();
    if said.is_empty() && !other {
        return Ok(None);
    }
    let addressed = entities::read(said, marks, bot);
    if addressed.for_another {
        return Ok(None);
    }
    let own = bot.map(|bot| bot.id);
    let replied = message["reply_to_message"]["from"]["id"].as_i64();
    let thread = message["message_thread_id"].as_i64();
    let topic = message["is_topic_message"] == true;
    Ok(Some(Message {
        event: Some(event.to_string()),
        id: format!("{chat}:{id}"),
        // A channel is one bot.
        account: String::new(),
        sender: sender.to_string(),
        room: Some(chat.to_string()),
        thread: thread.filter(|_| topic).map(|id| id.to_string()),
        group: text(&message["chat"], "type") != "private",
        mentioned: addressed.mentioned || own.is_some() && replied == own,
        from_bot: by_room.is_none() && message["from"]["is_bot"] == true,
        content: match addressed.text.is_empty() {
            true => Content::Other,
            false => Content::Text,
        },
        text: addressed.text,
        images: Vec::new(),
    }))
}
