//! Feishu.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use moltbot_channels::adapter::feishu::{Feishu, FeishuSettings};
use moltbot_channels::{Channel, Format, SendError};
use moltbot_platforms::{Faults, Feishu as Mock};

use crate::{ANSWER, Listening, answer, send_all, until};

fn channel(mock: &Mock, secret: &str, socket: bool) -> Arc<Feishu> {
    let settings = FeishuSettings {
        base_url: mock.url(),
        app_id: Mock::APP_ID.to_owned(),
        app_secret: secret.into(),
        encrypt_key: (!socket).then(|| Mock::ENCRYPT_KEY.into()),
        verification_token: Some(Mock::TOKEN.into()),
    };
    Arc::new(Feishu::new(settings).unwrap())
}

fn good(mock: &Mock) -> Arc<Feishu> {
    channel(mock, Mock::APP_SECRET, false)
}

#[tokio::test]
async fn a_login_says_as_whom() {
    let mock = Mock::start(Faults::default()).await;
    let account = good(&mock).login().await.unwrap();
    assert_eq!(
        (account.id.as_str(), account.name.as_str()),
        (Mock::BOT, "Helper")
    );
    let refused = channel(&mock, "c4n4ry", false).login().await.unwrap_err();
    assert!(
        refused.to_string().contains("app secret invalid"),
        "{refused}"
    );
    assert!(!refused.to_string().contains("c4n4ry"));
}

#[tokio::test]
async fn a_token_is_fetched_once_and_renewed_when_it_ends_or_is_refused() {
    let mock = Mock::start(Faults::default()).await;
    mock.tokens_live(Duration::from_secs(2));
    let feishu = good(&mock);
    let (one, two) = (answer("k1", "oc_1", "x"), answer("k2", "oc_1", "x"));
    let (first, second) = tokio::join!(feishu.send(&one), feishu.send(&two));
    assert!(first.is_ok() && second.is_ok());
    assert_eq!(mock.tokens(), 1);
    tokio::time::sleep(Duration::from_millis(1900)).await;
    feishu.send(&answer("k3", "oc_1", "x")).await.unwrap();
    assert_eq!(mock.tokens(), 2);
    mock.revoke_token();
    feishu.send(&answer("k4", "oc_1", "x")).await.unwrap();
    assert_eq!((mock.tokens(), mock.sent().len()), (3, 4));
}

#[tokio::test]
async fn a_repeat_under_the_same_key_is_shown_once() {
    let mock = Mock::start(Faults {
        lost: 1.0,
        ..Faults::default()
    })
    .await;
    let feishu = good(&mock);
    let outgoing = answer("0198c0de-0000-7000-8000-000000000001", "oc_1", "x");
    let lost = feishu.send(&outgoing).await.unwrap_err();
    assert!(matches!(lost, SendError::Unknown(_)), "{lost:?}");
    mock.fail(Faults::default());
    feishu.send(&outgoing).await.unwrap();
    assert_eq!((mock.sent().len(), mock.repeats()), (1, 1));
    assert!(feishu.capabilities().idempotent);
}

#[tokio::test]
async fn a_limit_says_how_long() {
    let mock = Mock::start(Faults {
        limited: 1.0,
        wait: Duration::from_secs(7),
        ..Faults::default()
    })
    .await;
    let limited = good(&mock)
        .send(&answer("k", "oc_1", "x"))
        .await
        .unwrap_err();
    assert!(matches!(limited, SendError::Later { after: Some(wait), .. } if wait.as_secs() == 7));
}

#[tokio::test]
async fn an_answer_grows_by_edits_and_stays_in_its_thread() {
    let mock = Mock::start(Faults::default()).await;
    let feishu = good(&mock);
    for marked in [true, false] {
        let mut outgoing = answer(&format!("k{marked}"), "oc_1", "one");
        outgoing.marked = marked;
        let id = feishu.send(&outgoing).await.unwrap().id.unwrap();
        for text in ["one two", "one two three"] {
            outgoing.text = text.to_owned();
            feishu.edit(&id, &outgoing).await.unwrap();
        }
        assert_eq!(mock.sent().pop().unwrap().text, "one two three");
    }
    let mut outgoing = answer("t", "oc_1", "in the thread");
    outgoing.place.thread = Some("omt_1".to_owned());
    outgoing.in_reply_to = Some("om_9".to_owned());
    feishu.send(&outgoing).await.unwrap();
    assert_eq!(mock.sent().pop().unwrap().parent.as_deref(), Some("om_9"));
}

#[tokio::test]
async fn a_refused_card_is_a_matter_of_its_marks() {
    let mock = Mock::start(Faults::default()).await;
    let refused = good(&mock).send(&answer("k", "", "x")).await.unwrap_err();
    assert!(matches!(refused, SendError::Refused(_)), "{refused:?}");
    mock.refuse_cards();
    let refused = good(&mock)
        .send(&answer("k", "oc_1", "x"))
        .await
        .unwrap_err();
    assert!(matches!(refused, SendError::Marks(_)), "{refused:?}");
}

#[tokio::test]
async fn rendered_answers_are_taken() {
    let mock = Mock::start(Faults::default()).await;
    let feishu = good(&mock);
    let long = format!("{ANSWER}\n\n").repeat(60);
    for format in [Format::Markdown, Format::Plain, Format::Native] {
        send_all(&*feishu, "oc_1", &long, format).await;
    }
    let sent = mock.sent();
    assert!(sent.len() > 5);
    assert!(
        sent.iter()
            .all(|sent| !sent.text.contains("<at ") || sent.text.contains("```"))
    );
}

#[tokio::test]
async fn the_long_connection_brings_events_in_parts_over_cuts_and_repeats() {
    let mock = Mock::start(Faults {
        cut: 0.05,
        repeated: 0.3,
        ..Faults::default()
    })
    .await;
    let listening = Listening::to(channel(&mock, Mock::APP_SECRET, true));
    for number in 0..30 {
        mock.mention("ou_1", "oc_1", &format!("m{number}"));
    }
    until("all came", || listening.kept.texts().len() == 30).await;
    until("all are answered", || mock.open() == 0).await;
    let kept = listening.kept.messages.lock().unwrap().clone();
    assert!(kept.iter().all(|message| message.mentioned));
    listening.end().await;
}

#[tokio::test]
async fn an_event_of_the_long_connection_that_is_not_kept_comes_again() {
    let mock = Mock::start(Faults::default()).await;
    let listening = Listening::to(channel(&mock, Mock::APP_SECRET, true));
    until("it is up", || listening.kept.is_up()).await;
    listening.kept.full.store(true, Ordering::SeqCst);
    mock.say("ou_1", "oc_1-p2p", "hello");
    until("it is refused", || {
        listening.kept.refused.load(Ordering::SeqCst) > 0
    })
    .await;
    assert_eq!(mock.open(), 1);
    listening.kept.full.store(false, Ordering::SeqCst);
    until("it came", || {
        listening.kept.texts().get("hello") == Some(&1)
    })
    .await;
    until("it is answered", || mock.open() == 0).await;
    listening.end().await;
}
