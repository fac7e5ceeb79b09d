//! Filters between a caller and a model, in a running daemon.

use std::time::Duration;

use moltbot_tests::{Daemon, Do, Home, Upstream};
use serde_json::json;

use crate::{chat, client};

/// A daemon with these filters in front of `m`, which answers at `url`.
fn daemon(filters: &str, url: &str) -> (Home, Daemon) {
    let model = format!(
        "models: [{{ name: m, endpoint: '{url}', fallback: spare }}, {{ name: spare, provider: builtin, model: echo }}]"
    );
    let home = Home::with(&format!("filters: {filters}\n{model}\n"));
    home.write("config/words.txt", "内幕消息\nforbidden\n");
    let daemon = home.start();
    (home, daemon)
}

fn say(text: &str) -> String {
    json!({ "model": "m", "messages": [{ "role": "user", "content": text }] }).to_string()
}

/// The body of the first request that came.
fn body(upstream: &Upstream) -> String {
    String::from_utf8(upstream.seen()[0].body.clone()).unwrap()
}

const HELLO: &str = r#"{"id":"1","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"mail li@example.com"},"finish_reason":"stop"}]}"#;

#[tokio::test]
async fn texts_are_masked_both_ways_and_counted() {
    let upstream = Upstream::says(HELLO).await;
    let (_home, mut daemon) = daemon("{ pii: { action: mask } }", &upstream.url());
    let answer = chat(
        &daemon,
        say("我的手机号是13812345678，身份证11010519491231002X"),
    )
    .await;
    let id = crate::header(&answer, "x-request-id").to_owned();
    let answer = answer.text().await.unwrap();
    assert!(answer.contains("mail [email]"), "{answer}");
    let asked = body(&upstream);
    assert!(asked.contains("我的手机号是[phone]，身份证[id]"), "{asked}");
    let line = daemon.line_of(&id).to_string();
    assert!(
        line.contains(r#""filters":"pii""#) && !line.contains("138"),
        "{line}"
    );
    let metrics = client()
        .get(daemon.admin_url("/metrics"))
        .send()
        .await
        .unwrap();
    let metrics = metrics.text().await.unwrap();
    for series in [
        r#"moltbot_filter_hits_total{filter="pii",direction="inbound",kind="phone",action="mask"} 1"#,
        r#"moltbot_filter_hits_total{filter="pii",direction="outbound",kind="email",action="mask"} 1"#,
    ] {
        assert!(metrics.contains(series), "{series}\n{metrics}");
    }
}

#[tokio::test]
async fn a_blocked_word_reaches_no_model() {
    let upstream = Upstream::says(HELLO).await;
    let (_home, daemon) = daemon(
        "{ words: { files: [words.txt], action: block } }",
        &upstream.url(),
    );
    for text in ["听说有内幕消息吗", "a FORBIDDEN word"] {
        let answer = chat(&daemon, say(text)).await;
        assert_eq!(answer.status(), 400);
        let answer = answer.text().await.unwrap();
        assert!(
            answer.contains("content_filter") && answer.contains("`words`"),
            "{answer}"
        );
    }
    assert!(upstream.asked() == 0);
    assert_eq!(chat(&daemon, say("unforbidden")).await.status(), 200);
}

#[tokio::test]
async fn a_changed_list_of_words_is_in_force_within_two_seconds() {
    let upstream = Upstream::says(HELLO).await;
    let (home, daemon) = daemon("{ words: { files: [words.txt] } }", &upstream.url());
    assert_eq!(chat(&daemon, say("a new word")).await.status(), 200);
    home.write("config/words.txt", "new word\n");
    let begun = tokio::time::Instant::now();
    while chat(&daemon, say("a new word")).await.status() != 400 {
        assert!(
            begun.elapsed() < Duration::from_secs(4),
            "the new list is not in force"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn safety_that_does_not_answer_blocks_or_lets_pass() {
    let upstream = Upstream::says(HELLO).await;
    let free = format!("http://127.0.0.1:{}/", moltbot_tests::free_port());
    for (on_error, status) in [("block", 503), ("pass", 200)] {
        let filters = format!("{{ safety: {{ endpoint: '{free}', on_error: {on_error} }} }}");
        let (_home, daemon) = daemon(&filters, &upstream.url());
        let answer = chat(&daemon, say("hello")).await;
        assert_eq!(answer.status(), status, "{on_error}");
        let answer = answer.text().await.unwrap();
        assert_eq!(
            answer.contains("filter_unavailable"),
            status == 503,
            "{answer}"
        );
    }
}

#[tokio::test]
async fn safety_is_asked_and_its_word_counts() {
    let upstream = Upstream::says(HELLO).await;
    let judge = Upstream::says(r#"{"blocked": true, "categories": ["violence"]}"#).await;
    let filters = format!("{{ pii: {{}}, safety: {{ endpoint: '{}' }} }}", judge.url());
    let (_home, daemon) = daemon(&filters, &upstream.url());
    let answer = chat(&daemon, say("hit 13812345678")).await;
    assert_eq!(answer.status(), 400);
    assert!(
        answer
            .text()
            .await
            .unwrap()
            .contains("blocked by the filter `safety`: violence")
    );
    let asked: serde_json::Value = serde_json::from_str(&body(&judge)).unwrap();
    assert_eq!(
        asked,
        json!({ "text": "hit [phone]", "direction": "inbound" })
    );
}

#[tokio::test]
async fn a_policy_chooses_the_filters_of_its_workspace() {
    let upstream = Upstream::says(HELLO).await;
    let (home, first) = daemon("{ pii: {}, secrets: { action: block } }", &upstream.url());
    first.stop();
    home.write(
        "workspaces/default/policy.yaml",
        "filters: { inbound: [pii], outbound: [] }\n",
    );
    let daemon = home.start();
    let answer = chat(&daemon, say("AKIAIOSFODNN7EXAMPLE of a@example.com")).await;
    assert_eq!(answer.status(), 200);
    assert!(answer.text().await.unwrap().contains("li@example.com"));
    assert!(body(&upstream).contains("AKIAIOSFODNN7EXAMPLE of [email]"));
}

#[tokio::test]
async fn a_streamed_answer_is_masked_across_its_frames() {
    let piece = |text: &str| {
        let chunk = json!({ "id": "1", "choices": [{ "index": 0, "delta": { "content": text } }] });
        format!("data: {chunk}\n\n")
    };
    let end = "data: {\"id\":\"1\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    let events = piece("Call 138") + &piece("1234") + &piece("5678 now") + end;
    let upstream = Upstream::does([vec![Do::stream(&events)]]).await;
    let (_home, daemon) = daemon("{ pii: {} }", &upstream.url());
    let body = json!({ "model": "m", "stream": true, "messages": [{ "role": "user", "content": "who?" }] });
    let stream = chat(&daemon, body.to_string()).await.text().await.unwrap();
    let said: String = stream
        .lines()
        .filter_map(|line| {
            serde_json::from_str::<serde_json::Value>(line.strip_prefix("data: ")?).ok()
        })
        .filter_map(|event| Some(event["choices"][0]["delta"]["content"].as_str()?.to_owned()))
        .collect();
    assert_eq!(said, "Call [phone] now");
    assert!(stream.ends_with("data: [DONE]\n\n"), "{stream}");
}
