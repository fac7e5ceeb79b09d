//! An event of Feishu, read as a message.

use std::collections::VecDeque;
use std::sync::Mutex;

use serde_json::Value;

use super::super::answer::text;
use crate::message::{Content, Message};

/// How many sent texts are remembered, to know a reply to them.
const LATELY: usize = 2000;

/// The ids of texts that were sent lately.
#[derive(Default)]
pub(super) struct Lately(Mutex<VecDeque<String>>);

impl Lately {
    pub(super) fn add(&self, id: Option<&str>) {
        if let (Some(id), Ok(mut ids)) = (id, self.0.lock()) {
            if ids.len() == LATELY {
                ids.pop_front();
            }
            ids.push_back(id.to_owned());
        }
    }

    fn has(&self, id: &str) -> bool {
        let ids = self.0.lock();
        ids.is_ok_and(|ids| ids.iter().any(|sent| sent == id))
    }
}

/// Reads an event. Nothing for those that are no message.
///
/// # Errors
/// What is missing.
pub(super) fn read(
    event: &Value,
    bot: Option<&str>,
    sent: &Lately,
) -> Result<Option<Message>, String> {
    let header = &event["header"];
    match text(header, "event_type") {
        "im.message.receive_v1" => {}
        "" if event["header"].is_null() && event["event"].is_null() => {
            return Err("there is no `header`".to_owned());
        }
        _ => return Ok(None),
    }
    let (message, sender) = (&event["event"]["message"], &event["event"]["sender"]);
    let (id, room) = (text(message, "message_id"), text(message, "chat_id"));
    if id.is_empty() || room.is_empty() {
        return Err("`event.message.message_id` or `event.message.chat_id` is missing".to_owned());
    }
    let ids = &sender["sender_id"];
    let known = ["open_id", "user_id", "union_id"].map(|kind| text(ids, kind));
    let Some(author) = known.into_iter().find(|id| !id.is_empty()) else {
        return Err("`event.sender.sender_id` is missing".to_owned());
    };
    let content = serde_json::from_str(text(message, "content")).unwrap_or_default();
    let said = match text(message, "message_type") {
        "text" => text(&content, "text").to_owned(),
        "post" => post(&content),
        _ => String::new(),
    };
    let (said, named) = without_bot(said, &message["mentions"], bot);
    let thread = message["thread_id"].as_str().filter(|id| !id.is_empty());
    Ok(Some(Message {
        event: header["event_id"].as_str().map(str::to_owned),
        id: id.to_owned(),
        account: text(header, "tenant_key").to_owned(),
        sender: author.to_owned(),
        room: Some(room.to_owned()),
        thread: thread.map(str::to_owned),
        group: text(message, "chat_type") != "p2p",
        mentioned: named || sent.has(text(message, "parent_id")),
        from_bot: !matches!(text(sender, "sender_type"), "" | "user"),
        content: match said.is_empty() {
            true => Content::Other,
            false => Content::Text,
        },
        text: said,
        images: Vec::new(),
    }))
}

/// The text of a post: its title and lines; pictures are left out.
fn post(content: &Value) -> String {
    let mut lines = vec![text(content, "title").to_owned()];
    for line in content["content"].as_array().into_iter().flatten() {
        let parts = line.as_array().into_iter().flatten();
        lines.push(parts.map(part).collect());
    }
    lines.retain(|line| !line.is_empty());
    lines.join("\n")
}

fn part(part: &Value) -> String {
    let said = text(part, "text");
    match text(part, "tag") {
        "a" => format!("{said} ({})", text(part, "href")),
        // It is the key of a mention, as in a text.
        "at" => text(part, "user_id").to_owned(),
        _ => said.to_owned(),
    }
}

/// Writes the names of people for the keys that stand for them; the bot's own is cut.
fn without_bot(said: String, mentions: &Value, bot: Option<&str>) -> (String, bool) {
    let mut said = said;
    let mut named = false;
    let mut mentions: Vec<&Value> = mentions.as_array().into_iter().flatten().collect();
    // `@_user_1` begins `@_user_10`.
    mentions.sort_by_key(|mention| std::cmp::Reverse(text(mention, "key").len()));
    for mention in mentions {
        let (key, who) = (text(mention, "key"), text(&mention["id"], "open_id"));
        if key.is_empty() {
            continue;
        }
        // Before the first login nobody knows the bot's id; a group sends it only what names it.
        let own = bot.is_none_or(|bot| bot == who);
        named |= own;
        let name = match own {
            true => String::new(),
            false => format!("@{}", text(mention, "name")),
        };
        said = said.replace(key, &name);
    }
    (said.trim().to_owned(), named)
}
