//! A real llama.cpp server with a real small model behind a home that `moltctl` made.

use moltbot_tests::{Home, ModelServer};
use serde_json::Value;

use crate::{chat, client, header};

const QUESTION: &str = r#"{"model":"local","max_tokens":12,"temperature":0,"messages":[{"role":"user","content":"Say hello"}]"#;

async fn served(server: &ModelServer) -> (Home, moltbot_tests::Daemon) {
    let home = Home::with("models:\n  - { name: spare, provider: builtin, model: echo }\n");
    home.ctl(&[
        "model",
        "add",
        "local",
        "--endpoint",
        &server.url(),
        "--model",
        "smol",
        "--fallback",
        "spare",
    ])
    .done();
    let daemon = home.start();
    (home, daemon)
}

#[tokio::test]
async fn a_real_model_answers_whole_and_streamed_and_its_crash_goes_unnoticed() {
    let mut server = ModelServer::start(&[]).await;
    let (_home, daemon) = served(&server).await;

    let answer = chat(&daemon, format!("{QUESTION}}}")).await;
    assert_eq!(
        (answer.status().as_u16(), header(&answer, "x-moltbot-model")),
        (200, "local")
    );
    let body: Value = answer.json().await.unwrap();
    assert!(
        !body["choices"][0]["message"]["content"]
            .as_str()
            .unwrap()
            .is_empty()
    );
    assert!(body["usage"]["completion_tokens"].as_u64().unwrap() > 0);

    let text = chat(&daemon, format!("{QUESTION},\"stream\":true}}"))
        .await
        .text()
        .await
        .unwrap();
    assert!(
        text.matches("data: ").count() > 3 && text.ends_with("data: [DONE]\n\n"),
        "{text}"
    );

    let completion = client()
        .post(daemon.url("/v1/completions"))
        .body(r#"{"model":"local","prompt":"Once upon","max_tokens":4}"#)
        .send()
        .await
        .unwrap();
    assert_eq!(completion.status(), 200);

    let long = "word ".repeat(4000);
    let body = format!(
        "{{\"model\":\"local\",\"messages\":[{{\"role\":\"user\",\"content\":\"{long}\"}}]}}"
    );
    let answer = chat(&daemon, body).await;
    assert_eq!(answer.status(), 400);
    let error: Value = answer.json().await.unwrap();
    assert_eq!(error["error"]["code"], "context_length_exceeded", "{error}");

    server.kill();
    let answer = chat(&daemon, format!("{QUESTION}}}")).await;
    assert_eq!(
        (answer.status().as_u16(), header(&answer, "x-moltbot-model")),
        (200, "spare")
    );
}

#[tokio::test]
async fn a_real_model_embeds() {
    let server = ModelServer::start(&["--embedding"]).await;
    let (_home, daemon) = served(&server).await;
    let answer = client()
        .post(daemon.url("/v1/embeddings"))
        .body(r#"{"model":"local","input":"reset my password"}"#)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    let body: Value = answer.json().await.unwrap();
    assert!(body["data"][0]["embedding"].as_array().unwrap().len() > 100);
}
