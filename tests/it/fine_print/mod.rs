//! The fine print of the contract: one test for each rule, named after it.
//!
//! Shown beside the code, where time can be paused and bytes be cut at will: the sign of life itself
//! (`moltbot-gateway`, `http::body`), bombs and windows of packed bodies (`http::coding`), every place at which
//! an error's body may break off (`moltbot-wire`, `openai::error`), and every kind of end (`openai::stream`).

mod access;
mod bytes;
mod cache;
mod files;
mod plane;
mod streams;

use std::time::Duration;

use moltbot_tests::{Daemon, Home, Upstream};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Longer than anything here should take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A whole answer of an upstream.
const ANSWER: &str = r#"{"id":"c1","object":"chat.completion","model":"up","choices":[{"index":0,"message":{"role":"assistant","content":"Hi"},"finish_reason":"stop"}]}"#;

/// A model named `m` at `upstream`; `more` are further keys of it. A model `spare` says `spare`.
fn models(upstream: &Upstream, more: &str) -> String {
    format!(
        "models:\n  - {{ name: m, endpoint: \"{}\", {more} }}\n  - {{ name: spare, provider: builtin, model: script, params: {{ text: spare }} }}\n",
        upstream.url()
    )
}

/// A home with these limits, without keys.
fn home_with_limits(limits: &str, yaml: &str) -> Home {
    let home = Home::empty();
    configure_limits(&home, limits, yaml);
    home
}

fn configure_limits(home: &Home, limits: &str, yaml: &str) {
    home.write(
        "config/gateway.yaml",
        &format!(
            "server: {{ listen: \"127.0.0.1:0\", admin: \"127.0.0.1:0\", auth: none, limits: {{ {limits} }} }}\n{yaml}"
        ),
    );
}

/// A connection that speaks bytes.
struct Raw {
    stream: TcpStream,
    got: Vec<u8>,
}

impl Raw {
    async fn to(daemon: &Daemon) -> Self {
        let stream = TcpStream::connect(daemon.listen()).await;
        Self {
            stream: stream.expect("a connection"),
            got: Vec::new(),
        }
    }

    async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let sent = self.stream.write_all(bytes.as_ref()).await;
        sent.expect("the other side takes it");
    }

    /// Reads until this has come; gives everything so far.
    async fn until(&mut self, wanted: &str) -> String {
        let reading = async {
            while !String::from_utf8_lossy(&self.got).contains(wanted) {
                let read = self.stream.read_buf(&mut self.got).await;
                let said = String::from_utf8_lossy(&self.got);
                assert!(read.is_ok_and(|n| n > 0), "no {wanted:?} in: {said}");
            }
        };
        let came = timeout(PATIENCE, reading).await;
        let said = String::from_utf8_lossy(&self.got).into_owned();
        assert!(came.is_ok(), "no {wanted:?} in: {said}");
        said
    }

    /// Everything until the other side closes.
    async fn rest(&mut self) -> String {
        let reading = self.stream.read_to_end(&mut self.got);
        let read = timeout(PATIENCE, reading).await;
        let said = String::from_utf8_lossy(&self.got).into_owned();
        assert!(read.is_ok(), "it stays open after: {said}");
        said
    }
}

/// The head of a chat request, without its end.
fn post(length: usize) -> String {
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n"
    )
}

/// What the model said in a whole answer; the answer itself where it said nothing.
async fn said(answer: reqwest::Response) -> String {
    let body: Value = answer.json().await.expect("JSON");
    match body["choices"][0]["message"]["content"].as_str() {
        Some(text) => text.to_owned(),
        None => body.to_string(),
    }
}

/// A header of a recorded request, or of a raw answer; empty where it is missing.
fn field<'a>(head: &'a str, name: &str) -> &'a str {
    let lines = head.lines().skip(1).take_while(|line| !line.is_empty());
    let mut fields = lines.filter_map(|line| line.split_once(':'));
    let found = fields.find(|(field, _)| field.eq_ignore_ascii_case(name));
    found.map_or("", |(_, value)| value.trim())
}
