//! What leaves: the path, the headers of the list, the caller's body but for the edits.

use http::HeaderValue;
use moltbot_types::{Kind, Next, Operation};

use crate::support::{Act, HELLO, Key, Upstream, call, call_of, call_with, json, spec, target};

async fn seen(url: impl Fn(&Upstream) -> String, call: moltbot_types::Call) -> String {
    let upstream = Upstream::start([Act::Say(json(200, "", HELLO))]).await;
    let mut spec = spec(url(&upstream));
    spec.defaults = vec![("max_tokens".into(), "2048".into())];
    // only what was sent is of interest
    let _ = target(spec).call(call).await;
    upstream.requests().pop().unwrap()
}

#[tokio::test]
async fn only_the_listed_headers_leave() {
    let mut call = call();
    let chosen = HeaderValue::from_static("org-1");
    call.headers.insert("openai-organization", chosen);
    let id = call.id.to_string();
    let request = seen(Upstream::url, call).await;
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let mut lines = head.lines();
    assert_eq!(lines.next(), Some("post /v1/chat/completions http/1.1"));
    let mut names: Vec<_> = lines.map(|line| line.split(':').next().unwrap()).collect();
    names.sort_unstable();
    let expected = [
        "accept",
        "accept-encoding",
        "authorization",
        "content-length",
        "content-type",
        "host",
        "openai-organization",
        "user-agent",
        "x-request-id",
    ];
    assert_eq!(names, expected);
    for line in [
        "accept-encoding: identity".to_owned(),
        format!("authorization: bearer {}", Key::SECRET),
        format!("x-request-id: {id}"),
        format!("content-length: {}", body.len()),
    ] {
        assert!(head.contains(&line), "{line} in {head}");
    }
}

#[tokio::test]
async fn a_versioned_base_is_used_as_it_is_and_others_get_the_dialects() {
    for (base, path) in [
        ("/v1", "/v1/chat/completions"),
        ("/v1///", "/v1/chat/completions"),
        ("", "/v1/chat/completions"),
        ("/", "/v1/chat/completions"),
        ("/api", "/api/v1/chat/completions"),
        ("/api/v1beta", "/api/v1beta/chat/completions"),
        ("/paas/v4/", "/paas/v4/chat/completions"),
        ("/v", "/v/v1/chat/completions"),
        ("/vip", "/vip/v1/chat/completions"),
    ] {
        let url = |upstream: &Upstream| format!("http://{}{base}", upstream.address());
        let request = seen(url, call()).await;
        assert_eq!(request.split(' ').nth(1), Some(path), "{base}");
    }
}

#[tokio::test]
async fn the_query_travels_on() {
    let mut call = call();
    call.query = Some("beta=true&x=%20".into());
    let request = seen(Upstream::url, call).await;
    let path = request.split(' ').nth(1);
    assert_eq!(path, Some("/v1/chat/completions?beta=true&x=%20"));
}

#[tokio::test]
async fn the_model_gets_the_providers_name_and_no_other_byte_moves() {
    let call = call_with(r#",   "max_tokens": 7, "x": "é\u00e9""#);
    let body = String::from_utf8(call.body.to_vec()).unwrap();
    let request = seen(Upstream::url, call).await;
    let sent = request.split_once("\r\n\r\n").unwrap().1;
    assert_eq!(sent, body.replace("\"primary\"", "\"gpt-upstream\""));
}

#[tokio::test]
async fn defaults_are_added_to_calls_that_generate_alone() {
    let request = seen(Upstream::url, call()).await;
    assert!(request.contains("\"max_tokens\":2048"), "{request}");
    let body = r#"{"model": "primary", "input": "x"}"#.to_owned();
    let request = seen(Upstream::url, call_of(Operation::Embed, body)).await;
    assert!(request.contains("/v1/embeddings"), "{request}");
    assert!(!request.contains("max_tokens"), "{request}");
}

#[test]
fn a_url_that_is_none_says_why_and_keeps_its_secrets() {
    let client = moltbot_providers::Client::new(Default::default()).unwrap();
    for (url, why) in [
        ("ftp://host/v1", "neither http nor https"),
        ("/v1", "scheme or host"),
        ("http://me:hunter2@host/v1", "credentials have a place"),
        ("http://host/v1?key=hunter2", "a query"),
        ("http://host/v1#hunter2", "a fragment"),
        ("http://ho st/", "can't be read"),
    ] {
        let error = moltbot_providers::Http::new(spec(url), client.clone()).unwrap_err();
        let text = error.to_string();
        assert!(text.contains(why) && text.contains("`primary`"), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
    }
}

#[tokio::test]
async fn a_query_that_can_not_be_sent_is_the_callers_fault() {
    let mut call = call();
    call.query = Some("a b\u{7f}".into());
    let error = target(spec("http://127.0.0.1:9/v1"))
        .call(call)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::BadRequest);
}
