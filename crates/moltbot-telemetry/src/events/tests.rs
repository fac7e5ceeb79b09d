use std::sync::Arc;
use std::time::SystemTime;

use serde_json::{Value, json};
use tracing::subscriber::with_default;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry;

use super::*;
use crate::install::LevelHandle;
use crate::log::Batch;

fn log() -> Log {
    Log::new(Level::Info, 1 << 20, Arc::new(SystemTime::now))
}

/// The lines that `act` causes, as text.
fn text(log: &Log, act: impl FnOnce()) -> String {
    with_default(registry().with(Events::new(log.clone(), false)), act);
    log.line(Level::Error, "the last line", |_| {});
    let mut batch = Batch::default();
    assert!(log.take(&mut batch));
    String::from_utf8(batch.bytes).unwrap()
}

fn lines(log: &Log, act: impl FnOnce()) -> Vec<Value> {
    let mut lines: Vec<Value> = text(log, act)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    lines.pop();
    for line in &mut lines {
        line.as_object_mut().unwrap().remove("ts");
    }
    lines
}

#[test]
fn an_event_is_a_line_with_the_fields_of_its_spans() {
    let found = lines(&log(), || {
        let outer = tracing::info_span!(target: "moltbot", "outer", model = "big", depth = 1);
        let _outer = outer.enter();
        let inner = tracing::info_span!(target: "moltbot", "inner", depth = 2);
        let _inner = inner.enter();
        tracing::warn!(target: "moltbot::x", ok = false, ratio = 0.5, "slow {}", 3);
    });
    assert_eq!(
        found,
        [json!({
            "level": "warn", "msg": "slow 3", "ok": false, "ratio": 0.5, "depth": 2,
            "model": "big", "module": "moltbot::x",
        })]
    );
}

#[test]
fn no_key_stands_twice() {
    let text = text(&log(), || {
        tracing::info!(target: "moltbot", level = 1, ts = 2, msg = "m", target = "east", "hello");
    });
    let line = text.lines().next().unwrap();
    for key in ["level", "ts", "msg", "target", "module"] {
        assert_eq!(line.matches(&format!("\"{key}\":")).count(), 1, "{line}");
    }
}

#[test]
fn secrets_and_terminal_commands_do_not_reach_a_line() {
    let text = text(&log(), || {
        tracing::info!(target: "moltbot", header = "Bearer abc123def", "\u{1b}[2J mb_0123456789abc");
    });
    for forbidden in ["abc123def", "0123456789abc", "\u{1b}"] {
        assert!(!text.contains(forbidden), "{text}");
    }
}

#[test]
fn the_level_changes_at_run_time_and_other_crates_stay_quiet() {
    let log = log();
    let level = LevelHandle(log.clone());
    let found = lines(&log, || {
        let say = |round: u64| {
            tracing::debug!(target: "moltbot", round, "ours");
            tracing::info!(target: "hyper", round, "theirs");
            tracing::warn!(target: "hyper", round, "theirs, badly");
        };
        say(1);
        level.set(Level::Debug);
        say(2);
        level.set(Level::Error);
        say(3);
    });
    let found: Vec<_> = found
        .iter()
        .map(|line| {
            (
                line["msg"].as_str().unwrap(),
                line["round"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        found,
        [("theirs, badly", 1), ("ours", 2), ("theirs, badly", 2)]
    );
}
