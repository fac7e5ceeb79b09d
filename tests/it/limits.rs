//! Limits of a workspace's policy, as its callers meet them.

use std::time::Duration;

use moltbot_tests::{Daemon, Home};

use crate::{ask, client, header};

/// A workspace `team` with these limits, its daemon, and a key of it.
async fn team(limits: &str) -> (Home, Daemon, String) {
    let home = Home::empty();
    home.write(
        "config/gateway.yaml",
        "server: { listen: \"127.0.0.1:0\", admin: \"127.0.0.1:0\" }\nmodels:\n  - { name: echo, provider: builtin, model: echo, price: { input: 1000, output: 1000 } }\n",
    );
    set(&home, limits);
    let daemon = home.start();
    let key = key(&home, &daemon, "team").await;
    (home, daemon, key)
}

/// A new key of a workspace.
async fn key(home: &Home, daemon: &Daemon, workspace: &str) -> String {
    let made = client()
        .post(daemon.admin_url(&format!("/admin/v1/keys?workspace={workspace}")))
        .bearer_auth(home.read("run/admin.token"))
        .body("{}");
    let made: serde_json::Value = made.send().await.unwrap().json().await.unwrap();
    made["key"].as_str().unwrap().to_owned()
}

async fn metrics(daemon: &Daemon) -> String {
    let page = client().get(daemon.admin_url("/metrics")).send().await;
    page.unwrap().text().await.unwrap()
}

fn set(home: &Home, limits: &str) {
    home.write(
        "workspaces/team/policy.yaml",
        &format!("limits: {{ {limits} }}\n"),
    );
}

async fn call(daemon: &Daemon, key: &str) -> reqwest::Response {
    let request = client()
        .post(daemon.url("/v1/chat/completions"))
        .header("content-type", "application/json")
        .bearer_auth(key)
        .body(ask("echo"));
    request.send().await.unwrap()
}

async fn status(daemon: &Daemon, key: &str) -> u16 {
    call(daemon, key).await.status().as_u16()
}

#[tokio::test]
async fn a_caller_sees_where_it_stands_and_is_refused_with_the_exact_wait() {
    let (home, daemon, key) = team("requests: 3/h, tokens: 100000/h").await;
    for left in ["2", "1", "0"] {
        let answer = call(&daemon, &key).await;
        assert_eq!(answer.status(), 200);
        assert_eq!(header(&answer, "x-ratelimit-limit-requests"), "3");
        assert_eq!(header(&answer, "x-ratelimit-remaining-requests"), left);
        assert_eq!(header(&answer, "x-ratelimit-limit-tokens"), "100000");
        assert!(header(&answer, "x-ratelimit-reset-requests").ends_with('s'));
    }
    let refused = call(&daemon, &key).await;
    assert_eq!(refused.status(), 429);
    let wait: u64 = header(&refused, "retry-after").parse().unwrap();
    assert!((1190..=1200).contains(&wait), "{wait}");
    assert_eq!(header(&refused, "x-ratelimit-remaining-requests"), "0");
    let body: serde_json::Value = refused.json().await.unwrap();
    assert_eq!(body["error"]["code"], "rate_limit_exceeded");
    assert!(metrics(&daemon).await.contains(
        "moltbot_limited_total{workspace=\"team\",limit=\"requests\",outcome=\"refused\"} 1"
    ));
    // Another workspace is not touched.
    let other = self::key(&home, &daemon, "default").await;
    assert_eq!(status(&daemon, &other).await, 200);
}

#[tokio::test]
async fn a_thousand_at_once_on_a_budget_for_ten_let_at_most_ten_through() {
    let (_home, daemon, key) = team("requests: 10/d").await;
    let client = client();
    let calls = (0..1000).map(|_| {
        let request = client
            .post(daemon.url("/v1/chat/completions"))
            .header("content-type", "application/json")
            .bearer_auth(&key)
            .body(ask("echo"));
        async move { request.send().await.unwrap().status().as_u16() }
    });
    let statuses = futures_util::future::join_all(calls).await;
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 10);
    assert_eq!(
        statuses.iter().filter(|status| **status == 429).count(),
        990
    );
}

#[tokio::test]
async fn what_was_used_outlives_a_restart() {
    let (home, daemon, key) = team("requests: 2/d, cost: 5/d").await;
    assert_eq!(status(&daemon, &key).await, 200);
    assert_eq!(status(&daemon, &key).await, 200);
    assert_eq!(status(&daemon, &key).await, 429);
    assert!(daemon.stop().success());
    let daemon = home.start();
    assert_eq!(status(&daemon, &key).await, 429);
}

#[tokio::test]
async fn money_is_limited_at_the_price_of_the_model() {
    // A call costs a few cents: at 1000 dollars a million tokens, some ten tokens are a cent.
    let (_home, daemon, key) = team("cost: 0.05/d").await;
    let mut through = 0;
    while status(&daemon, &key).await == 200 {
        through += 1;
        assert!(through < 10);
    }
    assert!(through >= 1);
    let refused = call(&daemon, &key).await.text().await.unwrap();
    assert!(refused.contains("budget"), "{refused}");
}

#[tokio::test]
async fn a_limit_that_is_not_enforced_counts_what_it_would_refuse() {
    let (_home, daemon, key) = team("requests: 1/d, enforce: false").await;
    for _ in 0..3 {
        assert_eq!(status(&daemon, &key).await, 200);
    }
    assert!(metrics(&daemon).await.contains(
        "moltbot_limited_total{workspace=\"team\",limit=\"requests\",outcome=\"counted\"} 2"
    ));
}

#[tokio::test]
async fn a_changed_limit_is_in_force_within_two_seconds_with_what_was_used() {
    let (home, daemon, key) = team("requests: 2/d").await;
    for _ in 0..2 {
        assert_eq!(status(&daemon, &key).await, 200);
    }
    assert_eq!(status(&daemon, &key).await, 429);
    set(&home, "requests: 3/d");
    tokio::time::sleep(Duration::from_secs(2)).await;
    let answer = call(&daemon, &key).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(header(&answer, "x-ratelimit-remaining-requests"), "0");
    assert_eq!(status(&daemon, &key).await, 429);
}

#[tokio::test]
async fn each_key_may_have_a_limit_of_its_own() {
    let (home, daemon, key) = team("per_key: { requests: 1/d }").await;
    let other = self::key(&home, &daemon, "team").await;
    for key in [&key, &other] {
        assert_eq!(status(&daemon, key).await, 200);
        assert_eq!(status(&daemon, key).await, 429);
    }
}
