//! MoltBot end to end: the built programs, driven from outside.

#![allow(clippy::unwrap_used)] // a test that can't go on panics

mod access;
mod api;
mod architecture;
mod archive;
mod article;
mod bad_input;
mod channels;
mod chats;
mod cli;
mod compare;
mod demo;
mod docs;
mod drill;
mod failure_modes;
mod filters;
mod fine_print;
mod install;
mod instance;
mod isolation;
mod keys;
mod limits;
mod logs;
mod model_files;
mod model_server;
mod monitor;
mod network;
mod oauth;
mod platforms;
mod reload;
mod sdk;
mod skills;
mod top;
mod usage;
mod workspaces;

/// A client without a proxy, whose calls end.
fn client() -> reqwest::Client {
    moltbot_tests::client()
        .timeout(std::time::Duration::from_secs(30))
        .build()
        .expect("a client")
}

/// A question to a model, as JSON text.
fn ask(model: &str) -> String {
    format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"Hello there"}}]}}"#)
}

/// Posts a body to the chat path.
async fn chat(daemon: &moltbot_tests::Daemon, body: impl Into<reqwest::Body>) -> reqwest::Response {
    client()
        .post(daemon.url("/v1/chat/completions"))
        .header("content-type", "application/json")
        .body(body)
        .send()
        .await
        .expect("an answer")
}

/// A header as text; empty where it is missing.
fn header<'a>(answer: &'a reqwest::Response, name: &str) -> &'a str {
    answer
        .headers()
        .get(name)
        .and_then(|value| value.to_str().ok())
        .unwrap_or("")
}
