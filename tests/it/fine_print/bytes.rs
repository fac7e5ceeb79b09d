//! Bytes and HTTP.

use std::io::Write;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use moltbot_tests::{Daemon, Do, Home, Upstream};
use serde_json::Value;

use super::{ANSWER, Raw, field, home_with_limits, models, post, said};
use crate::{ask, chat, client, header};

const ECHO: &str = "models:\n  - { name: m, provider: builtin, model: echo }\n";

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

async fn packed(daemon: &Daemon, coding: &str, body: Vec<u8>) -> reqwest::Response {
    let request = client().post(daemon.url("/v1/chat/completions"));
    let request = request.header("content-encoding", coding).body(body);
    request.send().await.expect("an answer")
}

async fn message(answer: reqwest::Response) -> (u16, String) {
    let status = answer.status().as_u16();
    let body: Value = answer.json().await.expect("JSON");
    let message = body["error"]["message"].as_str().unwrap_or_default();
    (status, message.to_owned())
}

#[tokio::test]
async fn a_request_in_gzip_or_zstd_is_unpacked() {
    let upstream = Upstream::says(ANSWER).await;
    let home = Home::with(&models(&upstream, ""));
    let daemon = home.start();
    let text = ask("m");
    for (coding, body) in [
        ("gzip", gzip(text.as_bytes())),
        ("zstd", zstd::encode_all(text.as_bytes(), 3).unwrap()),
    ] {
        let answer = packed(&daemon, coding, body).await;
        assert_eq!(answer.status(), 200, "{coding}");
        let seen = upstream.seen().pop().unwrap();
        assert_eq!(String::from_utf8_lossy(&seen.body), text, "{coding}");
        assert_eq!(field(&seen.head, "content-encoding"), "");
        assert_eq!(field(&seen.head, "content-length"), text.len().to_string());
    }
    for coding in ["gzip", "zstd"] {
        let (status, said) = message(packed(&daemon, coding, text.clone().into()).await).await;
        assert_eq!(status, 400);
        assert!(said.contains(coding), "{said}");
    }
    assert_eq!(upstream.asked(), 2);
}

#[tokio::test]
async fn the_limit_of_a_body_counts_the_packed_and_the_unpacked_size() {
    let home = home_with_limits("body: 4KiB", ECHO);
    let daemon = home.start();
    // Much that packs into little, and little that is packed into much.
    let bomb = vec![b' '; 1 << 20];
    for (coding, bomb) in [
        ("gzip", gzip(&bomb)),
        ("zstd", zstd::encode_all(&bomb[..], 3).unwrap()),
    ] {
        assert!(bomb.len() < 4096);
        let (status, said) = message(packed(&daemon, coding, bomb).await).await;
        assert_eq!(status, 413);
        assert!(
            said.contains("unpacked") && said.contains("server.limits.body"),
            "{said}"
        );
    }
    let padded: Vec<u8> = std::iter::repeat_with(|| gzip(b""))
        .take(300)
        .flatten()
        .collect();
    let (status, said) = message(packed(&daemon, "gzip", padded).await).await;
    assert_eq!(status, 413);
    assert!(said.contains("server.limits.body"), "{said}");
}

#[tokio::test]
async fn other_codings_are_refused_by_name() {
    let home = Home::with(ECHO);
    let daemon = home.start();
    for (coding, name) in [("br", "br"), ("deflate", "deflate"), ("gzip, br", "br")] {
        let (status, said) = message(packed(&daemon, coding, b"x".to_vec()).await).await;
        assert_eq!(status, 415);
        assert!(
            said.contains(&format!("content-encoding {name} ")),
            "{said}"
        );
    }
}

#[tokio::test]
async fn an_upstream_is_offered_only_codings_that_the_gateway_can_undo() {
    let upstream = Upstream::says(ANSWER).await;
    let home = Home::with(&models(&upstream, ""));
    let daemon = home.start();
    let request = client().post(daemon.url("/v1/chat/completions"));
    let request = request.header("accept-encoding", "br, zstd").body(ask("m"));
    assert_eq!(request.send().await.unwrap().status(), 200);
    assert_eq!(
        field(&upstream.seen()[0].head, "accept-encoding"),
        "identity"
    );
}

#[tokio::test]
async fn coding_and_length_of_an_answer_tell_the_truth() {
    // Chunks of its own, then a coding that nobody asked for.
    let chunked = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n{:x}\r\n{ANSWER}\r\n0\r\n\r\n",
        ANSWER.len()
    );
    let coded = Do::answer(
        "200 OK",
        "content-encoding: gzip\r\nconnection: close\r\n",
        ANSWER,
    );
    let upstream = Upstream::does([vec![Do::send(chunked)], vec![coded]]).await;
    let home = Home::with(&models(&upstream, "fallback: spare"));
    let daemon = home.start();
    let answer = chat(&daemon, ask("m")).await;
    assert_eq!(header(&answer, "content-length"), ANSWER.len().to_string());
    assert_eq!(header(&answer, "content-encoding"), "");
    assert_eq!(answer.text().await.unwrap(), ANSWER);
    let answer = chat(&daemon, ask("m")).await;
    assert_eq!(header(&answer, "content-encoding"), "");
    assert_eq!(said(answer).await, "spare");
}

#[tokio::test]
async fn an_upstream_call_carries_its_length_and_never_chunks() {
    let upstream = Upstream::says(ANSWER).await;
    let home = Home::with(&models(&upstream, ""));
    let daemon = home.start();
    let pieces = ["{\"model\":", "\"m\"", ",\"messages\":[]}"].map(Ok::<_, std::io::Error>);
    let body = reqwest::Body::wrap_stream(futures_util::stream::iter(pieces));
    assert_eq!(chat(&daemon, body).await.status(), 200);
    let seen = &upstream.seen()[0];
    assert_eq!(field(&seen.head, "transfer-encoding"), "");
    assert_eq!(field(&seen.head, "content-length"), "27");
    assert_eq!(seen.body, b"{\"model\":\"m\",\"messages\":[]}");
}

#[tokio::test]
async fn an_expectation_is_answered_once_the_head_is_accepted_and_does_not_travel_on() {
    let upstream = Upstream::says(ANSWER).await;
    let home = Home::with(&models(&upstream, ""));
    let daemon = home.start();
    let body = ask("m");
    let mut caller = Raw::to(&daemon).await;
    let head = post(body.len());
    caller
        .send(format!("{head}expect: 100-continue\r\n\r\n"))
        .await;
    let first = caller.until("\r\n\r\n").await;
    assert_eq!(first, "HTTP/1.1 100 Continue\r\n\r\n");
    assert_eq!(upstream.asked(), 0);
    caller.send(&body).await;
    assert!(caller.until(ANSWER).await.contains("HTTP/1.1 200 OK"));
    assert_eq!(field(&upstream.seen()[0].head, "expect"), "");
}

#[tokio::test]
async fn a_refused_head_gets_a_final_status_in_place_of_100() {
    let home = Home::init();
    for (name, value) in [
        ("server.listen", "127.0.0.1:0"),
        ("server.admin", "127.0.0.1:0"),
        ("server.limits.body", "1KiB"),
    ] {
        home.ctl(&["config", "set", name, value]).done();
    }
    let key = home.read("config/key").trim().to_owned();
    let daemon = home.start();
    let key = format!("authorization: Bearer {key}\r\n");
    let chat = "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n";
    for (head, status) in [
        (format!("{chat}content-length: 10\r\n"), "401"),
        (format!("{chat}{key}content-length: 2000\r\n"), "413"),
        (
            format!("{chat}{key}content-length: 10\r\ncontent-encoding: br\r\n"),
            "415",
        ),
        (
            format!("{chat}{key}content-length: 10\r\ncontent-type: text/plain\r\n"),
            "415",
        ),
        (
            format!("POST /nothing HTTP/1.1\r\nhost: localhost\r\n{key}content-length: 10\r\n"),
            "404",
        ),
        (
            format!("POST /v1/models HTTP/1.1\r\nhost: localhost\r\n{key}content-length: 10\r\n"),
            "405",
        ),
    ] {
        let mut caller = Raw::to(&daemon).await;
        caller
            .send(format!("{head}expect: 100-continue\r\n\r\n"))
            .await;
        let answer = caller.until("\"error\"").await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{head}: {answer}"
        );
    }
}

#[tokio::test]
async fn query_parameters_are_accepted_and_forwarded_within_the_dialect() {
    let upstream = Upstream::says(ANSWER).await;
    let home = Home::with(&models(&upstream, ""));
    let daemon = home.start();
    let query = "?api-version=2024-10-21&x=a%2Fb+c";
    let url = daemon.url(&format!("/v1/chat/completions{query}"));
    let answer = client().post(url).body(ask("m")).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let line = upstream.seen()[0].head.lines().next().unwrap().to_owned();
    assert_eq!(line, format!("POST /v1/chat/completions{query} HTTP/1.1"));
    let list = client().get(daemon.url("/v1/models?limit=1")).send().await;
    assert_eq!(list.unwrap().status(), 200);
}

#[tokio::test]
async fn head_answers_as_get_without_a_body() {
    let home = Home::with(ECHO);
    let daemon = home.start();
    for path in [
        "/v1/models",
        "/v1/models/m",
        "/v1/models/none",
        "/",
        "/v1/chat/completions",
    ] {
        let get = client().get(daemon.url(path)).send().await.unwrap();
        let head = client().head(daemon.url(path)).send().await.unwrap();
        assert_eq!(head.status(), get.status(), "{path}");
        for name in [
            "content-type",
            "allow",
            "x-moltbot-attempts",
            "x-moltbot-cache",
        ] {
            assert_eq!(header(&head, name), header(&get, name), "{path} {name}");
        }
        let length: usize = header(&head, "content-length").parse().unwrap();
        assert!(head.bytes().await.unwrap().is_empty(), "{path}");
        // The message of a wrong method names the method.
        let named = usize::from(get.status() == 405);
        assert_eq!(length, get.bytes().await.unwrap().len() + named, "{path}");
    }
}

#[tokio::test]
async fn the_root_is_404() {
    let home = Home::with(ECHO);
    let daemon = home.start();
    for path in ["/", "/?x=1"] {
        let answer = client().get(daemon.url(path)).send().await.unwrap();
        assert_eq!(answer.status(), 404);
    }
}

#[tokio::test]
async fn a_name_in_a_path_is_its_rest_decoded_once_and_dots_are_no_steps() {
    let home = Home::with(
        "models:\n  - { name: org/m, provider: builtin, model: echo }\n  - { name: a%2Fb, provider: builtin, model: echo }\n  - { name: x/../y, provider: builtin, model: echo }\n",
    );
    let daemon = home.start();
    for (path, name) in [
        ("org/m", "org/m"),
        ("org%2Fm", "org/m"),
        ("a%252Fb", "a%2Fb"),
        ("x/../y", "x/../y"),
        ("x/%2e%2e/y", "x/../y"),
    ] {
        // A client of HTTP would take the steps itself.
        let mut caller = Raw::to(&daemon).await;
        caller
            .send(format!(
                "GET /v1/models/{path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
            ))
            .await;
        let answer = caller.rest().await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
        assert!(
            answer.contains(&format!("\"id\":\"{name}\"")),
            "{path}: {answer}"
        );
    }
    let mut caller = Raw::to(&daemon).await;
    caller
        .send("GET /v1/models/a%2Fb HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        .await;
    assert!(caller.rest().await.starts_with("HTTP/1.1 404"));
}

#[tokio::test]
async fn slashes_at_the_end_of_a_base_url_are_ignored() {
    let upstream = Upstream::says(ANSWER).await;
    let home = Home::with(&format!(
        "models:\n  - {{ name: a, endpoint: \"{url}/\" }}\n  - {{ name: b, endpoint: \"{url}///\" }}\n  - {{ name: c, endpoint: \"http://{}/\" }}\n",
        upstream.address(),
        url = upstream.url(),
    ));
    let daemon = home.start();
    for name in ["a", "b", "c"] {
        assert_eq!(chat(&daemon, ask(name)).await.status(), 200);
        let head = upstream.seen().pop().unwrap().head;
        assert!(
            head.starts_with("POST /v1/chat/completions HTTP/1.1\r\n"),
            "{head}"
        );
    }
}

#[tokio::test]
async fn request_headers_travel_on_by_a_list() {
    let upstream = Upstream::says(ANSWER).await;
    let home = Home::with(&models(
        &upstream,
        "auth: { type: api_key, key: sk-upstream }",
    ));
    let daemon = home.start();
    let listed = ["openai-beta", "openai-organization", "openai-project"];
    let others = [
        "anthropic-version",
        "anthropic-beta",
        "x-api-key",
        "x-goog-api-key",
        "cookie",
        "x-forwarded-for",
        "x-anything",
        "traceparent",
        "x-request-id",
        "user-agent",
    ];
    let mut request = client().post(daemon.url("/v1/chat/completions"));
    for name in listed.iter().chain(&others) {
        request = request.header(*name, format!("mine-{name}"));
    }
    request = request.header("authorization", "Bearer sk-callers");
    assert_eq!(request.body(ask("m")).send().await.unwrap().status(), 200);
    let head = upstream.seen()[0].head.clone();
    for name in listed {
        assert_eq!(field(&head, name), format!("mine-{name}"));
    }
    for name in others {
        assert!(!head.contains(&format!("mine-{name}")), "{head}");
    }
    assert_eq!(field(&head, "authorization"), "Bearer sk-upstream");
    assert!(!head.contains("sk-callers"), "{head}");
}

#[tokio::test]
async fn an_errors_status_decides_and_its_body_is_used_as_far_as_it_came() {
    let cut = |status: &str, body: &str| {
        vec![Do::send(format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: 9000\r\n\r\n{body}"
        ))]
    };
    let upstream = Upstream::does([
        cut(
            "400 Bad Request",
            r#"{"error":{"code":"bad_top_p","message":"top_p is"#,
        ),
        cut("422 Unprocessable Entity", ""),
        cut("400 Bad Request", "<html>"),
        // What the body says of a rate does not count beside a status that says otherwise.
        cut(
            "400 Bad Request",
            r#"{"error":{"message":"x","type":"rate_limit_error","code":429}}"#,
        ),
    ])
    .await;
    let home = Home::with(&models(&upstream, "fallback: spare"));
    let daemon = home.start();
    for (status, code, text) in [
        (400, "bad_top_p", "top_p is"),
        (422, "invalid_request", "422"),
        (400, "invalid_request", "400"),
        (400, "invalid_request", "x"),
    ] {
        let answer = chat(&daemon, ask("m")).await;
        assert_eq!(answer.status(), status);
        let body: Value = answer.json().await.unwrap();
        assert_eq!(body["error"]["code"], code, "{body}");
        let message = body["error"]["message"].as_str().unwrap();
        assert!(message.contains(text), "{body}");
    }
    assert_eq!(upstream.asked(), 4);
}

#[tokio::test]
async fn a_key_given_twice_where_it_is_read_is_400() {
    let upstream = Upstream::says(ANSWER).await;
    let home = Home::with(&models(&upstream, ""));
    let daemon = home.start();
    let long = "x".repeat(20_000);
    for twice in [
        r#"{"model":"m","messages":[],"model":"spare"}"#.to_owned(),
        r#"{"model":"m","stream":true,"messages":[],"stream":false}"#.to_owned(),
        // The same key, written otherwise; and far apart in a large body.
        r#"{"model":"m","mod\u0065l":"m"}"#.to_owned(),
        format!(r#"{{"model":"m","messages":["{long}"],"model":"m"}}"#),
    ] {
        let (status, said) = message(chat(&daemon, twice.clone()).await).await;
        assert_eq!(status, 400, "{twice}");
        assert!(said.contains("twice"), "{said}");
    }
    // Where nobody reads it, it is the upstream's matter.
    let unread = r#"{"model":"m","seed":1,"seed":2,"messages":[{"model":"a","model":"b"}]}"#;
    assert_eq!(chat(&daemon, unread).await.status(), 200);
}

#[tokio::test]
async fn lone_surrogates_pass_untouched_within_a_dialect() {
    let answer = ANSWER.replace("Hi", r"a\ud83d b\udc00");
    let upstream = Upstream::says(&answer).await;
    let home = Home::with(&models(&upstream, "model: up"));
    let daemon = home.start();
    let body =
        r#"{"model":"m","messages":[{"role":"user","content":"x\ud800y \uDFFF"}],"z":"\ud83d"}"#;
    let got = chat(&daemon, body).await;
    assert_eq!(got.status(), 200);
    assert_eq!(got.text().await.unwrap(), answer);
    let sent = String::from_utf8(upstream.seen()[0].body.clone()).unwrap();
    assert_eq!(sent, body.replace("\"m\"", "\"up\""));
}

#[tokio::test]
async fn lone_surrogates_are_400_where_they_must_be_decoded() {
    let upstream = Upstream::says(ANSWER).await;
    let echo = "  - { name: echo, provider: builtin, model: echo }\n";
    let home = Home::with(&(models(&upstream, "") + echo));
    let daemon = home.start();
    let (status, said) = message(chat(&daemon, r#"{"model":"m\ud800"}"#).await).await;
    assert_eq!(status, 400);
    assert!(said.contains("`model`"), "{said}");
    let echo = r#"{"model":"echo","messages":[{"role":"user","content":"\ud800"}]}"#;
    assert_eq!(message(chat(&daemon, echo).await).await.0, 400);
    // A user that can't be read is none; the call goes on.
    let user = r#"{"model":"m","user":"\udc00","messages":[]}"#;
    assert_eq!(chat(&daemon, user).await.status(), 200);
}

#[tokio::test]
async fn blanks_before_a_whole_answer_end_answer_and_restart_idle() {
    let blank = || [Do::send("\n"), Do::Wait(Duration::from_millis(500))];
    let length = ANSWER.len() + 7;
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
    );
    let mut script = vec![Do::send(head)];
    script.extend((0..7).flat_map(|_| blank()));
    script.push(Do::send(ANSWER));
    let upstream = Upstream::does([script]).await;
    // In all it takes longer than either: each blank restarts the clock.
    let times = "timeouts: { answer: 3s, idle: 3s }, fallback: spare";
    let home = Home::with(&models(&upstream, times));
    let daemon = home.start();
    let answer = chat(&daemon, ask("m")).await;
    assert_eq!(header(&answer, "x-moltbot-attempts"), "1");
    assert_eq!(
        answer.text().await.unwrap(),
        format!("\n\n\n\n\n\n\n{ANSWER}")
    );
}

#[tokio::test]
async fn nothing_but_blanks_is_a_failed_attempt() {
    let end = |body: &str| {
        vec![Do::send(format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n{body}"
        ))]
    };
    let silent = vec![
        Do::send("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n  \n"),
        Do::Hang,
    ];
    for script in [end(" \n\t "), end(""), silent] {
        let upstream = Upstream::does([script]).await;
        let home = Home::with(&models(
            &upstream,
            "timeouts: { idle: 300ms }, fallback: spare",
        ));
        let daemon = home.start();
        assert_eq!(said(chat(&daemon, ask("m")).await).await, "spare");
        assert!(upstream.asked() >= 1);
    }
}
