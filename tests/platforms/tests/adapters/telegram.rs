//! Telegram.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use moltbot_channels::adapter::telegram::{Telegram, TelegramSettings};
use moltbot_channels::{Channel, Format, SendError};
use moltbot_platforms::{Faults, Telegram as Mock};

use crate::{ANSWER, Listening, answer, send_all, until};

fn channel(mock: &Mock, token: &str) -> Arc<Telegram> {
    let settings = TelegramSettings {
        base_url: mock.url(),
        bot_token: token.into(),
        webhook_secret: None,
    };
    Arc::new(Telegram::new(settings).unwrap())
}

fn good(mock: &Mock) -> Arc<Telegram> {
    channel(mock, Mock::TOKEN)
}

#[tokio::test]
async fn a_login_says_as_whom_and_never_with_what() {
    let mock = Mock::start(Faults::default()).await;
    let account = good(&mock).login().await.unwrap();
    assert_eq!(
        (account.id.as_str(), account.name.as_str()),
        ("42", Mock::BOT.1)
    );
    let refused = channel(&mock, "42:wrong-c4n4ry").login().await.unwrap_err();
    assert!(refused.to_string().contains("Unauthorized"), "{refused}");
    assert!(!refused.to_string().contains("c4n4ry"));
}

#[tokio::test]
async fn an_update_is_confirmed_only_once_it_is_kept() {
    let mock = Mock::start(Faults::default()).await;
    let listening = Listening::to(good(&mock));
    until("it is up", || listening.kept.is_up()).await;
    listening.kept.full.store(true, Ordering::SeqCst);
    mock.say(5, 5, "hello");
    until("it is refused", || {
        listening.kept.refused.load(Ordering::SeqCst) > 0
    })
    .await;
    assert_eq!(mock.open(), 1);
    assert!(
        listening.errors()[0].contains("could not be kept"),
        "{:?}",
        listening.errors()
    );
    listening.kept.full.store(false, Ordering::SeqCst);
    until("it came", || {
        listening.kept.texts().get("hello") == Some(&1)
    })
    .await;
    until("it is confirmed", || mock.open() == 0).await;
    assert!(
        !mock
            .calls()
            .iter()
            .any(|call| call == "setWebhook" || call == "deleteWebhook")
    );
    listening.end().await;
}

#[tokio::test]
async fn another_poller_is_told_as_the_reason_and_polling_goes_on_once_it_has_gone() {
    let mock = Mock::start(Faults::default()).await;
    mock.contest(true);
    let listening = Listening::to(good(&mock));
    until("it fails", || !listening.errors().is_empty()).await;
    let error = listening.errors().remove(0);
    assert!(
        error.contains("another program takes this bot's messages"),
        "{error}"
    );
    assert!(!listening.kept.is_up());
    mock.contest(false);
    mock.say(5, 5, "hello");
    until("it came", || !listening.kept.texts().is_empty()).await;
    assert!(listening.kept.is_up());
    listening.end().await;
}

#[tokio::test]
async fn a_webhook_elsewhere_is_told_as_the_reason() {
    let mock = Mock::start(Faults::default()).await;
    mock.post_updates_to("http://127.0.0.1:9/");
    let listening = Listening::to(good(&mock));
    until("it fails", || !listening.errors().is_empty()).await;
    let error = listening.errors().remove(0);
    assert!(error.contains("webhook is active"), "{error}");
    listening.end().await;
}

#[tokio::test]
async fn refused_marks_a_limit_and_a_refusal_are_told_apart() {
    let mock = Mock::start(Faults::default()).await;
    let telegram = good(&mock);
    let send = async |text: &str| telegram.send(&answer("k", "5", text)).await.unwrap_err();
    assert!(matches!(send("<b>x").await, SendError::Marks(_)));
    assert!(matches!(send("").await, SendError::Refused(_)));
    mock.fail(Faults {
        limited: 1.0,
        wait: Duration::from_secs(7),
        ..Faults::default()
    });
    let limited = send("x").await;
    assert!(matches!(limited, SendError::Later { after: Some(wait), .. } if wait.as_secs() == 7));
    mock.fail(Faults {
        lost: 1.0,
        ..Faults::default()
    });
    let lost = send("x").await;
    assert!(matches!(lost, SendError::Unknown(_)), "{lost:?}");
    assert!(!format!("{lost:?}").contains("c4n4ry"));
}

#[tokio::test]
async fn a_group_that_became_a_supergroup_is_followed() {
    let mock = Mock::start(Faults::default()).await;
    let telegram = good(&mock);
    mock.migrate(-7, -1007);
    for key in ["k1", "k2"] {
        let sent = telegram.send(&answer(key, "-7", "x")).await.unwrap();
        assert!(sent.id.unwrap().starts_with("-1007:"));
    }
    let sends = mock
        .calls()
        .iter()
        .filter(|call| *call == "sendMessage")
        .count();
    assert_eq!(sends, 3, "the new id is remembered");
}

#[tokio::test]
async fn a_text_is_edited_as_a_whole_and_an_equal_one_is_no_error() {
    let mock = Mock::start(Faults::default()).await;
    let telegram = good(&mock);
    let sent = telegram.send(&answer("k", "5", "one")).await.unwrap();
    let id = sent.id.unwrap();
    for _ in 0..2 {
        telegram
            .edit(&id, &answer("k", "5", "<b>one</b> two"))
            .await
            .unwrap();
    }
    let shown = mock.sent().pop().unwrap();
    assert_eq!((shown.seen.as_str(), shown.texts.len()), ("one two", 2));
}

#[tokio::test]
async fn an_answer_in_a_group_shows_whom_it_is_for_and_stays_in_its_topic() {
    let mock = Mock::start(Faults::default()).await;
    let mut outgoing = answer("k", "-100", "x");
    outgoing.in_reply_to = Some("-100:77".to_owned());
    outgoing.place.thread = Some("3".to_owned());
    good(&mock).send(&outgoing).await.unwrap();
    let body = mock.sent().pop().unwrap().body;
    assert_eq!(body["reply_parameters"]["message_id"], 77);
    assert_eq!(body["message_thread_id"], 3);
}

#[tokio::test]
async fn rendered_answers_are_taken() {
    let mock = Mock::start(Faults::default()).await;
    let telegram = good(&mock);
    let long = format!("{ANSWER}\n\n").repeat(20);
    send_all(&*telegram, "5", &long, Format::Markdown).await;
    let marked = mock.sent().len();
    assert!(marked > 2);
    for format in [Format::Plain, Format::Native] {
        send_all(&*telegram, "5", &long, format).await;
    }
    let sent = mock.sent();
    assert!(
        sent[..marked]
            .iter()
            .all(|sent| sent.parse_mode.as_deref() == Some("HTML"))
    );
    assert!(sent[marked..].iter().all(|sent| sent.parse_mode.is_none()));
    assert!(sent.iter().all(|sent| !sent.seen.contains("@everyone")));
}

#[tokio::test]
async fn typing_is_shown() {
    let mock = Mock::start(Faults::default()).await;
    let place = answer("k", "5", "").place;
    good(&mock).typing(&place).await.unwrap();
    assert_eq!(mock.calls(), ["sendChatAction"]);
}
