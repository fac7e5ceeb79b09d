//! Channels from outside: signed posts to the daemon, the page of a web chat, and what a kill leaves.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use moltbot_channels::adapter::webhook::Secret;
use moltbot_tests::{Daemon, Home};
use serde_json::{Value, json};

use crate::client;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn home(channels: &str) -> Home {
    let home = Home::with("models: [{ name: m, provider: builtin, model: echo }]\n");
    home.write("workspace/channels.toml", channels);
    home
}

fn webhook() -> Home {
    home(&format!(
        "[channel.webhook]\nenabled = true\nsecret = \"{SECRET}\"\n"
    ))
}

/// A channel is up shortly after its daemon.
async fn post(daemon: &Daemon, id: &str, body: &Value) -> (u16, Value) {
    let body = body.to_string();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let at = now.as_secs().to_string();
    let secret = Secret::new(&SECRET.into()).unwrap();
    for _ in 0..100 {
        let answer = client()
            .post(daemon.url("/channels/default/webhook"))
            .header("webhook-id", id)
            .header("webhook-timestamp", &at)
            .header("webhook-signature", secret.sign(id, &at, body.as_bytes()))
            .body(body.clone())
            .send()
            .await
            .unwrap();
        if answer.status() != 404 {
            return (answer.status().as_u16(), answer.json().await.unwrap());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the channel does not come up");
}

#[tokio::test]
async fn a_signed_message_is_answered_once_also_by_the_next_daemon() {
    let home = webhook();
    let daemon = home.start();
    let said = json!({ "sender": "u1", "text": "hello" });
    let answered = (200, json!({ "id": "m1", "text": "hello" }));
    assert_eq!(post(&daemon, "m1", &said).await, answered);
    let other = json!({ "sender": "u1", "text": "something else" });
    assert_eq!(post(&daemon, "m1", &other).await, answered);
    daemon.stop();
    let daemon = home.start();
    assert_eq!(post(&daemon, "m1", &other).await, answered);
    let listed = home.ctl(&["channel", "list", "--output", "json"]).json();
    assert_eq!(listed[0]["state"], "running");
    assert_eq!(listed[0]["received"], 0);
}

#[tokio::test]
async fn an_unsigned_post_is_401_and_an_unknown_channel_404() {
    let home = webhook();
    let daemon = home.start();
    post(&daemon, "m1", &json!({ "sender": "u1", "text": "hello" })).await;
    for (path, status) in [("webhook", 401), ("slack", 404)] {
        let path = format!("/channels/default/{path}");
        let answer = client().post(daemon.url(&path)).body("{}").send().await;
        assert_eq!(answer.unwrap().status(), status, "{path}");
    }
}

#[tokio::test]
async fn a_web_chat_answers_and_remembers_its_visitor_alone() {
    let home = home("[channel.web]\nenabled = true\n");
    let daemon = home.start();
    let message = json!({ "id": "a1", "text": "my **secret**" }).to_string();
    let (mut cookie, mut answer) = (String::new(), String::new());
    for _ in 0..100 {
        let sent = client()
            .post(daemon.url("/chat/default/messages"))
            .header("content-type", "application/json")
            .body(message.clone())
            .send()
            .await
            .unwrap();
        if sent.status() == 200 {
            let set = sent.headers()["set-cookie"].to_str().unwrap();
            cookie = set.split(';').next().unwrap().to_owned();
            answer = sent.text().await.unwrap();
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(answer.contains("<strong>secret</strong>"), "{answer}");
    let page = async |cookie: &str| {
        let page = client().get(daemon.url("/chat/default"));
        let page = page.header("cookie", cookie).send().await.unwrap();
        page.text().await.unwrap()
    };
    assert!(page(&cookie).await.contains("<strong>secret</strong>"));
    assert!(
        !page("moltbot_visitor=00000000000000000000000000000000")
            .await
            .contains("secret")
    );
}
