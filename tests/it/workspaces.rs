//! Workspaces: made, chosen and deleted by commands, and what the policy of one lets its callers use.

use std::time::Duration;

use moltbot_tests::{Daemon, Home};
use serde_json::Value;
use tokio::time::Instant;

use crate::{ask, chat, client, header};

const SHARED: &str = "models:
  - { name: a, provider: builtin, model: script, params: { fail: 500 }, fallback: [b, c] }
  - { name: b, provider: builtin, model: echo }
  - { name: c, provider: builtin, model: script, params: { text: from c } }
";

fn names(list: &Value) -> Vec<&str> {
    list.as_array()
        .unwrap()
        .iter()
        .map(|item| item["name"].as_str().unwrap())
        .collect()
}

async fn metrics(daemon: &Daemon) -> String {
    let answer = client().get(daemon.admin_url("/metrics")).send().await;
    answer.unwrap().text().await.unwrap()
}

/// The status and code of an answer.
async fn code(answer: reqwest::Response) -> (u16, String) {
    let status = answer.status().as_u16();
    let body: Value = answer.json().await.unwrap();
    let code = body["error"]["code"].as_str().unwrap_or_default();
    (status, code.to_owned())
}

#[test]
fn a_workspace_is_made_chosen_shown_and_deleted_with_the_daemon_up_and_down() {
    for up in [false, true] {
        let home = Home::with(SHARED);
        let daemon = up.then(|| home.start());
        home.ctl(&["workspace", "create", "--name", "finance-team"])
            .done();
        for file in ["models.yaml", "policy.yaml", "channels.toml"] {
            let text = home.read(&format!("workspaces/finance-team/{file}"));
            assert!(text.starts_with("# "), "{text}");
        }
        home.ctl(&["workspace", "create", "--name", "finance-team"])
            .failed(1);
        home.ctl(&["workspace", "create", "--name", "default"])
            .failed(1);
        for bad in ["Finance", "a b", "../x", ""] {
            home.ctl(&["workspace", "create", "--name", bad]).failed(2);
        }
        let listed = home.ctl(&["workspace", "list", "--output", "json"]).json();
        assert_eq!(names(&listed), ["default", "finance-team"]);
        assert_eq!(listed[0]["current"], true);

        home.ctl(&["workspace", "use", "nobody"]).failed(4);
        home.ctl(&["workspace", "use", "finance-team"]).done();
        let shown = home.ctl(&["workspace", "show", "--output", "json"]).json();
        assert_eq!(shown["name"], "finance-team");
        assert_eq!(shown["shared_models"], serde_json::json!(["a", "b", "c"]));

        home.ctl(&["workspace", "delete", "finance-team"]).failed(2);
        home.ctl(&["workspace", "delete", "finance-team", "--yes"])
            .done();
        home.ctl(&["workspace", "delete", "finance-team", "--yes"])
            .failed(4);
        home.ctl(&["workspace", "delete", "default", "--yes"])
            .failed(1);
        assert!(!home.path("workspaces/finance-team").exists());
        let shown = home.ctl(&["workspace", "show", "--output", "json"]).json();
        assert_eq!(shown["name"], "default");
        drop(daemon);
    }
}

#[test]
fn models_of_a_workspace_are_added_tried_and_removed_in_its_own_file() {
    for up in [false, true] {
        let home = Home::with(SHARED);
        let daemon = up.then(|| home.start());
        home.ctl(&["workspace", "create", "--name", "team"]).done();
        home.ctl(&["workspace", "use", "team"]).done();
        let add = [
            "model",
            "add",
            "own",
            "--provider",
            "builtin",
            "--model",
            "echo",
        ];
        home.ctl(&add).done();
        assert!(home.read("workspaces/team/models.yaml").contains("own"));
        assert!(!home.read("config/gateway.yaml").contains("own"));
        let listed = home.ctl(&["model", "list", "--output", "json"]).json();
        assert_eq!(names(&listed), ["a", "b", "c", "own"]);
        assert_eq!(listed[3]["workspace"], "team");
        let tested = home
            .ctl(&["model", "test", "own", "--output", "json"])
            .json();
        assert_eq!(tested["served"], "own");

        // what is shared is not a workspace's to change, and what is its own is nobody else's
        home.ctl(&["model", "remove", "b"]).failed(5);
        home.ctl(&["model", "switch", "a", "--to", "b"]).failed(5);
        for command in [
            &["model", "show", "own"][..],
            &["model", "test", "own"],
            &["model", "remove", "own"],
            &["model", "switch", "a", "--to", "own"],
            &["auth", "check", "own"],
            &["auth", "set", "own"],
        ] {
            let named = [command, &["--workspace", "default"]].concat();
            home.ctl_with(&named, "secret\n").failed(4);
        }
        home.ctl(&[
            "model",
            "add",
            "b",
            "--provider",
            "builtin",
            "--model",
            "echo",
        ])
        .failed(78);
        home.ctl(&["model", "switch", "own", "--to", "b"]).done();
        home.ctl(&["model", "remove", "own"]).done();
        let listed = home.ctl(&["model", "list", "--output", "json"]).json();
        assert_eq!(names(&listed), ["a", "b", "c"]);
        home.ctl(&["model", "list", "--workspace", "nobody"])
            .failed(4);
        drop(daemon);
    }
}

#[test]
fn a_change_that_would_break_a_workspace_is_refused() {
    let home = Home::with(SHARED);
    home.write("workspaces/team/policy.yaml", "models: [c]\n");
    let said = home.ctl(&["config", "unset", "models.a.fallback"]);
    said.done();
    let said = home.ctl(&["model", "remove", "c"]).failed(78);
    assert!(said.contains("workspaces/team/policy.yaml:1"), "{said}");
}

#[tokio::test]
async fn what_the_policy_excludes_is_403_hidden_and_passed_over_by_fallbacks() {
    let home = Home::with(SHARED);
    home.write("workspaces/default/policy.yaml", "models: [a, \"c*\"]\n");
    let daemon = home.start();
    assert_eq!(
        code(chat(&daemon, ask("b")).await).await,
        (403, "policy".into())
    );
    assert_eq!(
        code(chat(&daemon, ask("nobody")).await).await,
        (404, "model_not_found".into())
    );
    let answer = chat(&daemon, ask("a")).await;
    assert_eq!(header(&answer, "x-moltbot-model"), "c");
    let get = async |path: &str| client().get(daemon.url(path)).send().await.unwrap();
    let list: Value = get("/v1/models").await.json().await.unwrap();
    let ids = list["data"].as_array().unwrap().iter();
    assert!(ids.map(|model| &model["id"]).eq(["a", "c"]));
    assert_eq!(
        code(get("/v1/models/b").await).await,
        (403, "policy".into())
    );
    assert_eq!(get("/v1/models/x").await.status(), 404);
    let metrics = metrics(&daemon).await;
    let refused = "moltbot_requests_total{workspace=\"default\",model=\"b\",status=\"403\"} 1";
    assert!(metrics.contains(refused), "{metrics}");
}

#[tokio::test]
async fn a_workspaces_files_are_in_force_within_two_seconds_and_a_broken_one_keeps_the_last_good() {
    let home = Home::with(SHARED);
    home.ctl(&["workspace", "create", "--name", "team"]).done();
    let mut daemon = home.start();
    let status = async |model| chat(&daemon, ask(model)).await.status().as_u16();
    assert_eq!(status("b").await, 200);
    home.write("workspaces/default/policy.yaml", "models: [c]\n");
    let changed = Instant::now();
    while status("b").await != 403 {
        assert!(changed.elapsed() < Duration::from_secs(2));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    home.write("workspaces/default/policy.yaml", "models: [nobody]\n");
    let told = daemon.wait_for(|_| {
        let status = home.ctl(&["status", "--output", "json"]).json();
        let problem = status["config"]["problems"][0].as_str()?.to_owned();
        Some((status["config"]["result"].clone(), problem))
    });
    assert_eq!(told.0, "rejected");
    assert!(
        told.1.starts_with("workspaces/default/policy.yaml:1:"),
        "{}",
        told.1
    );
    let answer = chat(&daemon, ask("b")).await;
    assert_eq!(answer.status(), 403);
    assert_eq!(chat(&daemon, ask("c")).await.status(), 200);
    let metrics = metrics(&daemon).await;
    assert!(metrics.contains("moltbot_config_reload_total{result=\"rejected\"} 1"));
    let listed = home.ctl(&["workspace", "list", "--output", "json"]).json();
    assert_eq!(listed[0]["state"], "last_good");
    assert_eq!(listed[1]["state"], "ok");
    let said = home.ctl(&["config", "validate"]).failed(78);
    assert!(said.contains("there is no model \"nobody\""), "{said}");

    // the rest of the configuration goes on changing
    home.configure(&format!(
        "{SHARED}  - {{ name: d, provider: builtin, model: echo }}\n"
    ));
    let known = daemon.wait_for(|_| {
        let listed = home.ctl(&["status", "--output", "json"]).json();
        names(&listed["models"]).contains(&"d").then_some(listed)
    });
    assert_eq!(known["config"]["result"], "applied");
    assert_eq!(chat(&daemon, ask("d")).await.status(), 403);
}

#[tokio::test]
async fn at_a_start_an_invalid_workspace_is_out_of_service_and_the_rest_runs() {
    let home = Home::with(SHARED);
    home.write("workspaces/default/policy.yaml", "modles: [c]\n");
    home.write("workspaces/team/policy.yaml", "models: [c]\n");
    home.moltbotd(&["--check"]).failed(78);
    let mut daemon = home.start();
    assert_eq!(
        code(chat(&daemon, ask("b")).await).await,
        (503, "workspace_unavailable".into())
    );
    home.ctl(&["model", "test", "c", "--workspace", "team"])
        .done();
    home.write("workspaces/default/policy.yaml", "models: [b]\n");
    daemon.wait_for(|_| {
        let listed = home.ctl(&["workspace", "list", "--output", "json"]).json();
        (listed[0]["state"] == "ok").then_some(())
    });
    daemon.wait_for(|_| {
        home.ctl(&["model", "test", "b", "--output", "json"])
            .code
            .eq(&0)
            .then_some(())
    });
    assert_eq!(chat(&daemon, ask("b")).await.status(), 200);
}

#[test]
fn talking_in_a_workspace_needs_one_of_its_keys() {
    let home = Home::with(SHARED);
    home.ctl(&["workspace", "create", "--name", "team"]).done();
    let _daemon = home.start();
    home.ctl(&["workspace", "use", "team"]).done();
    let said = home.ctl(&["chat", "hello", "--model", "b"]).failed(1);
    assert!(
        said.contains("moltctl key create --workspace team"),
        "{said}"
    );
    home.ctl(&["chat", "hello", "--model", "b", "--workspace", "default"])
        .done();
}

#[test]
fn each_file_has_a_schema() {
    let home = Home::with(SHARED);
    for (file, title) in [
        ("gateway", "config/gateway.yaml"),
        ("models", "models.yaml"),
        ("policy", "policy.yaml"),
        ("channels", "channels.toml"),
    ] {
        let schema = home.ctl(&["config", "schema", file]).json();
        assert_eq!(schema["title"], title);
    }
    home.ctl(&["config", "schema", "nonsense"]).failed(2);
}
