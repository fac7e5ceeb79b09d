//! Telegram.

use moltbot_platforms::{Faults, Telegram};

use super::*;
use crate::client;

#[tokio::test(flavor = "multi_thread")]
async fn telegram_is_polled_and_answered_in_its_own_formatting() {
    let telegram = Telegram::start(Faults::default()).await;
    let home = home(&super::telegram(&telegram, ""));
    let _daemon = running(&home, "telegram");
    telegram.say(5, 5, "**2 < 3**");
    telegram.mention(5, -100, "in a group");
    telegram.say(5, -100, "not for the bot");
    until("both are answered", || telegram.sent().len() == 2).await;
    until("all is confirmed", || telegram.open() == 0).await;
    let sent = telegram.sent();
    let found = |chat: i64| {
        sent.iter()
            .find(|sent| sent.chat == chat)
            .expect("answered")
    };
    assert_eq!(found(5).text, "<b>2 &lt; 3</b>");
    assert_eq!(found(-100).text, "in a group");
    assert!(
        !telegram
            .calls()
            .iter()
            .any(|call| call.ends_with("Webhook"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn telegram_posts_with_the_secret_are_taken_and_others_are_401() {
    let telegram = Telegram::start(Faults {
        repeated: 0.5,
        ..Faults::default()
    })
    .await;
    let secret = format!("webhook_secret = \"{}\"", Telegram::WEBHOOK_SECRET);
    let home = home(&super::telegram(&telegram, &secret));
    let daemon = running(&home, "telegram");
    let url = daemon.url("/channels/default/telegram");
    telegram.post_updates_to(&url);
    for number in 0..20 {
        telegram.say(5, 5, &format!("m{number}"));
    }
    until("all are answered", || telegram.sent().len() == 20).await;
    until("all is acknowledged", || telegram.open() == 0).await;
    assert_eq!((telegram.sent().len(), telegram.refused()), (20, 0));
    let body = r#"{"update_id":1,"message":{"message_id":1,"chat":{"id":5,"type":"private"},"from":{"id":5},"text":"x"}}"#;
    let forged = client().post(&url).body(body).send().await.unwrap();
    assert_eq!(forged.status(), 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_that_telegram_refuses_for_its_marks_is_sent_once_more_as_plain_text() {
    let telegram = Telegram::start(Faults::default()).await;
    telegram.refuse_marks();
    let home = home(&super::telegram(&telegram, ""));
    let _daemon = running(&home, "telegram");
    telegram.say(5, 5, "**bold** [a](https://a.example)");
    until("it is answered", || telegram.sent().len() == 1).await;
    let sent = telegram.sent().remove(0);
    assert_eq!((sent.text.as_str(), sent.parse_mode), ("bold a", None));
}

#[tokio::test(flavor = "multi_thread")]
async fn native_on_telegram_has_no_parse_mode_and_plain_no_marks() {
    let telegram = Telegram::start(Faults::default()).await;
    let home = home(&super::telegram(&telegram, "message_format = \"native\""));
    let _daemon = running(&home, "telegram");
    telegram.say(5, 5, "**as** it is");
    until("it is answered", || telegram.sent().len() == 1).await;
    home.write(
        "workspace/channels.toml",
        &super::telegram(&telegram, "message_format = \"plain\""),
    );
    until("the change is in force", || {
        telegram.say(5, 5, "**[x](https://x.example)**");
        std::thread::sleep(Duration::from_millis(300));
        telegram
            .sent()
            .last()
            .is_some_and(|sent| sent.text == "x (https://x.example)")
    })
    .await;
    let sent = telegram.sent();
    assert_eq!(sent[0].text, "**as** it is");
    assert!(sent.iter().all(|sent| sent.parse_mode.is_none()));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_poller_makes_the_channel_failed_with_the_reason_until_it_has_gone() {
    let telegram = Telegram::start(Faults::default()).await;
    telegram.contest(true);
    let home = home(&super::telegram(&telegram, ""));
    let _daemon = home.start();
    until("it fails", || state(&home, "telegram") == "failed").await;
    let reason = listed(&home, "telegram")["reason"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        reason.contains("another program takes this bot's messages"),
        "{reason}"
    );
    telegram.contest(false);
    telegram.say(5, 5, "hello");
    until("it is answered", || telegram.sent().len() == 1).await;
    assert_eq!(state(&home, "telegram"), "running");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_answer_is_split_where_telegram_ends_and_its_code_stays_whole() {
    let telegram = Telegram::start(Faults::default()).await;
    let home = home(&super::telegram(&telegram, ""));
    let _daemon = running(&home, "telegram");
    let code = "let x = \"😀\";\n".repeat(600);
    telegram.say(5, 5, &format!("Intro.\n\n```rust\n{code}```\n\nEnd."));
    until("it is answered", || {
        telegram
            .sent()
            .iter()
            .any(|sent| sent.seen.ends_with("End."))
    })
    .await;
    let sent = telegram.sent();
    assert!(sent.len() > 2);
    let lines: usize = sent
        .iter()
        .map(|sent| sent.seen.matches("let x = \"😀\";").count())
        .sum();
    assert_eq!(lines, 600);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_of_telegram_stands_in_no_log_line() {
    let telegram = Telegram::start(Faults {
        lost: 1.0,
        ..Faults::default()
    })
    .await;
    let home = home(&super::telegram(&telegram, ""));
    let daemon = running(&home, "telegram");
    telegram.say(5, 5, "hello");
    until("it is unknown", || outbox(&home).get("unknown") == Some(&1)).await;
    let log = daemon.log();
    assert!(log.iter().all(|line| !line.to_string().contains("c4n4ry")));
}
