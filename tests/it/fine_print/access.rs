//! Section 5: credentials, limits.

use moltbot_tests::{Daemon, Home};
use serde_json::Value;

use crate::{ask, client};

const ECHO: &str = "models: [{ name: echo, provider: builtin, model: echo }]\n";

fn home() -> Home {
    let home = Home::empty();
    home.write(
        "config/gateway.yaml",
        &format!("server: {{ listen: \"127.0.0.1:0\", admin: \"127.0.0.1:0\" }}\n{ECHO}"),
    );
    home.write("workspaces/team/policy.yaml", "members: []\n");
    home
}

fn key(home: &Home, workspace: &str) -> String {
    let words = [
        "key",
        "create",
        "--workspace",
        workspace,
        "--output",
        "json",
    ];
    home.ctl(&words).json()["key"].as_str().unwrap().to_owned()
}

async fn status(daemon: &Daemon, headers: &[(&str, &str)]) -> u16 {
    let mut request = client()
        .post(daemon.url("/v1/chat/completions?key=canary-of-a-query"))
        .header("content-type", "application/json")
        .body(ask("echo"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn of_several_keys_the_first_valid_one_counts_and_two_of_different_workspaces_are_400() {
    let home = home();
    let (own, team) = (key(&home, "default"), key(&home, "team"));
    let mut daemon = home.start();
    let bearer = |key: &str| format!("Bearer {key}");
    let (own_bearer, bad) = (bearer(&own), bearer("sk-placeholder"));
    for (headers, expected) in [
        (&[("authorization", &*own_bearer)][..], 200),
        (&[("x-api-key", &own)], 200),
        (&[("x-goog-api-key", &own)], 200),
        (&[("authorization", &bad), ("x-api-key", &own)], 200),
        (
            &[
                ("x-api-key", "mb_wrong-0123456789"),
                ("x-goog-api-key", &own),
            ],
            200,
        ),
        (
            &[("authorization", &own_bearer), ("x-goog-api-key", &own)],
            200,
        ),
        (&[("authorization", &own_bearer), ("x-api-key", &team)], 400),
        (&[("x-api-key", &team), ("x-goog-api-key", &own)], 400),
        (&[("authorization", &bad)], 401),
        (&[], 401),
    ] {
        assert_eq!(status(&daemon, headers).await, expected, "{headers:?}");
    }
    // Whose key counted is told by the workspace of the line.
    assert_eq!(
        status(&daemon, &[("authorization", &bad), ("x-api-key", &team)]).await,
        200
    );
    let line = daemon.wait_for(|daemon| {
        let mut lines = daemon.log().into_iter().rev();
        lines.find(|line| line["status"] == 200 && line["workspace"] == "team")
    });
    assert_eq!(line["model"], "echo");
}

#[tokio::test]
async fn a_refused_call_counts_once() {
    let home = home();
    let daemon = home.start();
    let before = refused(&daemon).await;
    let wrong = [
        ("authorization", "Bearer mb_wrong-a-0123456789"),
        ("x-api-key", "mb_wrong-b-0123456789"),
        ("x-goog-api-key", "mb_wrong-c-0123456789"),
    ];
    assert_eq!(status(&daemon, &wrong).await, 401);
    // A call is counted just after its last byte.
    for _ in 0..100 {
        if refused(&daemon).await > before {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(refused(&daemon).await, before + 1);
}

async fn refused(daemon: &Daemon) -> u64 {
    let page = client().get(daemon.admin_url("/metrics")).send().await;
    let page = page.unwrap().text().await.unwrap();
    let lines = page.lines().filter(|line| {
        line.starts_with("moltbot_requests_total") && line.contains("status=\"401\"")
    });
    // Each workspace has a series, and so has a refusal before any is known.
    let counts = lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok());
    counts.sum()
}

#[tokio::test]
async fn a_refused_key_is_a_secret_and_lines_hold_the_path_without_its_query() {
    let home = home();
    let daemon = home.start();
    let wrong = [("x-api-key", "mb_canary-of-a-refused-key")];
    assert_eq!(status(&daemon, &wrong).await, 401);
    assert!(daemon.stop().success());
    let logs = std::fs::read_dir(home.path("logs")).unwrap();
    let text: String = logs
        .map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap())
        .collect();
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(lines.iter().any(|line| line["status"] == 401));
    assert!(!text.contains("canary"), "{text}");
}
