//! Who is answered: allowed senders and rooms, people and not bots, and in a group only when named.

use crate::message::Message;
use crate::settings::Settings;

/// Why a message is not answered; `None` lets it pass.
pub(crate) fn refuses(settings: &Settings, message: &Message) -> Option<&'static str> {
    if message.from_bot {
        // two bots that answer each other never end
        return Some("it was written by a bot");
    }
    if !allows(&settings.allow, message) {
        return Some("neither its sender nor its room is in `allow`");
    }
    if settings.mention && message.group && !message.mentioned {
        return Some("the bot is not named in it");
    }
    None
}

fn allows(allow: &[String], message: &Message) -> bool {
    allow.iter().any(|entry| match entry.strip_prefix('#') {
        _ if entry == "*" => true,
        Some(room) => message.room.as_deref() == Some(room),
        None => *entry == message.sender,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes(allow: &[&str], message: &Message) -> bool {
        let settings = Settings {
            allow: allow.iter().map(|&entry| entry.to_owned()).collect(),
            ..Settings::default()
        };
        refuses(&settings, message).is_none()
    }

    fn message(sender: &str, room: Option<&str>) -> Message {
        Message {
            sender: sender.to_owned(),
            room: room.map(str::to_owned),
            ..Message::default()
        }
    }

    #[test]
    fn senders_and_rooms_are_allowed_by_their_ids() {
        let said = message("u1", Some("r1"));
        assert!(passes(&["*"], &said));
        assert!(passes(&["u1"], &said));
        assert!(passes(&["#r1"], &said));
        assert!(!passes(&["r1", "#u1", "u2", "#*"], &said));
        assert!(!passes(&[], &said));
    }

    #[test]
    fn an_absent_room_is_no_room_even_where_a_sender_is_named_like_one() {
        assert!(!passes(&["#u1"], &message("u1", None)));
    }

    #[test]
    fn in_a_group_only_a_mention_is_answered_and_never_a_bot() {
        let mut said = message("u1", Some("r1"));
        said.group = true;
        assert!(!passes(&["*"], &said));
        said.mentioned = true;
        assert!(passes(&["*"], &said));
        said.from_bot = true;
        assert!(!passes(&["*"], &said));
    }
}
