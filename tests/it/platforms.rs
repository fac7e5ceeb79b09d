//! The mocks of chat platforms, kept honest by the platforms' own SDKs.

use std::process::Stdio;
use std::time::Duration;

use moltbot_platforms::{Faults, Feishu, Slack, Telegram};
use moltbot_tests::tools;
use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio::process::{Child, Command};

/// Starts a script of `tests/sdk` with what it needs to know.
fn script(name: &str, argument: &str, variable: (&str, String)) -> Child {
    Command::new(tools().join("venv/bin/python"))
        .arg(format!(
            concat!(env!("CARGO_MANIFEST_DIR"), "/sdk/{}"),
            name
        ))
        .arg(argument)
        .env(variable.0, variable.1)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("python starts")
}

async fn succeeds(child: Child) {
    let output = tokio::time::timeout(Duration::from_secs(90), child.wait_with_output()).await;
    let output = output.expect("it ends").expect("it ran");
    assert!(
        output.status.success(),
        "{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Waits until something is so, as long as the script runs.
async fn until(child: &mut Child, what: &str, so: impl Fn() -> bool) {
    for _ in 0..600 {
        if so() {
            return;
        }
        if let Some(status) = child.try_wait().expect("a child of ours") {
            let mut said = String::new();
            let mut errors = child.stderr.take().expect("piped");
            errors.read_to_string(&mut said).await.expect("text");
            panic!("the script ended with {status} before {what}: {said}");
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("it did not happen: {what}");
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("bound").port()
}

/// A 429 once in a while, which the SDK shall wait out.
fn limited() -> Faults {
    Faults {
        limited: 0.2,
        ..Faults::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn slacks_own_sdk_works_with_the_mock_by_socket() {
    let slack = Slack::start(limited()).await;
    let mut child = script("slack_bot.py", "socket", ("SLACK_URL", slack.url()));
    until(&mut child, "a socket is open", || slack.sockets() == 1).await;
    slack.say("U1", "D1", "hello");
    let mention = slack.mention("U1", "C1", "hi");
    until(&mut child, "both are answered", || slack.posts().len() == 5).await;
    slack.say("U1", "D1", "quit");
    succeeds(child).await;
    let posts = slack.posts();
    assert!(
        posts
            .iter()
            .any(|post| post.text == "echo hello" && post.channel == "D1")
    );
    let named = posts
        .iter()
        .find(|post| post.text == "named")
        .expect("answered");
    assert_eq!(named.thread, Some(mention));
}

#[tokio::test(flavor = "multi_thread")]
async fn slacks_own_sdk_takes_the_posts_of_the_mock() {
    let slack = Slack::start(Faults::default()).await;
    let port = free_port();
    slack.post_events_to(format!("http://127.0.0.1:{port}/slack/events"));
    let mut child = script(
        "slack_bot.py",
        &port.to_string(),
        ("SLACK_URL", slack.url()),
    );
    slack.say("U1", "D1", "hello");
    until(&mut child, "it is answered", || slack.posts().len() == 3).await;
    slack.say("U1", "D1", "quit");
    succeeds(child).await;
    assert_eq!(slack.posts()[2].text, "echo hello");
    assert_eq!(slack.refused(), 0, "a signature was refused");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_telegram_sdk_works_with_the_mock() {
    let telegram = Telegram::start(Faults::default()).await;
    telegram.migrate(-7, -1007);
    telegram.limit_chat(429);
    let mut child = script("telegram_bot.py", "", ("TELEGRAM_URL", telegram.url()));
    telegram.say(5, 5, "hello");
    until(&mut child, "it is answered", || {
        telegram.sent().iter().any(|sent| sent.text == "echo hello")
    })
    .await;
    telegram.say(5, 5, "quit");
    succeeds(child).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn feishus_own_sdk_works_with_the_mock() {
    let feishu = Feishu::start(Faults::default()).await;
    let port = free_port();
    feishu.post_events_to(format!("http://127.0.0.1:{port}/"));
    let mut child = script(
        "feishu_bot.py",
        &port.to_string(),
        ("FEISHU_URL", feishu.url()),
    );
    feishu.say("ou_1", "oc_1-p2p", "hello");
    until(&mut child, "it is answered", || feishu.sent().len() == 3).await;
    assert_eq!(
        feishu.verify_address().await,
        json!({ "challenge": "ch4llenge" })
    );
    feishu.say("ou_1", "oc_1-p2p", "quit");
    succeeds(child).await;
    let texts: Vec<_> = feishu.sent().into_iter().map(|sent| sent.text).collect();
    assert_eq!(texts, ["two", "three", "echo hello"]);
    assert_eq!((feishu.repeats(), feishu.refused()), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn feishus_own_sdk_works_with_the_mock_by_the_long_connection() {
    let feishu = Feishu::start(Faults::default()).await;
    let mut child = script("feishu_bot.py", "socket", ("FEISHU_URL", feishu.url()));
    feishu.say("ou_1", "oc_1-p2p", "hello");
    until(&mut child, "it is answered", || feishu.sent().len() == 3).await;
    feishu.say("ou_1", "oc_1-p2p", "quit");
    succeeds(child).await;
    assert_eq!(feishu.sent()[2].text, "echo hello");
    assert_eq!(feishu.open(), 0, "an event was not answered");
}
