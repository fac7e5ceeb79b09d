//! An event of Slack, read as a message.

use serde_json::Value;

use super::super::answer::text;
use super::words;
use crate::message::{Content, Message};

/// As whom the bot is logged in.
#[derive(Clone, Debug, Default)]
pub(super) struct Bot {
    /// Its id as a user, by which it is mentioned.
    pub(super) user: String,
    /// Its id as a bot, under which it writes.
    pub(super) bot: String,
}

/// Reads an `event_callback`. Nothing for events that are no message of a person: other kinds, edits, deletions,
/// people who join.
///
/// # Errors
/// What is missing.
pub(super) fn read(envelope: &Value, bot: Option<&Bot>) -> Result<Option<Message>, String> {
    match text(envelope, "type") {
        "event_callback" => {}
        "" => return Err("there is no `type`".to_owned()),
        _ => return Ok(None),
    }
    let event = &envelope["event"];
    let named = match text(event, "type") {
        "app_mention" => true,
        "message" => false,
        "" => return Err("there is no `event.type`".to_owned()),
        _ => return Ok(None),
    };
    // Whoever edits, deletes, joins or renames says nothing to the bot.
    let subtype = text(event, "subtype");
    if !matches!(
        subtype,
        "" | "bot_message" | "file_share" | "me_message" | "thread_broadcast"
    ) {
        return Ok(None);
    }
    let (room, ts) = (text(event, "channel"), text(event, "ts"));
    if room.is_empty() || ts.is_empty() {
        return Err("`event.channel` or `event.ts` is missing".to_owned());
    }
    let user = own_user(envelope, bot);
    let (sender, from_bot) = sender(event, user, bot);
    if sender.is_empty() {
        return Err("`event.user` is missing".to_owned());
    }
    let said = text(event, "text");
    let parent = text(event, "parent_user_id");
    let mentioned = named || words::mentions(said, user) || !user.is_empty() && parent == user;
    let group = match text(event, "channel_type") {
        "" => !room.starts_with('D'),
        kind => kind != "im",
    };
    // A mention in a channel is answered in its thread.
    let thread = event["thread_ts"].as_str();
    let thread = thread.or((group && mentioned).then_some(ts));
    let said = words::read(said, user, named);
    Ok(Some(Message {
        event: envelope["event_id"].as_str().map(str::to_owned),
        id: format!("{room}:{ts}"),
        account: text(envelope, "team_id").to_owned(),
        sender,
        room: Some(room.to_owned()),
        thread: thread.map(str::to_owned),
        group,
        mentioned,
        from_bot,
        content: match said.is_empty() {
            true => Content::Other,
            false => Content::Text,
        },
        text: said,
        images: Vec::new(),
    }))
}

/// The bot's own id as a user: the event says for whom it is, else the login did.
fn own_user<'a>(envelope: &'a Value, bot: Option<&'a Bot>) -> &'a str {
    let authorizations = envelope["authorizations"].as_array();
    let bots = authorizations.into_iter().flatten();
    let mut ids = bots.filter(|entry| entry["is_bot"] == true);
    let told = ids.next().map(|entry| text(entry, "user_id"));
    let told = told.filter(|id| !id.is_empty());
    told.or(bot.map(|bot| bot.user.as_str()))
        .unwrap_or_default()
}

/// Who wrote it, and whether that is a bot.
fn sender(event: &Value, own_user: &str, bot: Option<&Bot>) -> (String, bool) {
    let (user, bot_id) = (text(event, "user"), text(event, "bot_id"));
    let own = bot.is_some_and(|bot| !bot.bot.is_empty() && bot.bot == bot_id);
    let from_bot = !bot_id.is_empty()
        || text(event, "subtype") == "bot_message"
        || own
        || !own_user.is_empty() && own_user == user;
    let sender = if user.is_empty() { bot_id } else { user };
    (sender.to_owned(), from_bot)
}
