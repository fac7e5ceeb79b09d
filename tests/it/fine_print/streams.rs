//! Streams.

use std::time::Duration;

use moltbot_tests::{Daemon, Do, Home, Upstream};

use super::{Raw, home_with_limits, models, post};
use crate::chat;

const STREAM: &str =
    r#"{"model":"m","stream":true,"messages":[{"role":"user","content":"Hello there"}]}"#;

/// An event with this choice.
fn choice(index: u8, delta: &str, finish: &str) -> String {
    format!(
        "data: {{\"choices\":[{{\"index\":{index},\"delta\":{delta},\"finish_reason\":{finish}}}]}}\n\n"
    )
}

fn text(text: &str) -> String {
    choice(0, &format!("{{\"content\":\"{text}\"}}"), "null")
}

fn end(finish: &str) -> String {
    choice(0, "{}", finish)
}

const DONE: &str = "data: [DONE]\n\n";

/// What a caller gets where `m` streams this; a model `spare` stands in before content.
async fn caller_gets(stream: &str) -> String {
    let upstream = Upstream::streams(stream).await;
    let home = Home::with(&models(&upstream, "fallback: spare"));
    let daemon = home.start();
    let answer = chat(&daemon, STREAM).await;
    assert_eq!(answer.status(), 200);
    answer.text().await.unwrap()
}

#[track_caller]
fn assert_cut(got: &str, before: &str) {
    let after = got.strip_prefix(before).unwrap_or_else(|| panic!("{got}"));
    assert!(after.starts_with("data: {\"error\":"), "{got}");
    assert!(after.ends_with("}\n\n") && !got.contains("[DONE]"), "{got}");
}

#[tokio::test]
async fn an_end_is_a_finish_reason_of_every_choice() {
    let one = text("a") + &choice(1, "{\"content\":\"b\"}", "null") + &end("\"stop\"");
    assert_cut(&caller_gets(&one).await, &one);
    let both = one + &choice(1, "{}", "\"length\"");
    assert_eq!(caller_gets(&both).await, both + DONE);
}

#[tokio::test]
async fn an_end_is_done_after_content() {
    let done = text("a") + DONE;
    assert_eq!(caller_gets(&done).await, done);
}

#[tokio::test]
async fn done_without_content_is_no_end() {
    let role = choice(0, "{\"role\":\"assistant\",\"content\":\"\"}", "null");
    let got = caller_gets(&(role + DONE)).await;
    assert!(got.contains("spare") && got.ends_with(DONE), "{got}");
}

#[tokio::test]
async fn an_empty_or_null_finish_reason_is_no_end() {
    for finish in ["\"\"", "null"] {
        let stream = text("a") + &end(finish);
        assert_cut(&caller_gets(&stream).await, &stream);
    }
}

#[tokio::test]
async fn a_finish_reason_of_error_is_a_failure() {
    let got = caller_gets(&(end("\"error\"") + DONE)).await;
    assert!(got.contains("spare") && got.ends_with(DONE), "{got}");
    let got = caller_gets(&(text("a") + &end("\"error\"") + DONE)).await;
    assert_cut(&got, &text("a"));
}

#[tokio::test]
async fn an_error_beside_empty_choices_is_a_failure() {
    let error = "data: {\"choices\":[],\"error\":{\"code\":502,\"message\":\"gone\"}}\n\n";
    let got = caller_gets(&format!("{error}{DONE}")).await;
    assert!(got.contains("spare") && got.ends_with(DONE), "{got}");
    let got = caller_gets(&format!("{}{error}{DONE}", text("a"))).await;
    assert_cut(&got, &text("a"));
}

#[tokio::test]
async fn an_end_without_its_marker_gets_one_as_the_last_event() {
    let usage =
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":1}}\n\n";
    let ended = text("a") + &end("\"stop\"") + usage;
    assert_eq!(caller_gets(&ended).await, format!("{ended}{DONE}"));
    // One, whatever the upstream sends.
    let twice = format!("{ended}{DONE}{DONE}");
    assert_eq!(caller_gets(&twice).await, format!("{ended}{DONE}"));
}

#[tokio::test]
async fn an_end_counts_although_the_connection_stays_open() {
    let stream = text("a") + &end("\"stop\"");
    let upstream = Upstream::does([vec![Do::stream(&stream), Do::Hang]]).await;
    let home = Home::with(&models(&upstream, ""));
    let daemon = home.start();
    let got = chat(&daemon, STREAM).await.text().await.unwrap();
    assert_eq!(got, stream + DONE);
}

/// A caller whose connection would be kept.
async fn raw_stream(daemon: &Daemon) -> Raw {
    let mut caller = Raw::to(daemon).await;
    caller
        .send(format!("{}\r\n{STREAM}", post(STREAM.len())))
        .await;
    caller
}

#[tokio::test]
async fn signs_of_life_come_only_after_content_and_between_events() {
    let role = choice(0, "{\"role\":\"assistant\"}", "null");
    let upstream = Upstream::does([vec![
        Do::stream(&format!(": alive\n\n{role}: alive\n\n")),
        Do::Pause,
        Do::send(text("a")),
        Do::send(": alive\n\n"),
        Do::send(end("\"stop\"") + DONE),
    ]])
    .await;
    let home = Home::with(&models(&upstream, ""));
    let daemon = home.start();
    let mut caller = raw_stream(&daemon).await;
    upstream.until_asked(1).await;
    // Not even the status before content.
    let early = tokio::time::timeout(Duration::from_millis(300), caller.until("HTTP")).await;
    assert!(early.is_err(), "{early:?}");
    upstream.go_on();
    let got = caller.until("[DONE]").await;
    let content = got.find("\"content\":\"a\"").unwrap();
    assert!(got[content..].contains(": alive\n\n"), "{got}");
}

#[tokio::test]
async fn after_an_error_event_the_connection_closes() {
    let upstream = Upstream::does([
        vec![Do::stream(&text("a"))],
        vec![Do::stream(&(text("a") + DONE))],
    ])
    .await;
    let home = Home::with(&models(&upstream, ""));
    let daemon = home.start();
    let mut caller = raw_stream(&daemon).await;
    let got = caller.rest().await;
    assert!(got.contains("\"code\":\"stream_cut\""), "{got}");
    assert!(got.ends_with("}\n\n\r\n0\r\n\r\n"), "{got}");
    assert!(
        !got.contains("[DONE]") && !got.contains("\"stop\""),
        "{got}"
    );
    // A proper end keeps it.
    let mut caller = raw_stream(&daemon).await;
    caller.until("[DONE]\n\n\r\n0\r\n\r\n").await;
    caller
        .send("GET /v1/models HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        .await;
    assert!(caller.rest().await.contains("\"object\":\"list\""));
}

#[tokio::test]
async fn an_event_over_the_limit_of_the_configuration_cuts() {
    let long = text(&"x".repeat(3000));
    let upstream = Upstream::does([vec![
        Do::stream(&text("a")),
        Do::Pause,
        Do::send(long + &end("\"stop\"") + DONE),
    ]])
    .await;
    let home = home_with_limits("event: 2KiB", &models(&upstream, ""));
    let daemon = home.start();
    let mut caller = raw_stream(&daemon).await;
    caller.until("\"content\":\"a\"").await;
    upstream.go_on();
    let got = caller.rest().await;
    assert!(got.contains("more than 2048 bytes"), "{got}");
    assert!(!got.contains("xxx") && !got.contains("[DONE]"), "{got}");
}
