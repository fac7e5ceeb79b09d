//! `moltctl logs`: every filter, across rotated files, following over rotation.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use moltbot_tests::Home;

fn line(time: &str, level: &str, model: &str, msg: &str) -> String {
    format!(
        "{{\"ts\":\"{time}\",\"level\":\"{level}\",\"msg\":\"{msg}\",\"request_id\":\"req_1\",\"workspace\":\"default\",\"model\":\"{model}\",\"served\":\"spare\"}}\n"
    )
}

fn home() -> Home {
    let home = Home::init();
    home.write(
        "logs/moltbotd.2026-01-01.jsonl",
        &(line("2026-01-01T10:00:00.000Z", "info", "a", "old") + "broken\n"),
    );
    home.write(
        "logs/moltbotd.2026-01-02.jsonl",
        &(line("2026-01-02T10:00:00.000Z", "warn", "b", "newer")
            + &line("2026-01-02T11:00:00.000Z", "error", "a", "newest")),
    );
    home
}

fn messages(home: &Home, filter: &[&str]) -> Vec<String> {
    let out = home
        .ctl(&[&["logs", "--output", "json"], filter].concat())
        .done();
    out.lines()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).unwrap()["msg"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect()
}

#[test]
fn lines_are_filtered_across_files_in_time_order() {
    let home = home();
    assert_eq!(messages(&home, &[]), ["old", "newer", "newest"]);
    assert_eq!(messages(&home, &["--level", "warn"]), ["newer", "newest"]);
    assert_eq!(messages(&home, &["--level", "error"]), ["newest"]);
    assert_eq!(messages(&home, &["--model", "a"]), ["old", "newest"]);
    assert_eq!(
        messages(&home, &["--model", "spare"]),
        ["old", "newer", "newest"]
    );
    assert_eq!(messages(&home, &["--grep", "^.*new.r"]), ["newer"]);
    assert_eq!(messages(&home, &["--since", "1h"]), [""; 0]);
    assert_eq!(messages(&home, &["--since", "3650d"]).len(), 3);
    assert_eq!(home.ctl(&["logs", "--grep", "("]).code, 2);
    assert_eq!(home.ctl(&["logs", "--level", "loud"]).code, 2);
    assert_eq!(home.ctl(&["logs", "--since", "soon"]).code, 2);
}

#[test]
fn following_goes_on_over_rotation() {
    let home = home();
    let mut follow = home
        .command("moltctl")
        .args(["logs", "--follow", "--output", "json"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(follow.stdout.take().unwrap()).lines();
    let mut next = || lines.next().unwrap().unwrap();
    for msg in ["old", "newer", "newest"] {
        assert!(next().contains(msg));
    }
    let append = |text: String| {
        use std::io::Write;
        let path = home.path("logs/moltbotd.2026-01-02.jsonl");
        let mut file = std::fs::OpenOptions::new().append(true).open(path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    };
    append(line("2026-01-02T12:00:00.000Z", "info", "a", "appended"));
    assert!(next().contains("appended"));
    home.write(
        "logs/moltbotd.2026-01-03.jsonl",
        &line("2026-01-03T10:00:00.000Z", "info", "a", "rotated"),
    );
    assert!(next().contains("rotated"));
    follow.kill().unwrap();
    follow.wait().unwrap();
}

#[test]
fn log_files_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let home = Home::with("models:\n  - { name: a, provider: builtin, model: echo }\n");
    let daemon = home.start();
    home.ctl(&["chat", "hi"]).done();
    daemon.stop();
    let files: Vec<_> = std::fs::read_dir(home.path("logs"))
        .unwrap()
        .map(|f| f.unwrap())
        .collect();
    assert!(!files.is_empty());
    for file in files {
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
}
