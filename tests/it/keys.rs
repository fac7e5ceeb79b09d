//! Keys of callers, from their making to their end.

use std::time::Duration;

use moltbot_tests::{Daemon, Home};
use serde_json::Value;

use crate::{ask, client};

const ECHO: &str = "models: [{ name: echo, provider: builtin, model: echo }, { name: other, provider: builtin, model: echo }]\n";

/// A home that asks for keys and has none yet.
fn home() -> Home {
    let home = Home::empty();
    home.write(
        "config/gateway.yaml",
        &format!("server: {{ listen: \"127.0.0.1:0\", admin: \"127.0.0.1:0\" }}\n{ECHO}"),
    );
    home
}

fn create(home: &Home, arguments: &[&str]) -> Value {
    let words = ["key", "create", "--output", "json"];
    home.ctl(&[&words, arguments].concat()).json()
}

async fn status(daemon: &Daemon, key: &str, model: &str) -> u16 {
    let request = client()
        .post(format!("http://{}/v1/chat/completions", daemon.listen()))
        .header("authorization", format!("Bearer {key}"))
        .body(ask(model))
        .header("content-type", "application/json");
    request.send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn a_key_made_with_the_daemon_up_or_down_is_good_at_once_and_nowhere_in_the_home() {
    let home = home();
    let down = create(&home, &["--name", "ops"]);
    for field in ["id", "key", "workspace", "role", "expires"] {
        assert!(down.get(field).is_some(), "{field}: {down}");
    }
    assert_eq!(
        (&down["workspace"], &down["role"]),
        (&"default".into(), &"user".into())
    );
    assert!(down["expires"].is_null());
    let daemon = home.start();
    let up = create(&home, &["--expires", "90d", "--role", "operator"]);
    assert!(up["expires"].as_str().unwrap().starts_with("20"));
    for made in [&down, &up] {
        let key = made["key"].as_str().unwrap();
        assert!(key.starts_with("mb_"));
        assert_eq!(status(&daemon, key, "echo").await, 200);
        let held = std::process::Command::new("grep")
            .args(["-rlF", key])
            .arg(home.root())
            .output()
            .unwrap();
        assert!(held.stdout.is_empty(), "{held:?}");
    }
    assert_eq!(status(&daemon, "mb_unknown", "echo").await, 401);
    let list = home.ctl(&["key", "list", "--output", "json"]).json();
    let states: Vec<_> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|row| &row["state"])
        .collect();
    assert_eq!(states, ["active", "active"]);
    drop(daemon);
    let daemon = home.start();
    assert_eq!(
        status(&daemon, up["key"].as_str().unwrap(), "echo").await,
        200
    );
}

#[tokio::test]
async fn a_revoked_key_is_refused_within_a_second_and_others_are_not() {
    let home = home();
    let daemon = home.start();
    let (one, two) = (create(&home, &[]), create(&home, &[]));
    let key = |made: &Value| made["key"].as_str().unwrap().to_owned();
    assert_eq!(status(&daemon, &key(&one), "echo").await, 200);
    home.ctl(&["key", "revoke", one["id"].as_str().unwrap()])
        .done();
    assert_eq!(status(&daemon, &key(&one), "echo").await, 401);
    assert_eq!(status(&daemon, &key(&two), "echo").await, 200);
    home.ctl(&["key", "revoke", "key_000000000000"]).failed(4);
    drop(daemon);
    home.ctl(&["key", "revoke", two["id"].as_str().unwrap()])
        .done();
    let daemon = home.start();
    assert_eq!(status(&daemon, &key(&two), "echo").await, 401);
}

#[tokio::test]
async fn a_rotated_key_stays_good_for_its_overlap_and_no_longer() {
    let home = home();
    let daemon = home.start();
    let old = create(&home, &["--models", "ec*"]);
    let (id, old_key) = (old["id"].as_str().unwrap(), old["key"].as_str().unwrap());
    let rotate = ["key", "rotate", id, "--overlap", "1s", "--output", "json"];
    let new = home.ctl(&rotate).json();
    let new_key = new["key"].as_str().unwrap();
    assert_eq!(new["models"], serde_json::json!(["ec*"]));
    assert_eq!(status(&daemon, old_key, "echo").await, 200);
    assert_eq!(status(&daemon, new_key, "echo").await, 200);
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(status(&daemon, old_key, "echo").await, 401);
    assert_eq!(status(&daemon, new_key, "echo").await, 200);
    home.ctl(&rotate).failed(1);
}

#[tokio::test]
async fn a_key_uses_only_the_models_that_it_names_and_a_viewer_none() {
    let home = home();
    let daemon = home.start();
    let narrow = create(&home, &["--models", "ec*"]);
    let narrow = narrow["key"].as_str().unwrap();
    assert_eq!(status(&daemon, narrow, "echo").await, 200);
    assert_eq!(status(&daemon, narrow, "other").await, 403);
    let viewer = create(&home, &["--role", "viewer"]);
    assert_eq!(
        status(&daemon, viewer["key"].as_str().unwrap(), "echo").await,
        403
    );
}

#[tokio::test]
async fn the_key_that_init_writes_is_listed_and_revoked_like_others() {
    let home = Home::init();
    let list = home.ctl(&["key", "list", "--output", "json"]).json();
    let id = list[0]["id"].as_str().unwrap();
    assert_eq!(list[0]["name"], "config/key");
    home.ctl(&["key", "revoke", id]).done();
    assert_eq!(
        home.ctl(&["key", "list", "--output", "json"]).json(),
        serde_json::json!([])
    );
    assert!(!home.path("config/key").exists());
}

#[test]
fn wrong_words_are_wrong_use() {
    let home = home();
    for arguments in [
        ["--role", "root"],
        ["--expires", "soon"],
        ["--name", "a\nb"],
    ] {
        home.ctl(&[&["key", "create"], &arguments[..]].concat())
            .failed(2);
    }
}

#[test]
fn others_are_let_in_only_once_there_is_a_key() {
    let home = home();
    home.write(
        "config/gateway.yaml",
        &format!("server: {{ listen: \"0.0.0.0:0\", admin: \"127.0.0.1:0\" }}\n{ECHO}"),
    );
    let said = home.moltbotd(&[]).failed(78);
    assert!(said.contains("moltctl key create"), "{said}");
    create(&home, &[]);
    assert!(home.start().listen().starts_with("0.0.0.0"));
}
