//! Upstream credentials of OAuth 2.0, against a real token server and a model server that takes nothing else.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use moltbot_tests::{CLIENT_SECRET, Daemon, Do, Home, TokenServer, Upstream};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::{ask, chat, header};

/// The first fragment of the article, at addresses that exist, and the model that it falls back to.
fn article(server: &TokenServer, client: &str) -> String {
    format!(
        "models:
- name: \"primary-model\"
  endpoint: \"{}\"
  auth:
    type: \"oauth\"
    client_id: \"{client}\"
    token_url: \"{}\"
  fallback: \"secondary-model\"
- {{ name: secondary-model, provider: builtin, model: echo }}
",
        server.url("/v1"),
        server.url("/token"),
    )
}

/// A home with that fragment and the entry in `auth.json`.
fn home(server: &TokenServer, client: &str, entry: Value) -> Home {
    let home = Home::with(&article(server, client));
    secrets(&home, json!({ "primary-model": entry }));
    home
}

fn secrets(home: &Home, entries: Value) {
    use std::os::unix::fs::PermissionsExt;
    home.write("models/auth.json", &entries.to_string());
    let path = home.path("models/auth.json");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// Who answered a call to the article's model.
async fn served(daemon: &Daemon) -> String {
    let answer = chat(daemon, ask("primary-model")).await;
    assert_eq!(answer.status(), 200);
    header(&answer, "x-moltbot-model").to_owned()
}

/// Who answered each of so many calls at once.
async fn at_once(daemon: &Arc<Daemon>, calls: usize) -> Vec<String> {
    let mut all = JoinSet::new();
    for _ in 0..calls {
        let daemon = Arc::clone(daemon);
        all.spawn(async move { served(&daemon).await });
    }
    all.join_all().await
}

/// Asks until that model answers.
async fn until_served(daemon: &Daemon, by: &str) {
    let begun = Instant::now();
    while served(daemon).await != by {
        assert!(begun.elapsed() < Duration::from_secs(20), "never by {by}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn status_of(home: &Home) -> Value {
    let status = home.ctl(&["status", "--output", "json"]).json();
    status["models"][0].clone()
}

fn alerts(daemon: &Daemon) -> Vec<Value> {
    let is_alert = |line: &Value| {
        let msg = line["msg"].as_str().unwrap_or_default();
        line["level"] == "error" && msg.contains("credential is dead")
    };
    daemon.log().into_iter().filter(is_alert).collect()
}

/// No secret stands in any file but those that hold secrets, plain or as a header would carry it.
fn assert_quiet(home: &Home) {
    let basic = "Z2F0ZXdheTpnYXRld2F5LXNlY3JldC1j"; // gateway:gateway-secret-c
    for folder in ["logs", "run", "config"] {
        for entry in std::fs::read_dir(home.path(folder)).unwrap() {
            let path = entry.unwrap().path();
            let Ok(bytes) = std::fs::read(&path) else {
                continue;
            };
            let text = String::from_utf8_lossy(&bytes);
            for secret in [CLIENT_SECRET, basic] {
                assert!(!text.contains(secret), "{} tells it", path.display());
            }
        }
    }
    for command in [
        &["status", "--output", "json"][..],
        &["config", "show", "--origin"],
        &["auth", "list"],
        &["auth", "check"],
    ] {
        let ran = home.ctl(command);
        assert!(!format!("{ran:?}").contains(CLIENT_SECRET), "{ran:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fm_55_one_renewal_an_expiry_and_no_failed_call_whatever_the_load() {
    let server = TokenServer::start(5).await;
    let home = home(&server, "gateway", server.entry("gateway"));
    let daemon = Arc::new(home.start());
    assert_eq!(served(&daemon).await, "primary-model");
    let (answered, begun) = (Arc::new(AtomicUsize::new(0)), Instant::now());
    let mut callers = JoinSet::new();
    for _ in 0..40 {
        let (daemon, answered) = (Arc::clone(&daemon), Arc::clone(&answered));
        callers.spawn(async move {
            while begun.elapsed() < Duration::from_secs(20) {
                assert_eq!(served(&daemon).await, "primary-model");
                answered.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    callers.join_all().await;
    // 20 s at a renewal every 3.6 s to 3.9 s, and the first token.
    let issued = server.count("issued").await;
    assert!((6..=7).contains(&issued), "{issued} tokens");
    assert_eq!(server.count("asked").await, issued);
    assert_eq!(server.count("refused").await, 0);
    assert!(answered.load(Ordering::Relaxed) > 100);
    assert!(alerts(&daemon).is_empty());
    assert_quiet(&home);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_must_prove_itself_in_the_body_does_so() {
    let refusal = Do::answer("401 Unauthorized", "", r#"{"error":"invalid_client"}"#);
    let token = Do::answer("200 OK", "", r#"{"access_token":"t","expires_in":"600"}"#);
    let tokens = Upstream::does([vec![refusal, Do::Keep], vec![token, Do::Keep]]).await;
    let model = Upstream::says(r#"{"choices":[{"message":{"content":"hi"}}]}"#).await;
    let home = Home::with(&format!(
        "models: [{{ name: primary-model, endpoint: \"{}\" }}]\n",
        model.url()
    ));
    let entry = json!({
        "client_id": "a:b", "client_secret": CLIENT_SECRET, "token_url": tokens.url(), "scope": "x y",
    });
    secrets(&home, json!({ "primary-model": entry }));
    let daemon = home.start();
    assert_eq!(served(&daemon).await, "primary-model");
    home.ctl(&["auth", "check"]).done();
    let asked = tokens.seen();
    let says = |at: usize| {
        let body = String::from_utf8(asked[at].body.clone()).unwrap();
        (asked[at].head.contains("authorization: Basic"), body)
    };
    let (in_header, body) = says(0);
    assert!(in_header && !body.contains("client_secret"), "{body}");
    assert!(body.contains("scope=x+y"), "{body}");
    // What it learnt it keeps.
    for at in [1, 2] {
        let (in_header, body) = says(at);
        assert!(!in_header && body.contains("client_id=a%3Ab"), "{body}");
    }
    assert_eq!(asked.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_secret_falls_back_with_one_alert_and_words() {
    let server = TokenServer::start(60).await;
    let mut entry = server.entry("gateway");
    entry["client_secret"] = "wrong".into();
    let home = home(&server, "gateway", entry);
    let daemon = home.start();
    for _ in 0..50 {
        assert_eq!(served(&daemon).await, "secondary-model");
    }
    let status = status_of(&home);
    assert_eq!(status["state"], "no_credential");
    let reason = status["targets"][0]["reason"].as_str().unwrap().to_owned();
    assert!(reason.starts_with("wrong secret: "), "{reason}");
    assert!(reason.contains("invalid_client"), "{reason}");
    let check = home.ctl(&["auth", "check", "--output", "json"]);
    assert_eq!(check.code, 1, "{check:?}");
    let checked: Value = serde_json::from_str(&check.out).unwrap();
    assert_eq!(checked[0]["cause"], "secret");
    assert_eq!(alerts(&daemon).len(), 1);
    // The right one is in force as soon as it is written.
    secrets(&home, json!({ "primary-model": server.entry("gateway") }));
    until_served(&daemon, "primary-model").await;
    assert_eq!(status_of(&home)["state"], "up");
    home.ctl(&["auth", "check", "primary-model"]).done();
    assert_quiet(&home);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_article_without_its_secret_falls_back_and_says_what_is_missing() {
    let server = TokenServer::start(60).await;
    let home = Home::with(&article(&server, "gateway"));
    let daemon = home.start();
    assert_eq!(served(&daemon).await, "secondary-model");
    let status = status_of(&home);
    assert_eq!(status["state"], "no_credential");
    let reason = status["targets"][0]["reason"].as_str().unwrap().to_owned();
    assert!(reason.contains("client_secret"), "{reason}");
    home.ctl_with(&["auth", "set", "primary-model"], CLIENT_SECRET)
        .done();
    until_served(&daemon, "primary-model").await;
    home.ctl(&["auth", "remove", "primary-model"]).done();
    assert_eq!(served(&daemon).await, "secondary-model");
    assert_quiet(&home);
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_wait_for_a_slow_token_server() {
    let server = TokenServer::start(60).await;
    server.control(json!({ "delay": 1500 })).await;
    let home = home(&server, "gateway", server.entry("gateway"));
    let daemon = Arc::new(home.start());
    for served in at_once(&daemon, 20).await {
        assert_eq!(served, "primary-model");
    }
    assert_eq!(server.count("asked").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_server_that_is_down_costs_nothing_until_the_token_ends_and_is_taken_up_again() {
    let mut server = TokenServer::start(4).await;
    // A model server of its own: that of the token server goes down with it.
    let model = Upstream::says(r#"{"choices":[{"message":{"content":"hi"}}]}"#).await;
    let yaml = article(&server, "gateway").replace(&server.url("/v1"), &model.url());
    let home = Home::with(&yaml);
    secrets(&home, json!({ "primary-model": server.entry("gateway") }));
    let daemon = home.start();
    assert_eq!(served(&daemon).await, "primary-model");
    server.kill();
    let (begun, mut kept) = (Instant::now(), 0);
    while served(&daemon).await == "primary-model" {
        assert!(begun.elapsed() < Duration::from_secs(10));
        kept += 1;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(kept > 10, "the token was good for {kept} calls only");
    let reason = status_of(&home)["targets"][0]["reason"].clone();
    let reason = reason.as_str().unwrap();
    assert!(reason.starts_with("server: "), "{reason}");
    assert!(reason.contains("can't be reached"), "{reason}");
    server.begin().await;
    until_served(&daemon, "primary-model").await;
    assert_eq!(alerts(&daemon).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn fm_28_a_revoked_token_is_renewed_once_for_all_calls_and_no_call_fails() {
    let server = TokenServer::start(600).await;
    let home = home(&server, "gateway", server.entry("gateway"));
    let daemon = Arc::new(home.start());
    assert_eq!(served(&daemon).await, "primary-model");
    server.control(json!({ "forget": true })).await;
    for served in at_once(&daemon, 30).await {
        assert_eq!(served, "primary-model");
    }
    assert_eq!(server.count("issued").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn fm_28_tokens_that_the_model_refuses_are_given_up_after_one_renewal() {
    let server = TokenServer::start(600).await;
    let home = home(&server, "gateway", server.entry("gateway"));
    server.control(json!({ "refuse": true })).await;
    let daemon = home.start();
    for _ in 0..20 {
        assert_eq!(served(&daemon).await, "secondary-model");
    }
    assert_eq!(server.count("issued").await, 2);
    assert_eq!(server.count("refused").await, 2);
    assert_eq!(alerts(&daemon).len(), 1);
    let reason = status_of(&home)["targets"][0]["reason"].clone();
    assert!(reason.as_str().unwrap().contains("just given"), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn fm_55_rotated_refresh_tokens_outlive_the_daemon() {
    let server = TokenServer::start(2).await;
    let mut entry = server.entry("gateway-refresh");
    entry["refresh_token"] = server.refresh_token().await.into();
    let home = home(&server, "gateway-refresh", entry);
    for _ in 0..2 {
        let daemon = home.start();
        assert_eq!(served(&daemon).await, "primary-model");
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(served(&daemon).await, "primary-model");
        assert!(alerts(&daemon).is_empty());
        assert!(daemon.stop().success());
    }
    // With the daemon down a check goes on with the same family of tokens.
    home.ctl(&["auth", "check"]).done();
    let daemon = home.start();
    assert_eq!(served(&daemon).await, "primary-model");
    assert!(alerts(&daemon).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_server_that_answers_nonsense_is_one_clear_line() {
    for (answer, words) in [
        ("html", "web page"),
        ("redirect", "redirect"),
        ("503", "temporarily_unavailable"),
    ] {
        let server = TokenServer::start(60).await;
        server.control(json!({ "answer": answer })).await;
        let home = home(&server, "gateway", server.entry("gateway"));
        let check = home.ctl(&["auth", "check", "--output", "json"]);
        assert_eq!(check.code, 1, "{check:?}");
        let checked: Value = serde_json::from_str(&check.out).unwrap();
        assert_eq!(checked[0]["cause"], "server");
        let detail = checked[0]["detail"].as_str().unwrap();
        assert!(detail.contains(words) && !detail.contains('\n'), "{detail}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_server_that_never_answers_is_left_in_time() {
    let tokens = Upstream::does([vec![Do::Hang]]).await;
    let home =
        Home::with("models: [{ name: primary-model, endpoint: \"http://127.0.0.1:9/v1\" }]\n");
    let entry = json!({
        "client_id": "a", "client_secret": CLIENT_SECRET, "token_url": tokens.url(),
    });
    secrets(&home, json!({ "primary-model": entry }));
    let begun = Instant::now();
    let said = home.ctl(&["auth", "check"]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.out.contains("does not answer in time"), "{said:?}");
    assert!(begun.elapsed() < Duration::from_secs(15));
    assert_eq!(tokens.asked(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_tried_at_the_list_of_models() {
    let good = Upstream::says(r#"{"object":"list","data":[]}"#).await;
    let bad = Upstream::fails("401 Unauthorized", r#"{"error":{"message":"no"}}"#).await;
    let gone = "http://127.0.0.1:9/v1";
    let model = |name: &str, url: &str| {
        format!("  - {{ name: {name}, endpoint: \"{url}\", auth: {{ type: api_key, key: k1 }} }}\n")
    };
    let models = [
        ("good", good.url()),
        ("bad", bad.url()),
        ("gone", gone.into()),
    ];
    let models: String = models.iter().map(|(name, url)| model(name, url)).collect();
    let home = Home::with(&format!("models:\n{models}"));
    let ran = home.ctl(&["auth", "check", "--output", "json"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    let rows: Value = serde_json::from_str(&ran.out).unwrap();
    let causes: Vec<_> = (0..3).map(|row| &rows[row]["cause"]).collect();
    assert_eq!(causes, [&Value::Null, &json!("secret"), &json!("server")]);
    assert!(good.seen()[0].head.starts_with("GET /v1/models "));
    assert!(good.seen()[0].head.contains("Bearer k1"));
    home.ctl(&["auth", "check", "good"]).done();
    home.ctl(&["auth", "check", "none"]).failed(4);
}

#[tokio::test(flavor = "multi_thread")]
async fn fm_78_a_clock_that_is_off_ends_no_token_and_is_told() {
    let server = TokenServer::start(60).await;
    server.control(json!({ "skew": 7200 })).await;
    let home = home(&server, "gateway", server.entry("gateway"));
    let daemon = home.start();
    assert_eq!(served(&daemon).await, "primary-model");
    let listed = home.ctl(&["auth", "list", "--output", "json"]).json();
    let skew = listed[0]["skew_s"].as_i64().unwrap();
    assert!((7190..=7210).contains(&skew), "{skew}");
    server.control(json!({ "refuse": true })).await;
    assert_eq!(served(&daemon).await, "secondary-model");
    let reason = status_of(&home)["targets"][0]["reason"].clone();
    let reason = reason.as_str().unwrap();
    assert!(reason.starts_with("wrong clock: "), "{reason}");
    assert!(reason.contains("ahead of the token server's"), "{reason}");
}
