use std::sync::LazyLock;
use std::time::{Duration, UNIX_EPOCH};

use http::StatusCode;
use proptest::prelude::*;

use super::*;
use crate::adapter::answer::Answer;
use crate::channel::Ack;
use crate::message::{Content, Message};

const NOW: u64 = 1_531_420_618;

fn slack() -> Slack {
    Slack::new(SlackSettings {
        base_url: BASE_URL.to_owned(),
        bot_token: "xoxb-1".into(),
        signing_secret: Some(secret()),
        app_token: None,
    })
    .unwrap()
}

fn secret() -> SecretString {
    // The secret of the platform's own example.
    "8f742231b10e8888abcd99yyyzzz85a5".into()
}

fn post(body: &str, at: u64) -> Request<Bytes> {
    let at = at.to_string();
    Request::post("/channels/default/slack")
        .header("x-slack-request-timestamp", &at)
        .header("x-slack-signature", sign(&secret(), &at, body.as_bytes()))
        .body(Bytes::copy_from_slice(body.as_bytes()))
        .unwrap()
}

/// One for all: making it reads the system's certificates.
static SLACK: LazyLock<Slack> = LazyLock::new(slack);

fn receive(request: &Request<Bytes>) -> Result<Received, Refused> {
    SLACK.receive(request, UNIX_EPOCH + Duration::from_secs(NOW))
}

fn event(event: Value) -> Value {
    json!({
        "type": "event_callback", "team_id": "T1", "event_id": "Ev1", "event": event,
        "authorizations": [{ "team_id": "T1", "user_id": "UBOT", "is_bot": true }],
    })
}

fn read(inner: Value) -> Option<Message> {
    event::read(&event(inner), None).unwrap()
}

fn said(text: &str) -> Value {
    json!({ "type": "message", "channel": "C1", "channel_type": "channel", "user": "U1", "text": text, "ts": "1.5" })
}

#[test]
fn signatures_are_those_of_the_platforms_own_example() {
    let body = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
    assert_eq!(
        sign(&secret(), "1531420618", body.as_bytes()),
        "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"
    );
}

#[test]
fn a_post_that_is_unsigned_altered_or_old_is_401() {
    let body = event(said("hi")).to_string();
    let good = post(&body, NOW);
    assert!(receive(&good).is_ok());
    let status = |request: &Request<Bytes>| receive(request).unwrap_err().status.as_u16();
    let mut unsigned = good.clone();
    unsigned.headers_mut().remove("x-slack-signature");
    assert_eq!(status(&unsigned), 401);
    let mut altered = good.clone();
    *altered.body_mut() = Bytes::from(body.replace("hi", "ho"));
    assert_eq!(status(&altered), 401);
    for at in [NOW - 301, NOW + 301] {
        assert_eq!(status(&post(&body, at)), 401);
    }
    assert!(receive(&post(&body, NOW - 300)).is_ok());
}

#[test]
fn a_challenge_is_answered_and_nothing_is_kept() {
    let body = r#"{"type": "url_verification", "challenge": "c4", "token": "t"}"#;
    let Ok(Received::Reply(response)) = receive(&post(body, NOW)) else {
        panic!("no reply");
    };
    assert_eq!(response.body(), r#"{"challenge":"c4"}"#);
}

#[test]
fn a_malformed_body_is_400() {
    for body in [
        "",
        "x=1",
        "{}",
        r#"{"type": "event_callback"}"#,
        r#"{"type":"event_callback","event":{"type":"message","text":"x"}}"#,
    ] {
        assert_eq!(
            receive(&post(body, NOW)).unwrap_err().status.as_u16(),
            400,
            "{body}"
        );
    }
}

#[test]
fn a_message_and_its_mention_are_one() {
    let message = read(said("<@UBOT> hello")).unwrap();
    let mut mention = said("<@UBOT> hello");
    mention["type"] = json!("app_mention");
    mention.as_object_mut().unwrap().remove("channel_type");
    assert_eq!(read(mention).unwrap(), message);
    assert_eq!(message.id, "C1:1.5");
    assert_eq!(message.text, "hello");
    assert!(message.mentioned && message.group);
}

#[test]
fn a_mention_in_a_channel_is_answered_in_its_thread() {
    assert_eq!(
        read(said("<@UBOT> x")).unwrap().thread.as_deref(),
        Some("1.5")
    );
    assert_eq!(read(said("x")).unwrap().thread, None);
    let mut direct = said("<@UBOT> x");
    direct["channel_type"] = json!("im");
    assert_eq!(read(direct).unwrap().thread, None);
    let mut threaded = said("<@UBOT> x");
    threaded["thread_ts"] = json!("1.1");
    assert_eq!(read(threaded).unwrap().thread.as_deref(), Some("1.1"));
}

#[test]
fn a_reply_to_the_bot_is_a_mention() {
    let mut reply = said("and?");
    reply["thread_ts"] = json!("1.1");
    reply["parent_user_id"] = json!("UBOT");
    assert!(read(reply).unwrap().mentioned);
}

#[test]
fn edits_deletions_and_joins_are_no_messages() {
    for subtype in [
        "message_changed",
        "message_deleted",
        "channel_join",
        "channel_topic",
        "message_replied",
    ] {
        let mut event = said("x");
        event["subtype"] = json!(subtype);
        assert_eq!(read(event), None, "{subtype}");
    }
    assert_eq!(read(json!({ "type": "reaction_added" })), None);
}

#[test]
fn bots_are_known_as_bots() {
    assert!(!read(said("x")).unwrap().from_bot);
    let mut own = said("x");
    own["user"] = json!("UBOT");
    assert!(read(own).unwrap().from_bot);
    let mut other = said("x");
    other["bot_id"] = json!("B7");
    assert!(read(other).unwrap().from_bot);
    let mut old = json!({ "type": "message", "subtype": "bot_message", "bot_id": "B7", "channel": "C1", "ts": "1.6" });
    assert!(read(old.take()).unwrap().from_bot);
}

#[test]
fn a_file_without_words_is_no_text() {
    let mut file = said("");
    file["subtype"] = json!("file_share");
    assert_eq!(read(file).unwrap().content, Content::Other);
}

#[test]
fn text_is_read_as_people_see_it() {
    let text = "&lt;b&gt; &amp;amp; <@U7> <@U8|ann> <#C2|general> <!here> <https://a.example|a> <https://b.example> <mailto:x@y.z|x@y.z> 1 < 2";
    assert_eq!(
        read(said(text)).unwrap().text,
        "<b> &amp; @U7 @ann #general @here a (https://a.example) https://b.example x@y.z 1 < 2"
    );
}

#[test]
fn without_an_id_the_first_mention_of_an_app_mention_is_the_bot() {
    let mut envelope = event(said("<@UBOT> ask <@U2>"));
    envelope["event"]["type"] = json!("app_mention");
    envelope.as_object_mut().unwrap().remove("authorizations");
    assert_eq!(
        event::read(&envelope, None).unwrap().unwrap().text,
        "ask @U2"
    );
}

#[test]
fn an_event_is_acknowledged_with_an_empty_200() {
    let Ok(Received::Messages { messages, ack }) =
        receive(&post(&event(said("x")).to_string(), NOW))
    else {
        panic!("refused");
    };
    assert_eq!(messages.len(), 1);
    assert!(matches!(ack, Ack::Now(response) if response.status() == 200));
}

#[test]
fn a_channel_without_a_way_in_does_not_start() {
    let settings = |signing: Option<&str>| SlackSettings {
        base_url: BASE_URL.to_owned(),
        bot_token: "xoxb-1".into(),
        signing_secret: signing.map(Into::into),
        app_token: None,
    };
    assert!(Slack::new(settings(None)).is_err());
    assert!(Slack::new(settings(Some("  "))).is_err());
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
            Err(SendError::Refused(_)) => "refused",
            Err(SendError::Marks(_)) => "marks",
            Err(SendError::Later { .. }) => "later",
            Err(SendError::Unknown(_)) => "unknown",
        }
    };
    for (status, body, expected) in [
        (200, r#"{"ok": true, "ts": "1.1"}"#, "sent"),
        (
            200,
            r#"{"ok": false, "error": "not_in_channel"}"#,
            "refused",
        ),
        (200, r#"{"ok": false, "error": "ratelimited"}"#, "later"),
        (200, r#"{"ok": false, "error": "fatal_error"}"#, "unknown"),
        (429, "", "later"),
        (503, "", "later"),
        (500, "", "unknown"),
        (502, "<html>", "unknown"),
        (200, "<html>", "unknown"),
        (404, "", "refused"),
    ] {
        assert_eq!(kind(status, body), expected, "{status} {body}");
    }
}

proptest! {
    #[test]
    fn any_text_is_read(text in "[<>@|!#a:/ &;\\PC]{0,40}") {
        words::read(&text, "UBOT", true);
        words::mentions(&text, "UBOT");
    }

    #[test]
    fn any_event_is_read_or_refused(body in "\\PC{0,60}") {
        let _ = receive(&post(&body, NOW));
    }
}
