//! `moltctl`: its commands with the daemon up and down, and its exit codes.

use moltbot_tests::Home;

const TWO: &str = "# about models\nmodels:\n  - name: a # first\n    provider: builtin\n    model: echo\n  - { name: b, provider: builtin, model: echo }\n";

#[test]
fn set_and_unset_keep_comments_and_order_with_the_daemon_up_and_down() {
    let home = Home::with(TWO);
    home.ctl(&["config", "set", "models.a.fallback", "b"])
        .done();
    let down = home.read("config/gateway.yaml");
    home.ctl(&["config", "unset", "models.a.fallback"]).done();
    let daemon = home.start();
    home.ctl(&["config", "set", "models.a.fallback", "b"])
        .done();
    assert_eq!(home.read("config/gateway.yaml"), down);
    assert!(
        down.contains("# about models") && down.contains("name: a # first"),
        "{down}"
    );
    assert_eq!(
        home.ctl(&["config", "get", "models.a.fallback", "--file"])
            .done()
            .trim(),
        "b"
    );
    drop(daemon);
}

#[test]
fn an_invalid_change_writes_nothing() {
    let home = Home::with(TWO);
    let before = home.read("config/gateway.yaml");
    for change in [
        ["model.failover.max_attempts", "0"],
        ["model.failover.max_atempts", "3"],
        ["models.a.fallback", "nobody"],
        ["models.a.fallback", "a"],
        ["shared.url", "redis://x"],
    ] {
        let said = home
            .ctl(&["config", "set", change[0], change[1]])
            .failed(78);
        assert!(!said.is_empty());
    }
    assert_eq!(home.read("config/gateway.yaml"), before);
}

#[test]
fn the_last_change_can_be_seen_and_taken_back() {
    let home = Home::with(TWO);
    let before = home.read("config/gateway.yaml");
    assert_eq!(home.ctl(&["config", "diff"]).done(), "");
    home.ctl(&["config", "set", "region", "east"]).done();
    let diff = home.ctl(&["config", "diff"]).done();
    assert!(diff.contains("+region: east"), "{diff}");
    home.ctl(&["config", "rollback"]).done();
    assert_eq!(home.read("config/gateway.yaml"), before);
    assert_eq!(home.ctl(&["config", "rollback"]).code, 4);
    assert_eq!(home.read("config/gateway.yaml"), before);
}

#[test]
fn the_origin_of_each_value_is_named() {
    let home = Home::with(TWO);
    let output = home
        .command("moltctl")
        .args(["config", "show", "--origin"])
        .env("MOLTBOT_REGION", "west")
        .output()
        .unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    let line = |key: &str| {
        shown
            .lines()
            .find(|line| line.starts_with(&format!("{key} = ")))
            .unwrap_or_else(|| panic!("no {key} in {shown}"))
    };
    assert!(
        line("models.a.provider").contains("gateway.yaml:5"),
        "{shown}"
    );
    assert!(line("region").contains("MOLTBOT_REGION"), "{shown}");
    assert!(line("server.workers").contains("default"), "{shown}");
}

#[test]
fn models_are_added_shown_tried_and_removed() {
    let home = Home::with(TWO);
    home.ctl(&[
        "model",
        "add",
        "c",
        "--provider",
        "builtin",
        "--model",
        "echo",
        "--fallback",
        "a",
    ])
    .done();
    let listed = home.ctl(&["model", "list", "--output", "json"]).json();
    assert_eq!(listed[2]["name"], "c");
    let tested = home.ctl(&["model", "test", "c", "--output", "json"]).json();
    assert_eq!(
        (&tested["ok"], &tested["served"]),
        (&true.into(), &"c".into()),
        "{tested}"
    );
    let daemon = home.start();
    let shown = home.ctl(&["model", "show", "c", "--output", "json"]).json();
    assert_eq!(shown["status"]["state"], "up", "{shown}");
    home.ctl(&["model", "test", "c"]).done();
    home.ctl(&["model", "remove", "c"]).done();
    assert_eq!(home.ctl(&["model", "show", "c"]).code, 4);
    assert_eq!(home.ctl(&["model", "remove", "a"]).code, 0);
    drop(daemon);
}

#[test]
fn status_has_the_fields_of_the_contract_and_needs_a_daemon() {
    let home = Home::with(TWO);
    assert_eq!(home.ctl(&["status"]).code, 3);
    assert_eq!(home.ctl(&["config", "reload"]).code, 3);
    let daemon = home.start();
    let status = home.ctl(&["status", "--output", "json"]).json();
    for field in [
        "version",
        "ready",
        "uptime_s",
        "config",
        "models",
        "channels",
        "safe_mode",
    ] {
        assert!(!status[field].is_null(), "no {field} in {status}");
    }
    let target = &status["models"][0]["targets"][0];
    assert_eq!(
        (&target["target"], &target["state"]),
        (&"a/0".into(), &"up".into())
    );
    drop(daemon);
}

#[test]
fn wrong_use_is_2_and_every_help_has_an_example() {
    let home = Home::empty();
    assert_eq!(home.ctl(&["no-such-command"]).code, 2);
    assert_eq!(home.ctl(&["config", "set", "one"]).code, 2);
    for command in [
        vec!["init"],
        vec!["status"],
        vec!["chat"],
        vec!["logs"],
        vec!["completions"],
        vec!["man"],
        vec!["config", "get"],
        vec!["config", "set"],
        vec!["config", "unset"],
        vec!["config", "show"],
        vec!["config", "validate"],
        vec!["config", "schema"],
        vec!["config", "diff"],
        vec!["config", "reload"],
        vec!["config", "rollback"],
        vec!["model", "list"],
        vec!["model", "show"],
        vec!["model", "add"],
        vec!["model", "remove"],
        vec!["model", "test"],
        vec!["model", "switch"],
    ] {
        let help = home.ctl(&[command.as_slice(), &["-h"]].concat()).done();
        assert!(help.contains("Example"), "{command:?}: {help}");
    }
    assert!(
        home.ctl(&["completions", "bash"])
            .done()
            .contains("moltctl")
    );
    assert!(home.ctl(&["man"]).done().contains(".TH moltctl"));
}

#[test]
fn a_mistyped_home_is_named_and_not_made() {
    let home = Home::empty();
    let nowhere = home.path("nowhere");
    let nowhere = nowhere.to_str().unwrap();
    let said = home
        .ctl(&["--home", nowhere, "config", "get", "region"])
        .failed(78);
    assert!(said.contains("moltctl init"), "{said}");
    assert!(!home.path("nowhere").exists());
}

#[test]
fn init_makes_a_home_once_and_keeps_what_is_there() {
    let home = Home::init();
    use std::os::unix::fs::PermissionsExt;
    for secret in ["config/key", "models/auth.json"] {
        let mode = std::fs::metadata(home.path(secret))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{secret}");
    }
    home.moltbotd(&["--check"]).done();
    let key = home.read("config/key");
    home.write("config/gateway.yaml", "# mine\n");
    home.ctl(&["init", "--yes"]).done();
    assert_eq!(home.read("config/gateway.yaml"), "# mine\n");
    assert_eq!(home.read("config/key"), key);
}

#[test]
fn the_admin_listener_asks_for_its_token_and_the_data_plane_has_no_admin() {
    let home = Home::with(TWO);
    let daemon = home.start();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let status = |url: String, token: String| async move {
            let answer = crate::client()
                .get(url)
                .bearer_auth(token)
                .send()
                .await
                .unwrap();
            answer.status().as_u16()
        };
        let token = home.read("run/admin.token").trim().to_owned();
        let url = daemon.admin_url("/admin/v1/status");
        assert_eq!(status(url.clone(), "wrong".to_owned()).await, 401);
        assert_eq!(status(url, token.clone()).await, 200);
        assert_eq!(
            status(daemon.admin_url("/healthz"), String::new()).await,
            200
        );
        assert_eq!(
            status(daemon.url("/admin/v1/status"), token.clone()).await,
            404
        );
        assert_eq!(status(daemon.url("/metrics"), token).await, 404);
    });
}

#[test]
fn the_log_level_is_changed_at_run_time() {
    let home = Home::with(TWO);
    let _daemon = home.start();
    home.ctl(&["config", "set", "logs.level", "error"]).done();
    home.ctl(&["chat", "--model", "a", "quiet please"]).done();
    home.ctl(&["config", "set", "logs.level", "info"]).done();
    home.ctl(&["chat", "--model", "b", "loud please"]).done();
    std::thread::sleep(std::time::Duration::from_millis(300));
    let lines = home.ctl(&["logs", "--output", "json"]).done();
    assert!(
        lines.contains("\"model\":\"b\"") && !lines.contains("\"model\":\"a\""),
        "{lines}"
    );
}
