//! Section 10 of the fine print: the cache, in a running daemon. What needs no daemon is tested with the cache itself.

use moltbot_tests::{Daemon, Do, Home, Upstream};
use serde_json::json;

use crate::{client, header};

const ANSWER: &str = r#"{"id":"1","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"hello"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7}}"#;

fn home(cache: &str, url: &str) -> Home {
    let home = Home::with(&config(cache, url, "gpt"));
    home.write("workspaces/team/policy.yaml", "models: ['*']\n");
    home
}

fn config(cache: &str, url: &str, model: &str) -> String {
    format!("cache: {cache}\nmodels: [{{ name: m, model: {model}, endpoint: '{url}' }}]\n")
}

fn question(more: &str) -> String {
    format!(r#"{{"model":"m","messages":[{{"role":"user","content":"hi"}}]{more}}}"#)
}

/// Asks with a `Cache-Control`; gives the answer and what its header says of the cache.
async fn ask(daemon: &Daemon, body: &str, control: &str) -> (reqwest::Response, String) {
    let request = client().post(daemon.url("/v1/chat/completions"));
    let request = request
        .header("cache-control", control)
        .body(body.to_owned());
    let answer = request.send().await.unwrap();
    let result = header(&answer, "x-moltbot-cache").to_owned();
    (answer, result)
}

async fn result(daemon: &Daemon, body: &str) -> String {
    let (answer, result) = ask(daemon, body, "").await;
    answer.bytes().await.unwrap();
    result
}

#[tokio::test]
async fn it_is_off_unless_it_is_enabled() {
    let upstream = Upstream::says(ANSWER).await;
    let daemon = home("{ ttl: 1h }", &upstream.url()).start();
    for _ in 0..2 {
        assert_eq!(result(&daemon, &question("")).await, "bypass");
    }
    assert_eq!(upstream.asked(), 2);
}

#[tokio::test]
async fn a_hit_makes_no_attempt_costs_nothing_and_tells_the_stored_usage() {
    let upstream = Upstream::says(ANSWER).await;
    let home = home("{ enabled: true }", &upstream.url());
    let mut daemon = home.start();
    assert_eq!(result(&daemon, &question("")).await, "miss");
    let (answer, cached) = ask(&daemon, &question(r#", "user": "x""#), "").await;
    assert_eq!(cached, "hit");
    assert_eq!(header(&answer, "x-moltbot-attempts"), "0");
    assert_eq!(header(&answer, "x-moltbot-model"), "m");
    let id = header(&answer, "x-request-id").to_owned();
    assert_eq!(answer.text().await.unwrap(), ANSWER);
    let line = daemon.line_of(&id);
    assert_eq!(
        (&line["cache"], &line["tokens_in"], &line["tokens_out"]),
        (&json!("hit"), &json!(3), &json!(4))
    );
    assert_eq!(upstream.asked(), 1);
    let metrics = client()
        .get(daemon.admin_url("/metrics"))
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    for (result, count) in [("hit", 1), ("miss", 1), ("semantic", 0), ("bypass", 0)] {
        let series = format!("moltbot_cache_requests_total{{result=\"{result}\"}} {count}");
        assert!(metrics.contains(&series), "{series}\n{metrics}");
    }
    let stats = home.ctl(&["cache", "stats", "--output", "json"]).json();
    assert_eq!(
        (
            &stats["entries"],
            &stats["hits"],
            &stats["misses"],
            &stats["ratio"]
        ),
        (&json!(1), &json!(1), &json!(1), &json!(0.5))
    );
    assert!(stats["bytes"].as_u64().unwrap() > 200);
}

#[tokio::test]
async fn cache_control_is_obeyed() {
    let upstream = Upstream::says(ANSWER).await;
    let daemon = home("{ enabled: true }", &upstream.url()).start();
    for (control, expected) in [
        ("no-store", "bypass"),
        ("no-cache", "miss"),
        ("", "hit"),
        ("max-age=3600", "hit"),
        ("max-age=0", "miss"),
    ] {
        let (answer, cached) = ask(&daemon, &question(""), control).await;
        answer.bytes().await.unwrap();
        assert_eq!(cached, expected, "{control}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_changed_provider_s_name_invalidates_and_an_endpoint_does_not() {
    let upstream = Upstream::says(ANSWER).await;
    let other = Upstream::says(ANSWER).await;
    let home = home("{ enabled: true }", &upstream.url());
    let daemon = home.start();
    assert_eq!(result(&daemon, &question("")).await, "miss");
    home.configure(&config("{ enabled: true }", &other.url(), "gpt"));
    home.ctl(&["config", "reload"]).done();
    assert_eq!(result(&daemon, &question("")).await, "hit");
    home.configure(&config("{ enabled: true }", &other.url(), "gpt-2"));
    home.ctl(&["config", "reload"]).done();
    assert_eq!(result(&daemon, &question("")).await, "miss");
}

#[tokio::test]
async fn clear_with_a_workspace_clears_that_workspace() {
    let upstream = Upstream::says(ANSWER).await;
    let home = home("{ enabled: true }", &upstream.url());
    let daemon = home.start();
    assert_eq!(result(&daemon, &question("")).await, "miss");
    home.ctl(&["cache", "clear", "--workspace", "team"]).done();
    assert_eq!(result(&daemon, &question("")).await, "hit");
    home.ctl(&["cache", "clear", "--workspace", "default"])
        .done();
    assert_eq!(result(&daemon, &question("")).await, "miss");
    home.ctl(&["cache", "clear"]).done();
    assert_eq!(result(&daemon, &question("")).await, "miss");
}

#[tokio::test]
async fn a_stream_is_replayed_as_a_stream_and_serves_a_whole_call() {
    let events = "data: {\"id\":\"1\",\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"hel\"}}]}\n\ndata: {\"id\":\"1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"lo\"}}]}\n\ndata: {\"id\":\"1\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    let upstream = Upstream::does([vec![Do::stream(events)]]).await;
    let daemon = home("{ enabled: true }", &upstream.url()).start();
    let stream = question(r#", "stream": true"#);
    assert_eq!(result(&daemon, &stream).await, "miss");
    let (answer, cached) = ask(&daemon, &stream, "").await;
    assert_eq!(
        (cached.as_str(), header(&answer, "content-type")),
        ("hit", "text/event-stream")
    );
    let text = answer.text().await.unwrap();
    assert!(
        text.contains("\"content\":\"hello\"") && text.ends_with("data: [DONE]\n\n"),
        "{text}"
    );
    let (answer, cached) = ask(&daemon, &question(""), "").await;
    let whole: serde_json::Value = answer.json().await.unwrap();
    assert_eq!(cached, "hit");
    assert_eq!(whole["choices"][0]["message"]["content"], "hello");
    assert_eq!(upstream.asked(), 1);
}

#[tokio::test]
async fn equal_calls_at_once_share_one_flight() {
    let answer = Do::answer("200 OK", "content-type: application/json\r\n", ANSWER);
    let upstream = Upstream::does([vec![Do::Pause, answer]]).await;
    let daemon = home("{ enabled: true }", &upstream.url()).start();
    let body = question("");
    let asked = (0..20).map(|_| result(&daemon, &body));
    let all = async {
        upstream.until_asked(1).await;
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        upstream.go_on();
    };
    let (results, ()) = tokio::join!(futures_util::future::join_all(asked), all);
    let hits = results.iter().filter(|result| *result == "hit").count();
    assert_eq!((hits, upstream.asked()), (19, 1), "{results:?}");
}
