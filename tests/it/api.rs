//! The OpenAI dialect, whole and streamed, through a recording upstream and the builtin models.

use moltbot_tests::{Home, Upstream};
use serde_json::Value;

use crate::{ask, chat, client, header};

const ANSWER: &str = r#"{"id":"c1","object":"chat.completion","model":"up-model","choices":[{"index":0,"message":{"role":"assistant","content":"Hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":1,"total_tokens":10},"odd":  1.50}"#;

fn model(name: &str, upstream: &Upstream, more: &str) -> String {
    format!(
        "  - {{ name: {name}, endpoint: \"{}\", {more} }}\n",
        upstream.url()
    )
}

#[tokio::test]
async fn the_body_passes_byte_for_byte_but_for_the_models_name() {
    let upstream = Upstream::says(ANSWER).await;
    let home = Home::with(&format!(
        "models:\n{}",
        model("shown", &upstream, "model: up-model")
    ));
    let daemon = home.start();
    let body = "{ \"temperature\" : 1.50,\n\"model\":\"shown\", \"messages\":[{\"role\":\"user\",\"content\":\"h\\u00e9llo\"}], \"x\":[ ] }";
    let answer = chat(&daemon, body).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.text().await.unwrap(), ANSWER);
    let seen = upstream.seen();
    assert_eq!(
        String::from_utf8_lossy(&seen[0].body),
        body.replace("\"shown\"", "\"up-model\"")
    );
    assert!(
        seen[0]
            .head
            .to_ascii_lowercase()
            .contains("content-length: ")
    );
    assert!(
        !seen[0]
            .head
            .to_ascii_lowercase()
            .contains("transfer-encoding")
    );
}

#[tokio::test]
async fn default_params_of_the_kind_are_added_where_the_caller_set_none() {
    let upstream = Upstream::says(ANSWER).await;
    let home = Home::with(&format!(
        "model: {{ defaults: {{ chat: {{ max_tokens: 2048 }}, code: {{ stop_sequences: [\"\\n\"] }} }} }}\nmodels:\n{}{}",
        model("talk", &upstream, "kind: chat"),
        model("write", &upstream, "kind: code"),
    ));
    let daemon = home.start();
    chat(&daemon, r#"{"model":"talk"}"#).await;
    chat(&daemon, r#"{"model":"talk","max_completion_tokens":5}"#).await;
    chat(&daemon, r#"{"model":"write"}"#).await;
    let bodies: Vec<String> = upstream
        .seen()
        .iter()
        .map(|seen| String::from_utf8_lossy(&seen.body).into_owned())
        .collect();
    assert_eq!(bodies[0], r#"{"max_tokens":2048,"model":"talk"}"#);
    assert_eq!(bodies[1], r#"{"model":"talk","max_completion_tokens":5}"#);
    assert_eq!(bodies[2], r#"{"stop":["\n"],"model":"write"}"#);
}

#[tokio::test]
async fn frames_keep_their_raw_text_and_the_end_comes_once() {
    let stream = ": hello\r\n\r\ndata:{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\r\n\r\ndata: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
    let upstream = Upstream::streams(stream).await;
    let home = Home::with(&format!("models:\n{}", model("shown", &upstream, "")));
    let daemon = home.start();
    let answer = chat(&daemon, r#"{"model":"shown","stream":true}"#).await;
    assert_eq!(header(&answer, "content-type"), "text/event-stream");
    assert_eq!(
        answer.text().await.unwrap(),
        format!("{stream}data: [DONE]\n\n")
    );
}

#[tokio::test]
async fn a_cut_stream_ends_with_an_error_event() {
    let upstream =
        Upstream::streams("data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n")
            .await;
    let home = Home::with(&format!("models:\n{}", model("shown", &upstream, "")));
    let mut daemon = home.start();
    let answer = chat(&daemon, r#"{"model":"shown","stream":true}"#).await;
    let id = header(&answer, "x-request-id").to_owned();
    let text = answer.text().await.unwrap();
    assert!(text.contains("data: {\"error\""), "{text}");
    assert!(
        !text.contains("[DONE]") && !text.contains("finish_reason"),
        "{text}"
    );
    let line = daemon.line_of(&id);
    assert_eq!(
        (&line["level"], &line["code"]),
        (&"error".into(), &"stream_cut".into()),
        "{line}"
    );
}

#[tokio::test]
async fn every_answer_says_who_answered() {
    let down = Upstream::fails("503 Service Unavailable", "{}").await;
    let home = Home::with(&format!(
        "models:\n{}  - {{ name: second, provider: builtin, model: echo }}\n",
        model("first", &down, "fallback: second")
    ));
    let mut daemon = home.start();
    let answer = chat(&daemon, ask("first")).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(header(&answer, "x-moltbot-model"), "second");
    assert_eq!(header(&answer, "x-moltbot-target"), "second/0");
    // The only target once more, then the fallback.
    assert_eq!(header(&answer, "x-moltbot-attempts"), "3");
    assert_eq!(header(&answer, "x-moltbot-cache"), "bypass");
    assert!(
        header(&answer, "x-moltbot-overhead-us")
            .parse::<u64>()
            .is_ok()
    );
    let id = header(&answer, "x-request-id").to_owned();
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["choices"][0]["message"]["content"], "Hello there");
    let line = daemon.line_of(&id);
    assert_eq!(line["level"], "warn", "{line}");
    assert_eq!(
        (&line["model"], &line["served"]),
        (&"first".into(), &"second".into()),
        "{line}"
    );
    assert_eq!(line["attempts"], 3);
}

#[tokio::test]
async fn the_callers_fault_is_passed_on_and_not_tried_elsewhere() {
    let picky = Upstream::fails(
        "422 Unprocessable Entity",
        r#"{"error":{"message":"top_p is out of range","type":"invalid_request_error","param":"top_p","code":"bad_value"}}"#,
    )
    .await;
    let home = Home::with(&format!(
        "models:\n{}  - {{ name: second, provider: builtin, model: echo }}\n",
        model("first", &picky, "fallback: second")
    ));
    let daemon = home.start();
    let answer = chat(&daemon, ask("first")).await;
    assert_eq!(answer.status(), 422);
    assert_eq!(header(&answer, "x-moltbot-attempts"), "1");
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["error"]["message"], "top_p is out of range");
    assert_eq!(body["error"]["param"], "top_p");
}

#[tokio::test]
async fn an_upstream_key_goes_to_its_upstream_and_nowhere_else() {
    let upstream = Upstream::fails(
        "401 Unauthorized",
        r#"{"error":{"message":"bad key sk-canary-4711"}}"#,
    )
    .await;
    let home = Home::with(&format!(
        "models:\n{}",
        model(
            "first",
            &upstream,
            "auth: { type: api_key, key: sk-canary-4711 }"
        )
    ));
    let mut daemon = home.start();
    let answer = chat(&daemon, ask("first")).await;
    assert_eq!(answer.status(), 502);
    let id = header(&answer, "x-request-id").to_owned();
    let text = answer.text().await.unwrap();
    assert!(text.contains("upstream_auth"), "{text}");
    assert!(upstream.seen()[0].head.contains("Bearer sk-canary-4711"));
    let line = daemon.line_of(&id).to_string();
    let status = home.ctl(&["status", "--output", "json"]).done();
    let shown = home.ctl(&["config", "show"]).done();
    for place in [text, line, status, shown] {
        assert!(!place.contains("sk-canary-4711"), "{place}");
    }
}

#[tokio::test]
async fn models_are_listed_and_found_by_name() {
    let home = Home::with(
        "models:\n  - { name: a/b, provider: builtin, model: echo }\n  - { name: c, provider: builtin, model: echo }\n",
    );
    let daemon = home.start();
    let get = |path: &str| client().get(daemon.url(path)).send();
    let list: Value = get("/v1/models").await.unwrap().json().await.unwrap();
    assert_eq!(list["object"], "list");
    let names: Vec<_> = list["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| &m["id"])
        .collect();
    assert_eq!(names, ["a/b", "c"]);
    let one: Value = get("/v1/models/a%2Fb").await.unwrap().json().await.unwrap();
    assert_eq!(
        (&one["id"], &one["object"]),
        (&"a/b".into(), &"model".into())
    );
    assert_eq!(get("/v1/models/nope").await.unwrap().status(), 404);
    let head = client()
        .head(daemon.url("/v1/models"))
        .send()
        .await
        .unwrap();
    assert_eq!(head.status(), 200);
    assert!(header(&head, "content-length").parse::<u64>().unwrap() > 50);
}

#[tokio::test]
async fn completions_and_embeddings_go_their_own_paths() {
    let upstream = Upstream::says(r#"{"object":"list","data":[{"embedding":[0.1]}],"usage":{"prompt_tokens":3,"total_tokens":3}}"#).await;
    let home = Home::with(&format!(
        "models:\n{}",
        model("vec", &upstream, "kind: embedding")
    ));
    let daemon = home.start();
    for path in ["embeddings", "completions"] {
        let answer = client()
            .post(daemon.url(&format!("/v1/{path}?x=1")))
            .body(r#"{"model":"vec","input":"x","prompt":"x"}"#)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 200);
    }
    let heads: Vec<_> = upstream.seen().into_iter().map(|seen| seen.head).collect();
    assert!(
        heads[0].starts_with("POST /v1/embeddings?x=1 "),
        "{}",
        heads[0]
    );
    assert!(
        heads[1].starts_with("POST /v1/completions?x=1 "),
        "{}",
        heads[1]
    );
}

#[tokio::test]
async fn metrics_count_what_happened() {
    let home = Home::with("models:\n  - { name: e, provider: builtin, model: echo }\n");
    let daemon = home.start();
    for _ in 0..3 {
        chat(&daemon, ask("e")).await.text().await.unwrap();
    }
    chat(&daemon, ask("unknown-model")).await;
    let metrics = client()
        .get(daemon.admin_url("/metrics"))
        .send()
        .await
        .unwrap();
    let metrics = metrics.text().await.unwrap();
    let value = |series: &str| {
        metrics
            .lines()
            .find_map(|line| line.strip_prefix(series)?.trim().parse::<f64>().ok())
            .unwrap_or_else(|| panic!("no {series} in {metrics}"))
    };
    assert_eq!(
        value(r#"moltbot_requests_total{workspace="default",model="e",status="200"}"#),
        3.0
    );
    assert_eq!(
        value(r#"moltbot_requests_total{workspace="default",model="-",status="404"}"#),
        1.0
    );
    assert_eq!(
        value(r#"moltbot_model_calls_total{model="e",target="e/0",outcome="ok"}"#),
        3.0
    );
    assert_eq!(value(r#"moltbot_target_up{model="e",target="e/0"}"#), 1.0);
    assert!(metrics.contains("moltbot_build_info"));
    assert!(metrics.contains("process_resident_memory_bytes"));
}

#[tokio::test]
async fn a_key_is_asked_for_where_the_configuration_says_so() {
    let home = Home::init();
    let key = home.read("config/key").trim().to_owned();
    let home_env = [
        ("server.listen", "127.0.0.1:0"),
        ("server.admin", "127.0.0.1:0"),
    ];
    for (name, value) in home_env {
        home.ctl(&["config", "set", name, value]).done();
    }
    let daemon = home.start();
    let list = |request: reqwest::RequestBuilder| async { request.send().await.unwrap() };
    let url = daemon.url("/v1/models");
    let refused = list(client().get(&url)).await;
    assert_eq!(refused.status(), 401);
    let body: Value = refused.json().await.unwrap();
    assert_eq!(body["error"]["code"], "invalid_api_key", "{body}");
    assert_eq!(
        list(client().get(&url).bearer_auth("mb_wrong"))
            .await
            .status(),
        401
    );
    assert_eq!(
        list(client().get(&url).bearer_auth(&key)).await.status(),
        200
    );
    assert_eq!(
        list(client().get(&url).header("x-api-key", &key))
            .await
            .status(),
        200
    );
    let answer = home.ctl(&["chat", "Good morning"]).done();
    assert!(answer.contains("Good morning"), "{answer}");
}
