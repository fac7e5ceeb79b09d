//! Comparing models on real calls, from the order to the promotion.

use moltbot_tests::{Daemon, Home};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::{ask, chat, client, header};

const MODELS: &str = "models:
  - { name: a, provider: builtin, model: echo, price: { input: 1, output: 2 } }
  - { name: b, provider: builtin, model: echo }
  - { name: bad, endpoint: \"http://127.0.0.1:9/v1\" }
";

fn create(home: &Home, name: &str, more: &[&str]) -> moltbot_tests::Ran {
    let mut arguments = vec!["test", "create", "--name", name, "--models", r#"["a","b"]"#];
    arguments.extend(more);
    home.ctl(&arguments)
}

fn report(home: &Home, name: &str) -> Value {
    home.ctl(&["test", "report", name, "--output", "json"])
        .json()
}

/// A call of a user.
async fn call(daemon: &Daemon, model: &str, user: &str) -> reqwest::Response {
    let body = ask(model).replacen('{', &format!("{{\"user\":\"{user}\","), 1);
    chat(daemon, body).await
}

async fn judge(daemon: &Daemon, body: Value) -> u16 {
    let answer = client()
        .post(daemon.url("/v1/feedback"))
        .body(body.to_string())
        .send()
        .await;
    answer.unwrap().status().as_u16()
}

#[tokio::test(flavor = "multi_thread")]
async fn fine_print_9_a_comparison_lives_from_its_order_to_its_promotion() {
    let home = Home::with(MODELS);
    let daemon = home.start();
    create(&home, "model-comparison", &["--sample-size", "20"]).done();
    let mut arms = std::collections::HashMap::new();
    for round in 0..2 {
        for user in 0..20 {
            let user = format!("u{user}");
            let answer = call(&daemon, "experiment:model-comparison", &user).await;
            assert_eq!(answer.status(), 200);
            assert_eq!(header(&answer, "x-moltbot-experiment"), "model-comparison");
            let arm = header(&answer, "x-moltbot-model").to_owned();
            let kept = arms.entry(user).or_insert_with(|| arm.clone());
            assert_eq!(*kept, arm, "round {round}");
        }
    }
    // the sample is used up: the baseline answers new units, which take no part
    let late = call(&daemon, "experiment:model-comparison", "late").await;
    assert_eq!(header(&late, "x-moltbot-experiment"), "");
    assert_eq!(header(&late, "x-moltbot-model"), "a");
    let told = report(&home, "model-comparison");
    assert_eq!(
        (&told["state"], &told["units"]),
        (&json!("complete"), &json!(20))
    );
    let calls = |arm: usize| told["arms"][arm]["calls"].as_u64().unwrap();
    assert_eq!(calls(0) + calls(1), 40, "{told}");
    assert!(
        told["arms"][0]["cost_usd"].as_f64().unwrap() > 0.0,
        "{told}"
    );
    assert_eq!(told["arms"][1]["cost_usd"], 0.0);
    let listed = home.ctl(&["test", "list", "--output", "json"]).json();
    assert_eq!(listed[0]["arms"], json!(["a", "b"]));
    // without a winner nothing is promoted, and nothing has changed
    home.ctl(&["test", "promote", "model-comparison"]).failed(1);
    assert_eq!(report(&home, "model-comparison")["state"], "complete");
    home.ctl(&["test", "promote", "model-comparison", "--to", "b"])
        .done();
    let promoted = call(&daemon, "experiment:model-comparison", "u1").await;
    assert_eq!(header(&promoted, "x-moltbot-model"), "b");
    daemon.stop();
    assert_eq!(report(&home, "model-comparison")["state"], "promoted");
    let page = home.path("report.html");
    let text = home
        .ctl(&[
            "test",
            "report",
            "model-comparison",
            "--html",
            page.to_str().unwrap(),
        ])
        .done();
    assert!(text.contains("model-comparison"), "{text}");
    assert!(home.read("report.html").starts_with("<!DOCTYPE html>"));
    // an unwritable path loses no report
    let lost = home.ctl(&[
        "test",
        "report",
        "model-comparison",
        "--html",
        "/no/such/folder/x.html",
    ]);
    assert!(
        lost.out.contains("model-comparison") && lost.code == 1,
        "{lost:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn fine_print_9_a_killed_daemon_loses_nothing_that_was_answered() {
    let home = Home::with(MODELS);
    create(&home, "t", &[]).done();
    let mut daemon = home.start();
    for user in 0..30 {
        let answer = call(&daemon, "experiment:t", &format!("u{user}")).await;
        answer.bytes().await.unwrap();
    }
    let before = report(&home, "t");
    daemon.signal(Signal::KILL);
    daemon.ended();
    let after = report(&home, "t");
    assert_eq!(after["units"], 30);
    assert_eq!(after["arms"], before["arms"]);
    let daemon = home.start();
    let again = call(&daemon, "experiment:t", "u7").await;
    assert_eq!(header(&again, "x-moltbot-experiment"), "t");
    assert_eq!(report(&home, "t")["units"], 30);
}

#[tokio::test(flavor = "multi_thread")]
async fn fine_print_9_feedback_is_of_known_calls_and_between_0_and_1() {
    let home = Home::with(MODELS);
    let daemon = home.start();
    create(&home, "t", &["--metric", "feedback"]).done();
    let inside = call(&daemon, "experiment:t", "u1").await;
    let inside = header(&inside, "x-request-id").to_owned();
    let outside = call(&daemon, "a", "u1").await;
    let outside = header(&outside, "x-request-id").to_owned();
    for (body, status) in [
        (json!({"request_id": inside, "value": 0.2}), 202),
        (
            json!({"request_id": inside, "metric": "feedback", "value": 1, "comment": "good"}),
            202,
        ),
        (json!({"request_id": outside, "value": 0.5}), 202),
        (
            json!({"request_id": "req_00000000000000000000000000000000", "value": 0.5}),
            404,
        ),
        (json!({"request_id": "x", "value": 0.5}), 404),
        (json!({"request_id": inside, "value": 1.5}), 400),
        (json!({"request_id": inside, "value": "1"}), 400),
        (json!({"request_id": inside, "value": null}), 400),
        (json!({"request_id": inside}), 400),
        (json!([]), 400),
    ] {
        assert_eq!(judge(&daemon, body.clone()).await, status, "{body}");
    }
    let told = report(&home, "t");
    let scores: Vec<_> = told["arms"]
        .as_array()
        .unwrap()
        .iter()
        .map(|arm| &arm["metrics"]["feedback"])
        .filter(|score| !score.is_null())
        .collect();
    assert_eq!(scores, [&json!({"mean": 1.0, "count": 1})], "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn fine_print_9_a_wrong_order_is_refused_with_its_exit_code() {
    let home = Home::with(MODELS);
    create(&home, "a/b", &[]).failed(2);
    create(&home, "t", &["--unit", "day"]).failed(2);
    create(&home, "t", &["--guard", "success"]).failed(2);
    home.ctl(&["test", "create", "--name", "t", "--models", "a,b"])
        .failed(2);
    home.ctl(&[
        "test",
        "create",
        "--name",
        "t",
        "--models",
        r#"["a","nobody"]"#,
    ])
    .failed(4);
    home.ctl(&["test", "report", "t"]).failed(4);
    create(&home, "t", &["--model", "a"]).done();
    create(&home, "t", &[]).failed(1);
    create(&home, "u", &["--model", "a"]).failed(1);
    home.ctl(&["test", "promote", "t", "--to", "bad"]).failed(1);
    let daemon = home.start();
    let joined = call(&daemon, "a", "u1").await;
    assert_eq!(header(&joined, "x-moltbot-experiment"), "t");
    let unknown = call(&daemon, "experiment:nobody", "u1").await;
    assert_eq!(unknown.status(), 404);
    home.ctl(&["test", "stop", "t"]).done();
    let plain = call(&daemon, "a", "u1").await;
    assert_eq!(
        (
            header(&plain, "x-moltbot-model"),
            header(&plain, "x-moltbot-experiment")
        ),
        ("a", "")
    );
}
