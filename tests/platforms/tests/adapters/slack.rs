//! Slack.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use moltbot_channels::adapter::slack::{Slack, SlackSettings};
use moltbot_channels::{Channel, Format, SendError};
use moltbot_platforms::{Faults, Slack as Mock};

use crate::{ANSWER, Listening, answer, send_all, until};

fn channel(mock: &Mock, token: &str) -> Arc<Slack> {
    let settings = SlackSettings {
        base_url: mock.url(),
        bot_token: token.into(),
        signing_secret: None,
        app_token: Some(Mock::APP_TOKEN.into()),
    };
    Arc::new(Slack::new(settings).unwrap())
}

fn good(mock: &Mock) -> Arc<Slack> {
    channel(mock, Mock::BOT_TOKEN)
}

#[tokio::test]
async fn a_login_says_as_whom() {
    let mock = Mock::start(Faults::default()).await;
    let account = good(&mock).login().await.unwrap();
    assert_eq!(
        (account.id.as_str(), account.name.as_str()),
        (Mock::BOT_USER, "helper")
    );
    let refused = channel(&mock, "xoxb-c4n4ry").login().await.unwrap_err();
    assert!(refused.to_string().contains("invalid_auth"), "{refused}");
    assert!(!refused.to_string().contains("c4n4ry"));
}

#[tokio::test]
async fn an_event_that_is_not_kept_is_not_acknowledged_and_comes_again() {
    let mock = Mock::start(Faults::default()).await;
    let listening = Listening::to(good(&mock));
    until("it is up", || listening.kept.is_up()).await;
    listening.kept.full.store(true, Ordering::SeqCst);
    mock.say("U1", "D1", "hello");
    until("it is refused", || {
        listening.kept.refused.load(Ordering::SeqCst) > 0
    })
    .await;
    assert_eq!(mock.acknowledged(), 0);
    listening.kept.full.store(false, Ordering::SeqCst);
    until("it came", || !listening.kept.texts().is_empty()).await;
    until("it is acknowledged", || mock.acknowledged() == 1).await;
    listening.end().await;
}

#[tokio::test]
async fn no_event_is_lost_over_cut_repeated_and_reordered_deliveries() {
    let mock = Mock::start(Faults {
        cut: 0.08,
        repeated: 0.3,
        reordered: 0.2,
        ..Faults::default()
    })
    .await;
    let listening = Listening::to(good(&mock));
    for number in 0..40 {
        mock.say("U1", "D1", &format!("m{number}"));
    }
    until("all came", || listening.kept.texts().len() == 40).await;
    until("all are acknowledged", || mock.open() == 0).await;
    assert!(
        listening.kept.ups.load(Ordering::SeqCst) > 1,
        "no socket was cut"
    );
    listening.end().await;
}

#[tokio::test]
async fn a_mention_and_its_message_bear_one_id() {
    let mock = Mock::start(Faults::default()).await;
    let listening = Listening::to(good(&mock));
    let ts = mock.mention("U1", "C1", "hi");
    until("both came", || listening.kept.texts().get("hi") == Some(&2)).await;
    let kept = listening.kept.messages.lock().unwrap().clone();
    assert_eq!(kept[0].id, kept[1].id);
    assert!(
        kept.iter()
            .all(|message| message.mentioned && message.thread.as_ref() == Some(&ts))
    );
    listening.end().await;
}

#[tokio::test]
async fn a_sending_whose_answer_is_lost_is_unknown_and_found_in_the_history() {
    let mock = Mock::start(Faults::default()).await;
    let slack = good(&mock);
    let mut in_thread = answer("k2", "C1", "two");
    in_thread.place.thread = Some("1.1".to_owned());
    in_thread.in_reply_to = Some("C1:1.5".to_owned());
    for outgoing in [answer("k1", "C1", "one"), in_thread] {
        assert_eq!(slack.find(&outgoing).await, Ok(None));
        mock.fail(Faults {
            lost: 1.0,
            ..Faults::default()
        });
        let lost = slack.send(&outgoing).await.unwrap_err();
        assert!(matches!(lost, SendError::Unknown(_)), "{lost:?}");
        mock.fail(Faults::default());
        let found = slack.find(&outgoing).await.unwrap().expect("it is there");
        let shown = mock.posts().pop().unwrap();
        assert_eq!(found.id, Some(format!("C1:{}", shown.ts)));
    }
}

#[tokio::test]
async fn a_limit_says_how_long_and_shows_nothing() {
    let mock = Mock::start(Faults {
        limited: 1.0,
        wait: Duration::from_secs(7),
        ..Faults::default()
    })
    .await;
    let limited = good(&mock).send(&answer("k", "C1", "x")).await.unwrap_err();
    let SendError::Later { after, .. } = limited else {
        panic!("{limited:?}");
    };
    assert_eq!(after, Some(Duration::from_secs(7)));
    assert!(mock.posts().is_empty());
}

#[tokio::test]
async fn a_text_is_edited_as_a_whole_and_a_refusal_is_final() {
    let mock = Mock::start(Faults::default()).await;
    let slack = good(&mock);
    let sent = slack.send(&answer("k", "U7", "one")).await.unwrap();
    let id = sent.id.unwrap();
    slack
        .edit(&id, &answer("k", "U7", "one two"))
        .await
        .unwrap();
    let post = mock.posts().pop().unwrap();
    assert_eq!(
        (post.channel.as_str(), post.text.as_str()),
        ("D7", "one two")
    );
    let refused = slack.send(&answer("k", "nowhere", "x")).await.unwrap_err();
    assert_eq!(
        refused,
        SendError::Refused("Slack says channel_not_found".to_owned())
    );
    let gone = slack
        .edit("C1:0.0", &answer("k", "C1", "x"))
        .await
        .unwrap_err();
    assert!(matches!(gone, SendError::Refused(_)), "{gone:?}");
}

#[tokio::test]
async fn rendered_answers_are_taken_and_alert_nobody() {
    let mock = Mock::start(Faults::default()).await;
    let slack = good(&mock);
    let long = format!("{ANSWER}\n\n").repeat(20);
    for format in [Format::Markdown, Format::Plain, Format::Native] {
        send_all(&*slack, "C1", &long, format).await;
    }
    let posts = mock.posts();
    assert!(posts.len() > 9, "{}", posts.len());
    for post in posts {
        assert!(!post.text.contains("<!channel"), "{}", post.text);
        assert!(!post.text.contains("@everyone"), "{}", post.text);
        assert!(post.text.chars().count() <= 4000);
    }
}
