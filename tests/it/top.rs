//! `moltctl top`: what a program, a file and a terminal get of it.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use moltbot_tests::Home;
use serde_json::{Value, json};

use crate::{ask, chat};

const MODELS: &str = "models:
  - { name: weak, provider: builtin, model: script, params: { fail: 500 }, fallback: strong }
  - { name: strong, provider: builtin, model: echo }
";

#[tokio::test]
async fn one_frame_has_states_calls_and_failovers() {
    let home = Home::with(MODELS);
    home.ctl(&["top", "--once"]).failed(3);
    let mut daemon = home.start();
    chat(&daemon, ask("weak")).await;
    // A call is counted after its last byte.
    let frame = daemon.wait_for(|_| {
        let frame = home.ctl(&["top", "--once", "--output", "json"]).json();
        let moved = json!({ "level": "model", "outcome": "ok", "count": 1 });
        frame["failovers"]
            .as_array()
            .unwrap()
            .contains(&moved)
            .then_some(frame)
    });
    let answered = json!({ "model": "strong", "target": "strong/0", "outcome": "ok", "count": 1 });
    assert!(
        frame["calls"].as_array().unwrap().contains(&answered),
        "{frame}"
    );
    assert_eq!(frame["models"][1]["targets"][0]["state"], "up");
    let shown = home.ctl(&["top", "--once"]).done();
    assert!(shown.contains("model 1 ok, 0 failed"), "{shown}");
    assert!(!shown.contains('\x1b'), "{shown:?}");
}

#[test]
fn frames_follow_each_other_until_the_daemon_is_down() {
    let home = Home::with(MODELS);
    let daemon = home.start();
    let mut command = home.command("moltctl");
    let command = command.args(["top", "--output", "json"]);
    let mut top = command
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(top.stdout.take().unwrap()).lines();
    for _ in 0..2 {
        let frame: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        assert_eq!(frame["models"][0]["name"], "weak");
    }
    assert!(daemon.stop().success());
    assert_eq!(top.wait().unwrap().code(), Some(3));
}
