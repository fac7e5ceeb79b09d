//! Bad input gets a clear error in the OpenAI shape, never a panic, a hang or a page.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use moltbot_tests::Home;
use serde_json::Value;

use crate::{chat, client};

fn home() -> Home {
    Home::with("models:\n  - { name: gpt-main, provider: builtin, model: echo }\n")
}

async fn error(answer: reqwest::Response) -> (u16, Value) {
    let status = answer.status().as_u16();
    let kind = answer.headers().get("content-type").cloned();
    assert_eq!(kind.unwrap(), "application/json");
    let body: Value = answer.json().await.expect("JSON");
    assert!(body["error"]["message"].is_string(), "{body}");
    (status, body["error"].clone())
}

#[tokio::test]
async fn malformed_json_is_named_with_its_position() {
    let home = home();
    let daemon = home.start();
    for (body, place) in [
        ("", "empty"),
        ("{\"model\": \"gpt-main\", }", "column"),
        ("{\"model\": \"gpt-main\"", "column"),
        ("{\n\"model\" \"gpt-main\"}", "line 2"),
        ("[1, 2]", "object"),
        ("\"text\"", "object"),
    ] {
        let (status, error) = error(chat(&daemon, body).await).await;
        assert_eq!(status, 400, "{body}: {error}");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(place), "{body}: {message}");
    }
}

#[tokio::test]
async fn odd_but_possible_json_does_no_harm() {
    let home = home();
    let daemon = home.start();
    let deep = format!(
        "{{\"model\":\"gpt-main\",\"messages\":[{{\"role\":\"user\",\"content\":\"x\"}}],\"deep\":{}{}}}",
        "[".repeat(10_000),
        "]".repeat(10_000)
    );
    let number = format!("{{\"model\":\"gpt-main\",\"n\":{}}}", "9".repeat(40));
    for body in [deep, number] {
        let status = chat(&daemon, body).await.status().as_u16();
        assert!(matches!(status, 200 | 400), "{status}");
    }
    let (status, error) =
        error(chat(&daemon, r#"{"model":"gpt-main","model":"other"}"#).await).await;
    assert_eq!(status, 400, "{error}");
    assert!(
        chat(&daemon, crate::ask("gpt-main"))
            .await
            .status()
            .is_success()
    );
}

#[tokio::test]
async fn an_unknown_model_names_the_near_ones() {
    let home = home();
    let daemon = home.start();
    let (status, error) = error(chat(&daemon, crate::ask("gpt-mian")).await).await;
    assert_eq!((status, &error["code"]), (404, &"model_not_found".into()));
    assert!(
        error["message"].as_str().unwrap().contains("gpt-main"),
        "{error}"
    );
}

#[tokio::test]
async fn wrong_paths_methods_types_and_codings_are_named() {
    let home = home();
    let daemon = home.start();
    let get = client()
        .get(daemon.url("/v1/chat/completions"))
        .send()
        .await
        .unwrap();
    assert_eq!(get.headers()["allow"], "POST");
    assert_eq!(error(get).await.0, 405);
    let path = client().get(daemon.url("/nothing")).send().await.unwrap();
    assert_eq!(error(path).await.0, 404);
    let post = |name: &str, value: &str| {
        client()
            .post(daemon.url("/v1/chat/completions"))
            .header(name, value)
            .body(crate::ask("gpt-main"))
            .send()
    };
    assert_eq!(
        error(post("content-type", "text/plain").await.unwrap())
            .await
            .0,
        415
    );
    assert_eq!(
        error(post("content-encoding", "br").await.unwrap()).await.0,
        415
    );
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused() {
    let home = Home::empty();
    home.write(
        "config/gateway.yaml",
        "server: { listen: \"127.0.0.1:0\", admin: \"127.0.0.1:0\", auth: none, limits: { body: 1KiB } }\nmodels:\n  - { name: m, provider: builtin, model: echo }\n",
    );
    let daemon = home.start();
    let (status, error) = error(chat(&daemon, vec![b' '; 2000]).await).await;
    assert_eq!(status, 413, "{error}");
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .contains("server.limits.body")
    );
}

/// Sends raw bytes and gives what comes back until the connection closes.
fn raw(address: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    stream.write_all(request.as_bytes()).expect("sent");
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn ambiguous_http_is_refused_and_the_connection_closed() {
    let home = home();
    let daemon = home.start();
    let start = "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n";
    for (head, status) in [
        (
            "content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            "400",
        ),
        ("content-length: 2\r\ncontent-length: 3\r\n\r\n{}", "400"),
        ("transfer-encoding: xchunked\r\n\r\n0\r\n\r\n", "400"),
        ("bad header\r\n\r\n", "400"),
    ] {
        let answer = raw(daemon.listen(), &format!("{start}{head}"));
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{head:?}: {answer}"
        );
    }
    let many = (0..200).fold(String::new(), |all, n| format!("{all}x-{n}: 1\r\n"));
    let answer = raw(daemon.listen(), &format!("{start}{many}\r\n"));
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
}

#[tokio::test]
async fn a_foreign_page_can_not_use_a_daemon_without_keys() {
    let home = home();
    let daemon = home.start();
    let with = |name: &'static str, value: &'static str| {
        client()
            .get(daemon.url("/v1/models"))
            .header(name, value)
            .send()
    };
    assert_eq!(with("host", "evil.example").await.unwrap().status(), 403);
    assert_eq!(
        with("origin", "https://evil.example")
            .await
            .unwrap()
            .status(),
        403
    );
}

#[test]
fn a_wrong_start_is_one_sentence_with_the_cure() {
    let home = home();
    let daemon = home.start();
    let second = home.moltbotd(&[]).failed(1);
    assert!(
        second.lines().count() == 1 && second.contains("already"),
        "{second}"
    );
    let other = Home::empty();
    other.write(
        "config/gateway.yaml",
        &format!(
            "server: {{ listen: \"{}\", admin: \"127.0.0.1:0\", auth: none }}\n",
            daemon.listen()
        ),
    );
    let taken = other.moltbotd(&[]).failed(1);
    assert!(
        taken.lines().count() == 1 && taken.contains("server.listen"),
        "{taken}"
    );
    let nothing = Home::empty().moltbotd(&["--check"]).failed(78);
    assert!(nothing.contains("moltctl init"), "{nothing}");
}

#[test]
fn all_problems_of_a_configuration_are_named_at_once() {
    let home = Home::with(
        "modell: {}\nmodels:\n  - { name: a, provider: builtin, model: echo, fallbak: b }\n  - { name: a, provider: builtin, model: echo, fallback: missing }\n  - { name: c, endpoint: \"http://x/v1\", timeouts: { idle: soon } }\nshared: { url: \"redis://x\" }\n",
    );
    let said = home.moltbotd(&["--check"]).failed(78);
    for part in [
        "gateway.yaml:2:1",
        "\"model\"",
        "fallback",
        "missing",
        "idle",
        "not supported by this version",
    ] {
        assert!(said.contains(part), "no {part} in:\n{said}");
    }
    assert_eq!(home.ctl(&["config", "validate"]).code, 78);
}
