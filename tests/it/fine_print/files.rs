//! Files.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Output;
use std::time::Duration;

use moltbot_tests::{Daemon, Home, Upstream};
use serde_json::Value;
use tokio::time::Instant;

use super::{ANSWER, Raw, configure_limits, field, home_with_limits, models};
use crate::{ask, chat, client, header};

const ECHO: &str = "models:\n  - { name: m, provider: builtin, model: echo }\n";

/// Runs `moltctl` with variables.
fn ctl(home: &Home, variables: &[(&str, &str)], arguments: &[&str]) -> Output {
    let mut command = home.command("moltctl");
    command.envs(variables.iter().copied()).args(arguments);
    command.output().expect("moltctl is built")
}

#[track_caller]
fn text(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// A model at `upstream` whose key stands in the file `token` of the home.
fn with_key_file(upstream: &Upstream) -> String {
    models(upstream, "auth: { type: api_key, key: \"${file:token}\" }")
}

/// The credential that the upstream is shown now.
async fn shown(daemon: &Daemon, upstream: &Upstream) -> String {
    let before = upstream.asked();
    chat(daemon, ask("m")).await;
    let seen = upstream.seen();
    seen.get(before).map_or(String::new(), |request| {
        field(&request.head, "authorization").to_owned()
    })
}

/// Changes something and asks until it is in force. The quickest of five changes counts, for the machine may
/// have been busy meanwhile.
async fn in_force_within_2_s(
    mut change: impl AsyncFnMut(usize),
    mut now: impl AsyncFnMut(usize) -> bool,
) {
    let mut quickest = Duration::MAX;
    for round in 1..=5 {
        change(round).await;
        let begun = Instant::now();
        while !now(round).await {
            assert!(begun.elapsed() < super::PATIENCE, "never in force");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        quickest = quickest.min(begun.elapsed());
        if quickest < Duration::from_secs(2) {
            return;
        }
    }
    panic!("in force after {quickest:?}");
}

#[test]
fn references_give_text_and_never_another_type() {
    let home = Home::with(
        "models:\n  - { name: m, endpoint: \"http://127.0.0.1:9/v1\", model: \"${env:NAME}\" }\n",
    );
    for text_of in ["true", "12", "null", "[a, b]", "{ a: b }", "~"] {
        let shown = ctl(
            &home,
            &[("NAME", text_of)],
            &["config", "get", "models.0.model", "--output", "json"],
        );
        let shown: Value = serde_json::from_str(&text(&shown)).unwrap();
        let shown = shown.get("value").unwrap_or(&shown);
        assert_eq!(shown, text_of);
    }
    home.configure(
        "models:\n  - { name: m, provider: builtin, model: echo, concurrency: \"${env:N}\" }\n",
    );
    let refused = ctl(&home, &[("N", "4")], &["config", "validate"]);
    assert_eq!(refused.status.code(), Some(78));
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(
        said.contains("models.m.concurrency") || said.contains("concurrency"),
        "{said}"
    );
}

#[test]
fn references_are_not_expanded_again() {
    let home = Home::with(
        "models:\n  - { name: m, endpoint: \"http://127.0.0.1:9/v1\", model: \"${env:A}-${file:f}\" }\n",
    );
    home.write("f", "${env:B}\n");
    let variables = [("A", "${file:f}"), ("B", "secret")];
    let shown = text(&ctl(
        &home,
        &variables,
        &["config", "get", "models.0.model"],
    ));
    assert_eq!(shown, "${file:f}-${env:B}");
}

#[test]
fn references_stay_as_written_when_a_command_edits_the_file_in_its_old_versions_too() {
    let home = Home::with(
        "models:\n  - { name: m, provider: builtin, model: echo, auth: { type: api_key, key: \"${file:token}\" } } # mine\n",
    );
    home.write("token", "sk-canary-4711");
    let written = home.read("config/gateway.yaml");
    home.ctl(&["config", "set", "logs.level", "warn"]).done();
    let edited = home.read("config/gateway.yaml");
    assert!(edited.starts_with(&written), "{edited}");
    assert!(edited.contains("${file:token}"), "{edited}");
    for version in fs::read_dir(home.path("config/.versions")).unwrap() {
        let version = fs::read_to_string(version.unwrap().path()).unwrap();
        assert!(!version.contains("canary"), "{version}");
    }
    home.ctl(&["config", "rollback"]).done();
    assert_eq!(home.read("config/gateway.yaml"), written);
}

#[tokio::test]
async fn a_bom_and_blanks_at_both_ends_of_a_secret_are_cut() {
    let upstream = Upstream::says(ANSWER).await;
    let home = Home::with(&with_key_file(&upstream));
    home.write("token", "\u{feff} \t sk-4711 \r\n\n");
    let daemon = home.start();
    assert_eq!(shown(&daemon, &upstream).await, "Bearer sk-4711");
}

#[test]
fn a_control_character_in_a_secret_is_an_error_with_file_and_key_and_without_the_value() {
    let home = Home::with(
        "models:\n  - { name: m, endpoint: \"http://127.0.0.1:9/v1\", auth: { type: api_key, key: \"${file:token}\" } }\n",
    );
    home.write("token", "sk-canary\n-4711\n");
    let said = home.moltbotd(&["--check"]).failed(78);
    for part in ["config/gateway.yaml:3", "auth.key", "control character"] {
        assert!(said.contains(part), "no {part} in: {said}");
    }
    assert!(!said.contains("canary") && !said.contains("4711"), "{said}");

    home.configure("models:\n  - { name: m, endpoint: \"http://127.0.0.1:9/v1\" }\n");
    home.write(
        "models/auth.json",
        "{\n  \"m\": {\"type\": \"api_key\", \"key\": \"sk-canary\\u0007-4711\"}\n}\n",
    );
    fs::set_permissions(
        home.path("models/auth.json"),
        fs::Permissions::from_mode(0o600),
    )
    .unwrap();
    let said = home.moltbotd(&["--check"]).failed(78);
    for part in ["models/auth.json:2", "key", "control character"] {
        assert!(said.contains(part), "no {part} in: {said}");
    }
    assert!(!said.contains("canary") && !said.contains("4711"), "{said}");
}

#[tokio::test]
async fn a_file_that_a_reference_names_is_watched_and_in_force_within_2_s() {
    let upstream = Upstream::says(ANSWER).await;
    let home = Home::with(&with_key_file(&upstream));
    home.write("token", "sk-0");
    let daemon = home.start();
    assert_eq!(shown(&daemon, &upstream).await, "Bearer sk-0");
    in_force_within_2_s(
        async |round| home.write("token", &format!("sk-{round}")),
        async |round| shown(&daemon, &upstream).await == format!("Bearer sk-{round}"),
    )
    .await;
}

#[tokio::test]
async fn a_change_without_an_event_is_found_by_its_content() {
    let upstream = Upstream::says(ANSWER).await;
    let home = Home::with(&with_key_file(&upstream));
    home.write("token", "sk-0");
    // A second name in a folder that nobody watches: writing there tells the watched folder nothing, as a bind
    // mount doesn't.
    let elsewhere = Home::empty();
    fs::hard_link(home.path("token"), elsewhere.path("token")).unwrap();
    let daemon = home.start();
    assert_eq!(shown(&daemon, &upstream).await, "Bearer sk-0");
    elsewhere.write("token", "sk-1");
    let begun = Instant::now();
    while shown(&daemon, &upstream).await != "Bearer sk-1" {
        assert!(begun.elapsed() < super::PATIENCE);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_changed_channel_file_is_in_force_within_2_s() {
    let home = Home::with(ECHO);
    let daemon = home.start();
    in_force_within_2_s(
        async |round| {
            home.write(
                "workspace/channels.toml",
                &format!("[channel.c{round}]\nenabled = true\n"),
            );
        },
        async |round| problems(&home).contains(&format!("c{round}")),
    )
    .await;
    home.write("workspace/channels.toml", "[channel");
    let mut daemon = daemon;
    daemon.wait_for(|_| problems(&home).contains("channels.toml:1").then_some(()));
    // A broken part stops nothing else.
    assert_eq!(chat(&daemon, ask("m")).await.status(), 200);
}

/// The problems that `status` tells, joined.
fn problems(home: &Home) -> String {
    let status = home.ctl(&["status", "--output", "json"]).json();
    status["config"]["problems"].to_string()
}

#[tokio::test]
async fn a_bom_and_crlf_are_accepted_in_every_file() {
    let upstream = Upstream::says(ANSWER).await;
    let home = Home::init();
    let key = home.read("config/key").trim().to_owned();
    let yaml = format!(
        "server:\n  listen: 127.0.0.1:0\n  admin: 127.0.0.1:0\n# a comment\nmodels:\n  - name: m\n    endpoint: {}\n",
        upstream.url()
    );
    let auth = "{\n  \"m\": {\n    \"type\": \"api_key\",\n    \"key\": \"sk-4711\"\n  }\n}\n";
    for (file, text) in [
        ("config/gateway.yaml", &*yaml),
        ("models/auth.json", auth),
        (
            "workspace/channels.toml",
            "[channel.web]\nenabled = false\n",
        ),
        (
            "workspaces/team/models.yaml",
            "models:\n  - name: own\n    endpoint: http://h/v1\n",
        ),
        ("workspaces/team/policy.yaml", "models:\n  - m\n"),
        (
            "workspaces/team/channels.toml",
            "[channel.web]\nenabled = false\n",
        ),
        ("config/key", &*format!("{key}\n")),
    ] {
        home.write(file, &format!("\u{feff}{}", text.replace('\n', "\r\n")));
    }
    home.moltbotd(&["--check"]).done();
    let daemon = home.start();
    let request = client().post(daemon.url("/v1/chat/completions"));
    let answer = request.bearer_auth(&key).body(ask("m")).send().await;
    assert_eq!(answer.unwrap().status(), 200);
    let head = upstream.seen()[0].head.clone();
    assert_eq!(field(&head, "authorization"), "Bearer sk-4711");
    // A command that edits such a file leaves its line ends alone.
    home.ctl(&["config", "set", "logs.level", "warn"]).done();
    home.ctl(&["config", "validate"]).done();
}

#[test]
fn zero_bytes_are_invalid_and_comments_alone_are_valid() {
    let home = Home::empty();
    home.write("config/gateway.yaml", "# nothing yet\n");
    home.moltbotd(&["--check"]).done();
    home.write("workspace/channels.toml", "# nothing yet\n");
    home.moltbotd(&["--check"]).done();
    home.write("models/auth.json", "{}");
    fs::set_permissions(
        home.path("models/auth.json"),
        fs::Permissions::from_mode(0o600),
    )
    .unwrap();
    home.moltbotd(&["--check"]).done();
    let of_a_workspace = ["models.yaml", "policy.yaml", "channels.toml"];
    let of_a_workspace = of_a_workspace.map(|name| format!("workspaces/team/{name}"));
    for file in &of_a_workspace {
        home.write(file, "# nothing yet\n");
    }
    home.moltbotd(&["--check"]).done();
    let files = [
        "workspace/channels.toml",
        "models/auth.json",
        "config/gateway.yaml",
    ];
    for file in of_a_workspace.iter().map(String::as_str).chain(files) {
        let before = home.read(file);
        home.write(file, "");
        let said = home.moltbotd(&["--check"]).failed(78);
        assert!(
            said.contains(file) && said.contains("is empty"),
            "{file}: {said}"
        );
        home.write(file, &before);
    }
}

#[tokio::test]
async fn a_key_that_takes_effect_at_a_start_says_so_in_the_schema_and_at_a_reload() {
    let home = home_with_limits("body: 1MiB", ECHO);
    let daemon = home.start();
    let schema = home.ctl(&["config", "schema", "--output", "json"]).json();
    let mut keys = Vec::new();
    at_a_start(&schema, "", &mut keys);
    keys.sort();
    assert_eq!(
        keys,
        [
            "logs.keep",
            "server.admin",
            "server.listen",
            "server.workers",
            "store.url",
        ]
    );
    home.write(
        "config/gateway.yaml",
        "server: { listen: \"127.0.0.1:1\", admin: \"127.0.0.1:2\", auth: none, workers: 3 }\nlogs: { keep: 9d }\nstore: { url: \"memory:\" }\nmodels:\n  - { name: other, provider: builtin, model: echo }\n",
    );
    home.ctl(&["config", "reload"]).done();
    // Twice: it stays true until the start.
    for _ in 0..2 {
        let status = home.ctl(&["status", "--output", "json"]).json();
        for key in &keys {
            let said = format!("{key} takes effect at the next start");
            let problems = status["config"]["problems"].as_array().unwrap();
            assert!(
                problems
                    .iter()
                    .any(|it| it.as_str().unwrap().contains(&said)),
                "{key}: {status}"
            );
        }
        assert_eq!(status["config"]["generation"], 2);
        home.ctl(&["config", "reload"]).done();
    }
    // What takes effect at once does.
    assert_eq!(chat(&daemon, ask("other")).await.status(), 200);
}

/// The keys below `schema` that bear the mark.
fn at_a_start(schema: &Value, path: &str, found: &mut Vec<String>) {
    for (name, below) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}{name}");
        if below["x-restart"] == true {
            assert!(
                below["description"]
                    .as_str()
                    .unwrap()
                    .contains("at a start"),
                "{path}"
            );
            found.push(path.clone());
        }
        at_a_start(below, &format!("{path}."), found);
    }
}

#[tokio::test]
async fn a_changed_limit_is_in_force_within_2_s() {
    let home = home_with_limits("body: 100KiB", ECHO);
    let daemon = home.start();
    let large = ask("m").replace("Hello", &"x".repeat(10_000));
    in_force_within_2_s(
        async |round| {
            let body = if round % 2 == 1 { "1KiB" } else { "100KiB" };
            configure_limits(&home, &format!("body: {body}"), ECHO);
        },
        async |round| {
            let wanted = if round % 2 == 1 { 413 } else { 200 };
            chat(&daemon, large.clone()).await.status() == wanted
        },
    )
    .await;
}

#[tokio::test]
async fn a_changed_limit_holds_for_the_next_connection() {
    let home = home_with_limits("header_timeout: 60s", ECHO);
    let daemon = home.start();
    configure_limits(&home, "header_timeout: 200ms", ECHO);
    home.ctl(&["config", "reload"]).done();
    let mut slow = Raw::to(&daemon).await;
    slow.send("GET /v1/models HTTP/1.1\r\nhost: lo").await;
    assert!(slow.rest().await.starts_with("HTTP/1.1 408"));
}

#[tokio::test]
async fn what_was_in_use_counts_against_a_changed_limit() {
    let slow = "models:\n  - { name: m, provider: builtin, model: script, params: { text: \"a b c\", cut_after: 1, hang: true } }\n";
    let home = home_with_limits("concurrency: 10, queue_wait: 10ms", slow);
    let daemon = home.start();
    let stream = ask("m").replacen('{', "{\"stream\":true,", 1);
    let mut open = Vec::new();
    for _ in 0..2 {
        let answer = chat(&daemon, stream.clone()).await;
        assert_eq!(answer.status(), 200);
        open.push(answer);
    }
    configure_limits(&home, "concurrency: 2, queue_wait: 10ms", slow);
    home.ctl(&["config", "reload"]).done();
    let refused = chat(&daemon, stream.clone()).await;
    assert_eq!(refused.status(), 503);
    assert_ne!(header(&refused, "retry-after"), "");
    open.clear();
    let begun = Instant::now();
    while chat(&daemon, stream.clone()).await.status() != 200 {
        assert!(begun.elapsed() < super::PATIENCE);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
