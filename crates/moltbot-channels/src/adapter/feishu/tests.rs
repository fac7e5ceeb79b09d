use std::sync::LazyLock;
use std::time::{Duration, UNIX_EPOCH};

use http::StatusCode;
use proptest::prelude::*;

use super::*;
use crate::adapter::answer::Answer;
use crate::message::{Content, Message};

const NOW: u64 = 1_700_000_000;

fn key() -> SecretString {
    "test key".into()
}

fn feishu(token: Option<&str>) -> Feishu {
    Feishu::new(FeishuSettings {
        base_url: BASE_URL.to_owned(),
        app_id: "cli_1".to_owned(),
        app_secret: "s".into(),
        encrypt_key: Some(key()),
        verification_token: token.map(Into::into),
    })
    .unwrap()
}

fn sealed(event: &Value) -> String {
    let sealed = encrypt(&key(), event.to_string().as_bytes()).unwrap();
    json!({ "encrypt": sealed }).to_string()
}

fn unsigned(body: &str) -> Request<Bytes> {
    Request::post("/channels/default/feishu")
        .body(Bytes::copy_from_slice(body.as_bytes()))
        .unwrap()
}

fn post(body: &str, at: u64) -> Request<Bytes> {
    let at = at.to_string();
    let mut request = unsigned(body);
    let signature = sign(&key(), &at, "n1", body.as_bytes());
    for (name, value) in [
        ("x-lark-request-timestamp", at.as_str()),
        ("x-lark-request-nonce", "n1"),
        ("x-lark-signature", &signature),
    ] {
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    request
}

/// One for all: making it reads the system's certificates.
static FEISHU: LazyLock<Feishu> = LazyLock::new(|| feishu(None));

fn receive(request: &Request<Bytes>) -> Result<Received, Refused> {
    FEISHU.receive(request, UNIX_EPOCH + Duration::from_secs(NOW))
}

fn status(request: &Request<Bytes>) -> u16 {
    receive(request).unwrap_err().status.as_u16()
}

fn event(kind: &str, content: Value, mentions: Value) -> Value {
    json!({
        "schema": "2.0",
        "header": {
            "event_id": "e1", "event_type": "im.message.receive_v1", "app_id": "cli_1", "tenant_key": "t1", "token": "v",
        },
        "event": {
            "sender": { "sender_id": { "open_id": "ou_1" }, "sender_type": "user" },
            "message": {
                "message_id": "om_1", "chat_id": "oc_1", "chat_type": "group", "message_type": kind,
                "content": content.to_string(), "mentions": mentions,
            },
        },
    })
}

fn hello() -> Value {
    event("text", json!({ "text": "hello" }), Value::Null)
}

fn read(event: &Value) -> Option<Message> {
    event::read(event, Some("ou_bot"), &event::Lately::default()).unwrap()
}

#[test]
fn an_event_is_decrypted_as_in_the_platforms_own_example() {
    let mut sealed = base64::Engine::decode(
        &base64::engine::general_purpose::STANDARD,
        "P37w+VZImNgPEO1RBhJ6RtKl7n6zymIbEG1pReEzghk=",
    )
    .unwrap();
    let envelope = Envelope::new(key());
    assert_eq!(envelope.decrypt(&mut sealed), Some(&b"hello world"[..]));
}

#[test]
fn a_post_that_is_unsigned_altered_or_old_is_401() {
    let body = sealed(&hello());
    assert!(receive(&post(&body, NOW)).is_ok());
    assert_eq!(status(&unsigned(&body)), 401);
    let mut altered = post(&body, NOW);
    *altered.body_mut() = Bytes::from(sealed(&hello()));
    assert_eq!(status(&altered), 401);
    for at in [NOW - 301, NOW + 301] {
        assert_eq!(status(&post(&body, at)), 401);
    }
}

#[test]
fn an_event_in_the_clear_is_401() {
    let body = hello().to_string();
    assert_eq!(status(&post(&body, NOW)), 401);
    let check = r#"{"type": "url_verification", "challenge": "c"}"#;
    assert_eq!(status(&unsigned(check)), 401);
}

#[test]
fn an_event_under_another_key_is_401() {
    let sealed = encrypt(&"another".into(), hello().to_string().as_bytes()).unwrap();
    let body = json!({ "encrypt": sealed }).to_string();
    assert_eq!(status(&post(&body, NOW)), 401);
}

#[test]
fn the_check_of_an_address_is_answered_signed_or_not() {
    let check = json!({ "type": "url_verification", "challenge": "c4", "token": "v" });
    for request in [unsigned(&sealed(&check)), post(&sealed(&check), NOW)] {
        let Ok(Received::Reply(response)) = receive(&request) else {
            panic!("no reply");
        };
        assert_eq!(response.body(), r#"{"challenge":"c4"}"#);
    }
    let now = UNIX_EPOCH + Duration::from_secs(NOW);
    let request = unsigned(&sealed(&check));
    assert!(feishu(Some("v")).receive(&request, now).is_ok());
    assert!(feishu(Some("w")).receive(&request, now).is_err());
}

#[test]
fn an_event_of_another_app_is_401() {
    let mut event = hello();
    event["header"]["app_id"] = json!("cli_2");
    assert_eq!(status(&post(&sealed(&event), NOW)), 401);
}

#[test]
fn a_message_is_read() {
    let message = read(&hello()).unwrap();
    assert_eq!(
        (message.id.as_str(), message.event.as_deref()),
        ("om_1", Some("e1"))
    );
    assert_eq!(
        (message.account.as_str(), message.sender.as_str()),
        ("t1", "ou_1")
    );
    assert_eq!(
        (message.room.as_deref(), message.thread),
        (Some("oc_1"), None)
    );
    assert!(message.group && !message.mentioned && !message.from_bot);
    assert_eq!(message.text, "hello");
}

#[test]
fn the_bots_own_mention_is_cut_and_others_have_their_names() {
    let mentions = json!([
        { "key": "@_user_1", "id": { "open_id": "ou_bot" }, "name": "Helper" },
        { "key": "@_user_10", "id": { "open_id": "ou_9" }, "name": "Ann" },
    ]);
    let message = read(&event(
        "text",
        json!({ "text": "@_user_1 ask @_user_10 now" }),
        mentions,
    ))
    .unwrap();
    assert_eq!(message.text, "ask @Ann now");
    assert!(message.mentioned);
}

#[test]
fn a_reply_to_the_bot_is_a_mention() {
    let sent = event::Lately::default();
    sent.add(Some("om_0"));
    let mut reply = hello();
    reply["event"]["message"]["parent_id"] = json!("om_0");
    assert!(
        event::read(&reply, Some("ou_bot"), &sent)
            .unwrap()
            .unwrap()
            .mentioned
    );
}

#[test]
fn posts_are_text_and_pictures_are_not() {
    let content = json!({ "title": "T", "content": [
        [{ "tag": "text", "text": "see " }, { "tag": "a", "text": "it", "href": "https://a.example" }],
        [{ "tag": "at", "user_id": "@_user_1" }, { "tag": "img", "image_key": "i" }, { "tag": "text", "text": " now" }],
    ]});
    let mentions = json!([{ "key": "@_user_1", "id": { "open_id": "ou_bot" }, "name": "Helper" }]);
    let message = read(&event("post", content, mentions)).unwrap();
    assert_eq!(message.text, "T\nsee it (https://a.example)\n now");
    let image = read(&event("image", json!({ "image_key": "i" }), Value::Null)).unwrap();
    assert_eq!(image.content, Content::Other);
}

#[test]
fn other_events_are_no_messages_and_bots_are_told_apart() {
    let mut other = hello();
    other["header"]["event_type"] = json!("im.message.message_read_v1");
    assert_eq!(read(&other), None);
    let mut app = hello();
    app["event"]["sender"]["sender_type"] = json!("app");
    assert!(read(&app).unwrap().from_bot);
}

#[test]
fn only_so_many_sent_texts_are_remembered() {
    let sent = event::Lately::default();
    for id in 0..3000 {
        sent.add(Some(&id.to_string()));
    }
    let mut reply = hello();
    for (id, known) in [("0", false), ("2999", true)] {
        reply["event"]["message"]["parent_id"] = json!(id);
        assert_eq!(
            event::read(&reply, Some("b"), &sent)
                .unwrap()
                .unwrap()
                .mentioned,
            known
        );
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
            Err(api::Failure::Token) => "token",
            Err(api::Failure::Send(SendError::Refused(_))) => "refused",
            Err(api::Failure::Send(SendError::Marks(_))) => "marks",
            Err(api::Failure::Send(SendError::Later { .. })) => "later",
            Err(api::Failure::Send(SendError::Unknown(_))) => "unknown",
        }
    };
    for (status, body, expected) in [
        (200, r#"{"code": 0, "data": {}}"#, "sent"),
        (400, r#"{"code": 230001, "msg": "invalid"}"#, "refused"),
        (400, r#"{"code": 99991663, "msg": "token"}"#, "token"),
        (400, r#"{"code": 230099, "msg": "card"}"#, "marks"),
        (400, r#"{"code": 230020, "msg": "limit"}"#, "later"),
        (429, "", "later"),
        (503, "", "later"),
        (500, r#"{"code": 1, "msg": "busy"}"#, "unknown"),
        (502, "<html>", "unknown"),
        (200, "<html>", "unknown"),
        (404, "", "refused"),
    ] {
        assert_eq!(kind(status, body), expected, "{status} {body}");
    }
}

proptest! {
    #[test]
    fn any_body_is_refused(body in "\\PC{0,60}") {
        prop_assert!(receive(&post(&body, NOW)).is_err());
    }

    #[test]
    fn any_bytes_under_the_key_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        let sealed = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, bytes);
        let _ = receive(&post(&json!({ "encrypt": sealed }).to_string(), NOW));
    }
}
