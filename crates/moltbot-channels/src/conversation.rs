//! Whose messages belong together: the key of a conversation.

use crate::message::Message;
use crate::settings::{SessionBy, Settings};

/// How long a conversation lives without a message.
pub(crate) const LIFE: std::time::Duration = std::time::Duration::from_secs(24 * 3600);

/// The key of the conversation that a message belongs to.
///
/// Invariant: two messages have one key only where workspace, channel, account, room, thread and, unless the
/// room shares one, sender are the same. Each part is preceded by its length, so that no part can pose as two.
pub(crate) fn key(settings: &Settings, message: &Message) -> String {
    let place = message.place();
    let sender = match settings.session {
        SessionBy::Sender => Some(message.sender.as_str()),
        SessionBy::Room => None,
    };
    let parts = [
        Some(settings.workspace.as_str()),
        Some(settings.name.as_str()),
        Some(place.account.as_str()),
        message.room.as_deref(),
        message.room.is_none().then_some(message.sender.as_str()),
        place.thread.as_deref(),
        sender,
    ];
    let mut hash = blake3::Hasher::new();
    for part in parts {
        let (is_there, part) = (part.is_some(), part.unwrap_or_default());
        hash.update(&[u8::from(is_there)]);
        hash.update(&(part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize().to_hex().to_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message() -> impl Strategy<Value = Message> {
        let part = "[ab]{0,2}";
        let maybe = proptest::option::of("[ab]{0,2}");
        (part, part, maybe.clone(), maybe).prop_map(|(account, sender, room, thread)| Message {
            account,
            sender,
            room,
            thread,
            ..Message::default()
        })
    }

    fn whose(message: &Message) -> (&str, &str, Option<&str>, Option<&str>) {
        let (room, thread) = (message.room.as_deref(), message.thread.as_deref());
        (&message.account, &message.sender, room, thread)
    }

    proptest! {
        #[test]
        fn conversations_are_one_only_where_everything_is_the_same(a in message(), b in message()) {
            let settings = Settings::default();
            let same = key(&settings, &a) == key(&settings, &b);
            prop_assert_eq!(same, whose(&a) == whose(&b));
        }

        #[test]
        fn a_room_may_share_one_but_never_two_rooms(a in message(), b in message()) {
            let settings = Settings { session: SessionBy::Room, ..Settings::default() };
            let same = key(&settings, &a) == key(&settings, &b);
            let place = |of: &Message| (of.account.clone(), of.room.clone(), of.place().room, of.thread.clone());
            prop_assert_eq!(same, place(&a) == place(&b));
        }
    }

    #[test]
    fn channels_and_workspaces_share_nothing() {
        let said = Message::default();
        let named = |workspace: &str, name: &str| Settings {
            workspace: workspace.into(),
            name: name.to_owned(),
            ..Settings::default()
        };
        let keys = [("a", "b"), ("b", "a"), ("ab", ""), ("", "ab")];
        let keys = keys.map(|(workspace, name)| key(&named(workspace, name), &said));
        let distinct: std::collections::HashSet<_> = keys.iter().collect();
        assert_eq!(distinct.len(), 4);
    }
}
