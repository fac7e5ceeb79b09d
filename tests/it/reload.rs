//! The configuration changes under load without one failed request.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use futures_util::StreamExt;
use moltbot_tests::{Daemon, Home};
use serde_json::Value;

use crate::{ask, chat, client, header};

const STREAM: &str =
    r#"{"model":"m","stream":true,"messages":[{"role":"user","content":"Hello"}]}"#;
const ONE: &str =
    "models:\n  - { name: m, provider: builtin, model: script, params: { text: one } }\n";
const TWO: &str =
    "models:\n  - { name: m, provider: builtin, model: script, params: { text: two } }\n";

async fn says(daemon: &Daemon) -> String {
    let body: Value = chat(daemon, ask("m")).await.json().await.unwrap();
    body["choices"][0]["message"]["content"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

async fn until_it_says(daemon: &Daemon, text: &str) {
    for _ in 0..200 {
        if says(daemon).await == text {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("it never said {text}");
}

#[tokio::test]
async fn a_changed_file_is_in_force_by_itself() {
    let home = Home::with(ONE);
    let daemon = home.start();
    assert_eq!(says(&daemon).await, "one");
    home.configure(TWO);
    until_it_says(&daemon, "two").await;
}

#[tokio::test]
async fn an_invalid_file_changes_nothing_and_is_reported() {
    let home = Home::with(ONE);
    let mut daemon = home.start();
    home.configure("models:\n  - { name: m, provider: nonsense }\n");
    let status = daemon.wait_for(|_| {
        let status = home.ctl(&["status", "--output", "json"]).json();
        (status["config"]["result"] == "rejected").then_some(status)
    });
    assert!(
        status["config"]["problems"][0]
            .as_str()
            .unwrap()
            .contains("gateway.yaml:"),
        "{status}"
    );
    assert_eq!(status["config"]["generation"], 1);
    assert_eq!(says(&daemon).await, "one");
    let metrics = client()
        .get(daemon.admin_url("/metrics"))
        .send()
        .await
        .unwrap();
    let metrics = metrics.text().await.unwrap();
    assert!(
        metrics.contains("moltbot_config_reload_total{result=\"rejected\"} 1"),
        "{metrics}"
    );
    let ready = client()
        .get(daemon.admin_url("/readyz"))
        .send()
        .await
        .unwrap();
    assert_eq!(ready.status(), 200);
    assert!(
        daemon
            .log()
            .iter()
            .any(|line| line["msg"].as_str().unwrap_or("").contains("gateway.yaml"))
    );
    std::fs::write(home.path("config/gateway.yaml"), "").unwrap();
    assert_eq!(home.ctl(&["config", "reload"]).code, 78);
    assert_eq!(says(&daemon).await, "one");
}

#[tokio::test(flavor = "multi_thread")]
async fn reloads_under_load_lose_no_request() {
    let home = Home::with(ONE);
    let daemon = Arc::new(home.start());
    let over = Arc::new(AtomicBool::new(false));
    let calls = Arc::new(AtomicUsize::new(0));
    let mut load = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (daemon, over, calls) = (Arc::clone(&daemon), Arc::clone(&over), Arc::clone(&calls));
        load.spawn(async move {
            let client = client();
            while !over.load(Ordering::Relaxed) {
                let request = client
                    .post(daemon.url("/v1/chat/completions"))
                    .body(ask("m"));
                let answer = request.send().await.expect("an answer");
                assert_eq!(answer.status(), 200);
                let body: Value = answer.json().await.unwrap();
                let text = body["choices"][0]["message"]["content"]
                    .as_str()
                    .unwrap()
                    .to_owned();
                assert!(text == "one" || text == "two", "{text}");
                calls.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    for round in 0..20 {
        home.configure(if round % 2 == 0 { TWO } else { ONE });
        let reload = home.ctl(&["config", "reload"]);
        assert_eq!(reload.code, 0, "{reload:?}");
    }
    over.store(true, Ordering::Relaxed);
    while let Some(done) = load.join_next().await {
        done.expect("no call failed");
    }
    assert!(calls.load(Ordering::Relaxed) > 50);
}

#[tokio::test]
async fn a_stream_keeps_the_configuration_it_began_with() {
    let home = Home::with(
        "models:\n  - { name: m, provider: builtin, model: script, params: { text: \"a b c d e f g h\", pace: 100ms } }\n",
    );
    let daemon = home.start();
    let body = STREAM;
    let mut stream = chat(&daemon, body).await.bytes_stream();
    let mut text = stream.next().await.unwrap().unwrap().to_vec();
    home.configure("models:\n  - { name: other, provider: builtin, model: echo }\n");
    home.ctl(&["config", "reload"]).done();
    assert_eq!(chat(&daemon, ask("m")).await.status(), 404);
    while let Some(piece) = stream.next().await {
        text.extend_from_slice(&piece.unwrap());
    }
    assert!(String::from_utf8_lossy(&text).ends_with("data: [DONE]\n\n"));
}

#[tokio::test]
async fn a_model_is_switched_and_switched_back() {
    let home = Home::with(
        "models:\n  # the good one\n  - { name: m, provider: builtin, model: script, params: { text: one } }\n  - { name: n, provider: builtin, model: script, params: { text: two } }\n",
    );
    let daemon = home.start();
    home.ctl(&["model", "switch", "m", "--to", "n"]).done();
    let answer = chat(&daemon, ask("m")).await;
    assert_eq!(header(&answer, "x-moltbot-model"), "n");
    home.ctl(&["model", "switch", "m", "--to", "m"]).done();
    assert_eq!(says(&daemon).await, "one");
    assert!(home.read("config/gateway.yaml").contains("# the good one"));
    assert_eq!(
        home.ctl(&["model", "switch", "m", "--to", "nobody"]).code,
        4
    );
}

#[tokio::test]
async fn a_drain_waits_for_the_stream_and_refuses_nothing_before() {
    let home = Home::with(
        "models:\n  - { name: m, provider: builtin, model: script, params: { text: \"a b c d e\", pace: 100ms } }\n",
    );
    let daemon = home.start();
    let answer = chat(&daemon, STREAM).await;
    let stopping = std::thread::spawn(move || daemon.stop());
    let text = answer.text().await.unwrap();
    assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
    assert!(stopping.join().unwrap().success());
}
