//! Slack.

use moltbot_platforms::{Faults, Slack};

use super::*;
use crate::client;

#[tokio::test(flavor = "multi_thread")]
async fn a_mention_in_a_slack_channel_is_answered_once_in_its_thread() {
    let slack = Slack::start(Faults::default()).await;
    let home = home(&super::slack(&slack, &events_api()));
    let daemon = running(&home, "slack");
    slack.post_events_to(daemon.url("/channels/default/slack"));
    let ts = slack.mention("U1", "C1", "hello");
    slack.say("U1", "C1", "not for the bot");
    slack.say("U1", "D1", "direct");
    until("both are answered", || slack.posts().len() == 2).await;
    until("all is acknowledged", || slack.open() == 0).await;
    let posts = slack.posts();
    let found = |text: &str| {
        posts
            .iter()
            .find(|post| post.text == text)
            .expect("answered")
    };
    assert_eq!(found("hello").thread, Some(ts));
    assert_eq!(found("direct").thread, None);
    assert_eq!((slack.refused(), slack.late()), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_slack_event_is_401_and_leaves_no_trace() {
    let slack = Slack::start(Faults::default()).await;
    let home = home(&super::slack(&slack, &events_api()));
    let daemon = running(&home, "slack");
    let url = daemon.url("/channels/default/slack");
    let body = r#"{"type":"event_callback","event":{"type":"message","channel":"D1","user":"U1","ts":"1.1","text":"x"}}"#;
    for signature in ["", "v0=00"] {
        let post = client().post(&url).body(body);
        let post = post.header("x-slack-request-timestamp", "1700000000");
        let answer = post.header("x-slack-signature", signature).send().await;
        assert_eq!(answer.unwrap().status(), 401);
    }
    assert_eq!(listed(&home, "slack")["received"], 0);
    assert!(slack.posts().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn by_socket_every_message_is_answered_once_over_every_fault() {
    let slack = Slack::start(Faults {
        lost: 0.1,
        limited: 0.05,
        slow: 0.1,
        repeated: 0.3,
        reordered: 0.2,
        cut: 0.02,
        ..Faults::default()
    })
    .await;
    let home = home(&super::slack(&slack, &socket_mode()));
    let _daemon = running(&home, "slack");
    for number in 0..60 {
        slack.say(&format!("U{}", number % 10), "D1", &format!("m{number}"));
    }
    until("all are answered", || slack.posts().len() >= 60).await;
    until("all is acknowledged", || slack.open() == 0).await;
    until("nothing is under way", || {
        outbox(&home).keys().all(|state| state == "delivered")
    })
    .await;
    let posts = slack.posts();
    let times = times(posts.iter().map(|post| post.text.as_str()));
    assert_eq!(times.len(), 60);
    assert!(times.values().all(|times| *times == 1), "{times:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_grows_by_edits_of_the_whole_text() {
    let slack = Slack::start(Faults::default()).await;
    let home = home(&super::slack(
        &slack,
        &format!("{}\nmodel = \"slow\"", socket_mode()),
    ));
    let _daemon = running(&home, "slack");
    slack.say("U1", "D1", "hello");
    let whole = "one two three four five six";
    until("it is whole", || {
        slack.posts().first().is_some_and(|post| post.text == whole)
    })
    .await;
    let posts = slack.posts();
    assert_eq!(posts.len(), 1);
    assert!(posts[0].texts.len() > 2, "{:?}", posts[0].texts);
    assert!(
        posts[0]
            .texts
            .iter()
            .all(|text| whole.starts_with(text.trim()))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn slack_alerts_nobody_and_hears_no_internal_detail() {
    let slack = Slack::start(Faults::default()).await;
    let home = home(&super::slack(&slack, &socket_mode()));
    let _daemon = running(&home, "slack");
    slack.say("U1", "D1", "**@everyone** &lt;!channel&gt; &lt;b&gt;");
    until("it is answered", || slack.posts().len() == 1).await;
    assert_eq!(
        slack.posts()[0].text,
        "*@\u{200b}everyone* &lt;!channel&gt; &lt;b&gt;"
    );
    slack.say("U1", "D1", "/model down");
    slack.say("U1", "D1", "are you there?");
    until("it is told", || slack.posts().len() == 3).await;
    let notice = slack.posts().remove(2).text;
    assert!(notice.starts_with("Sorry"), "{notice}");
    assert!(
        !notice.contains("500") && !notice.contains("down"),
        "{notice}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_is_tried_and_a_wrong_token_exits_1() {
    let slack = Slack::start(Faults::default()).await;
    let home = home(&super::slack(&slack, &socket_mode()));
    let _daemon = running(&home, "slack");
    let told = home
        .ctl(&["channel", "test", "slack", "--output", "json"])
        .json();
    assert_eq!(told["ok"], true);
    assert!(
        told["detail"].as_str().unwrap().contains("helper"),
        "{told}"
    );
    let wrong = super::slack(&slack, &socket_mode()).replace(Slack::BOT_TOKEN, "xoxb-c4n4ry");
    home.write("workspace/channels.toml", &wrong);
    let reason = || {
        let listed = listed(&home, "slack");
        listed["reason"].as_str().unwrap_or_default().to_owned()
    };
    until("it says why", || reason().contains("invalid_auth")).await;
    assert_eq!(state(&home, "slack"), "failed");
    assert!(!reason().contains("c4n4ry"), "{}", reason());
    assert_eq!(home.ctl(&["channel", "test", "slack"]).code, 1);
}
