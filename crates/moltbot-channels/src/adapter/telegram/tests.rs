use std::sync::LazyLock;
use std::time::UNIX_EPOCH;

use http::StatusCode;
use proptest::prelude::*;

use super::*;
use crate::adapter::answer::Answer;
use crate::message::{Content, Message};

fn telegram() -> Telegram {
    Telegram::new(TelegramSettings {
        base_url: BASE_URL.to_owned(),
        bot_token: "42:secret".into(),
        webhook_secret: Some("hush".into()),
    })
    .unwrap()
}

/// One for all: making it reads the system's certificates.
static TELEGRAM: LazyLock<Telegram> = LazyLock::new(telegram);

fn receive(secret: Option<&str>, body: &str) -> Result<Received, Refused> {
    let mut request = Request::post("/channels/default/telegram");
    if let Some(secret) = secret {
        request = request.header("x-telegram-bot-api-secret-token", secret);
    }
    let request = request
        .body(Bytes::copy_from_slice(body.as_bytes()))
        .unwrap();
    TELEGRAM.receive(&request, UNIX_EPOCH)
}

fn bot() -> Bot {
    Bot {
        id: 42,
        name: "HelperBot".to_owned(),
    }
}

fn read(mut message: Value, kind: &str) -> Option<Message> {
    let fields = json!({
        "message_id": 7, "from": { "id": 5, "is_bot": false }, "chat": { "id": -100, "type": kind },
    });
    for (name, value) in fields.as_object().unwrap() {
        if message[name].is_null() {
            message[name] = value.clone();
        }
    }
    update::read(&json!({ "update_id": 3, "message": message }), Some(&bot())).unwrap()
}

fn group(message: Value) -> Message {
    read(message, "supergroup").unwrap()
}

#[test]
fn a_post_without_the_secret_is_401() {
    let body = r#"{"update_id": 1}"#;
    assert!(receive(Some("hush"), body).is_ok());
    for secret in [None, Some(""), Some("hush2"), Some("Hush")] {
        assert_eq!(receive(secret, body).unwrap_err().status.as_u16(), 401);
    }
}

#[test]
fn a_malformed_body_is_400() {
    for body in ["", "[]", "{}", r#"{"update_id": 1, "message": {}}"#] {
        assert_eq!(
            receive(Some("hush"), body).unwrap_err().status.as_u16(),
            400,
            "{body}"
        );
    }
}

#[test]
fn a_private_message_is_read() {
    let message = read(
        json!({ "text": "hi", "chat": { "id": 5, "type": "private" } }),
        "private",
    )
    .unwrap();
    assert_eq!(message.event.as_deref(), Some("3"));
    assert_eq!(message.id, "5:7");
    assert_eq!(
        (message.sender.as_str(), message.room.as_deref()),
        ("5", Some("5"))
    );
    assert!(!message.group && !message.mentioned && !message.from_bot);
}

#[test]
fn a_mention_is_found_by_its_utf16_offset_and_cut() {
    let text = "😀😀 @helperbot what?";
    let message = group(
        json!({ "text": text, "entities": [{ "type": "mention", "offset": 5, "length": 10 }] }),
    );
    assert!(message.mentioned);
    assert_eq!(message.text, "😀😀  what?");
    let other = group(
        json!({ "text": "@helperbots hi", "entities": [{ "type": "mention", "offset": 0, "length": 11 }] }),
    );
    assert!(!other.mentioned);
    assert_eq!(other.text, "@helperbots hi");
}

#[test]
fn a_mention_without_entities_is_found() {
    assert!(group(json!({ "text": "hi @HelperBot!" })).mentioned);
    assert!(!group(json!({ "text": "hi @HelperBots!" })).mentioned);
}

#[test]
fn a_reply_to_the_bot_is_a_mention() {
    let message =
        |from: i64| json!({ "text": "and?", "reply_to_message": { "from": { "id": from } } });
    assert!(group(message(42)).mentioned);
    assert!(!group(message(43)).mentioned);
}

#[test]
fn a_command_with_the_bots_name_is_its_own() {
    let command = |text: &str| {
        let length = text.split(' ').next().unwrap().len();
        read(
            json!({ "text": text, "entities": [{ "type": "bot_command", "offset": 0, "length": length }] }),
            "group",
        )
    };
    let message = command("/new@HelperBot please").unwrap();
    assert_eq!(message.text, "/new please");
    assert!(message.mentioned);
    assert_eq!(command("/new@OtherBot"), None);
    assert_eq!(command("/new").unwrap().text, "/new");
}

#[test]
fn edits_joins_and_bots_are_told_apart() {
    let edited = json!({ "update_id": 1, "edited_message": { "text": "x" } });
    assert_eq!(update::read(&edited, None).unwrap(), None);
    assert_eq!(
        read(json!({ "new_chat_members": [{ "id": 1 }] }), "group"),
        None
    );
    assert!(group(json!({ "text": "x", "from": { "id": 9, "is_bot": true } })).from_bot);
    let admin = json!({ "text": "x", "from": { "id": 1_087_968_824, "is_bot": true }, "sender_chat": { "id": -100 } });
    assert!(!group(admin).from_bot);
}

#[test]
fn what_is_no_text_is_told_apart_and_captions_are_text() {
    assert_eq!(
        group(json!({ "sticker": { "file_id": "x" } })).content,
        Content::Other
    );
    let photo = group(json!({ "photo": [], "caption": "look" }));
    assert_eq!(
        (photo.content, photo.text.as_str()),
        (Content::Text, "look")
    );
}

#[test]
fn only_topics_of_a_forum_are_threads() {
    assert_eq!(
        group(json!({ "text": "x", "message_thread_id": 3 })).thread,
        None
    );
    let topic = group(json!({ "text": "x", "message_thread_id": 3, "is_topic_message": true }));
    assert_eq!(topic.thread.as_deref(), Some("3"));
}

#[tokio::test]
async fn no_error_tells_the_token() {
    // Nothing listens on that port.
    for base in ["http://127.0.0.1:9", "no address"] {
        let telegram = Telegram::new(TelegramSettings {
            base_url: base.to_owned(),
            bot_token: "42:c4n4ry".into(),
            webhook_secret: None,
        })
        .unwrap();
        let outgoing = Outgoing::default();
        let said = [
            telegram.login().await.unwrap_err().to_string(),
            telegram.send(&outgoing).await.unwrap_err().to_string(),
            format!("{:?}", telegram.settings),
        ];
        assert!(said.iter().all(|said| !said.contains("c4n4ry")), "{said:?}");
    }
}

#[test]
fn what_is_known_of_a_sending_follows_from_the_answer() {
    let kind = |status: u16, body: &str| {
        let answer = Answer {
            status: StatusCode::from_u16(status).unwrap(),
            after: None,
            body: serde_json::from_str(body).ok(),
        };
        match api::read(answer) {
            Ok(_) => "sent",
            Err(api::Failure::Moved(_)) => "moved",
            Err(api::Failure::Send(SendError::Refused(_))) => "refused",
            Err(api::Failure::Send(SendError::Marks(_))) => "marks",
            Err(api::Failure::Send(SendError::Later { .. })) => "later",
            Err(api::Failure::Send(SendError::Unknown(_))) => "unknown",
        }
    };
    for (status, body, expected) in [
        (200, r#"{"ok": true, "result": {}}"#, "sent"),
        (
            403,
            r#"{"ok": false, "error_code": 403, "description": "Forbidden: bot was blocked"}"#,
            "refused",
        ),
        (
            400,
            r#"{"ok": false, "error_code": 400, "description": "Bad Request: can't parse entities: x"}"#,
            "marks",
        ),
        (
            400,
            r#"{"ok": false, "error_code": 400, "parameters": {"migrate_to_chat_id": -1}}"#,
            "moved",
        ),
        (
            429,
            r#"{"ok": false, "error_code": 429, "parameters": {"retry_after": 3}}"#,
            "later",
        ),
        (503, "", "later"),
        (500, r#"{"ok": false, "error_code": 500}"#, "unknown"),
        (502, "<html>", "unknown"),
        (200, "<html>", "unknown"),
        (404, "", "refused"),
    ] {
        assert_eq!(kind(status, body), expected, "{status} {body}");
    }
}

proptest! {
    #[test]
    fn entities_anywhere_harm_nothing(text in "\\PC{0,20}", offset in -3_i64..30, length in -3_i64..30) {
        let entities = json!([
            { "type": "mention", "offset": offset, "length": length },
            { "type": "bot_command", "offset": offset, "length": length },
            { "type": "text_mention", "offset": offset, "length": length, "user": { "id": 42 } },
        ]);
        entities::read(&text, &entities, Some(&bot()));
    }
}
