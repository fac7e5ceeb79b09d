//! What can go wrong, one test or more each: `fm_07` shows row 7 of the table in `docs/failures.md`.
//!
//! Real parts: the daemon, and upstreams that misbehave on the wire as they are told.

mod broken;
mod callers;
mod listed;
mod overload;
mod process;
mod reaching;
mod refusals;

use std::time::Duration;

use moltbot_tests::{Daemon, Do, Home, Upstream};
use reqwest::header::HeaderMap;
use serde_json::Value;

/// A whole answer.
const HELLO: &str = r#"{"id":"c1","object":"chat.completion","model":"up","choices":[{"index":0,"message":{"role":"assistant","content":"Hello"},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":1,"total_tokens":10}}"#;

const ROLE: &str =
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n";
const HALF: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Half\"}}]}\n\n";
const FINISH: &str =
    "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
const DONE: &str = "data: [DONE]\n\n";

/// A whole stream.
fn hello_stream() -> String {
    let hello = HALF.replace("Half", "Hello");
    format!("{ROLE}{hello}{FINISH}{DONE}")
}

/// An upstream that answers properly, whole or streamed as it is asked.
async fn good(stream: bool) -> Upstream {
    match stream {
        true => Upstream::streams(&hello_stream()).await,
        false => Upstream::says(HELLO).await,
    }
}

/// An upstream that answers every request with that status and these header lines.
async fn refusing(status: &str, headers: &str, body: &str) -> Upstream {
    let headers = format!("{headers}connection: close\r\n");
    Upstream::does([vec![Do::answer(status, &headers, body)]]).await
}

/// A base URL where nobody listens.
fn nobody() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    format!("http://{}/v1", listener.local_addr().expect("bound"))
}

/// The model `m` with a target that is asked first and one that is asked after it; `more` are keys of
/// the model.
fn pair(first: &str, second: &str, more: &str) -> String {
    format!(
        "models:\n  - {{ name: m, targets: [{{ name: first, url: \"{first}\" }}, {{ name: second, url: \"{second}\", role: standby }}], {more} }}\n"
    )
}

/// The model `m` with one target; `more` are keys of the model.
fn alone(url: &str, more: &str) -> String {
    format!("models:\n  - {{ name: m, targets: [{{ name: first, url: \"{url}\" }}], {more} }}\n")
}

/// Settings with which repeats do not wait.
const AT_ONCE: &str = "model: { retry: { initial: 1ms, max: 2ms } }\n";

/// A home with limits of the server.
fn limited(limits: &str, yaml: &str) -> Home {
    let home = Home::empty();
    let server = format!(
        "server: {{ listen: \"127.0.0.1:0\", admin: \"127.0.0.1:0\", auth: none, limits: {{ {limits} }} }}\n"
    );
    home.write("config/gateway.yaml", &format!("{server}{yaml}"));
    home
}

/// A running daemon, and its home.
struct House {
    home: Home,
    daemon: Daemon,
    client: reqwest::Client,
}

/// What a caller was told, to the last byte.
#[derive(Debug)]
struct Told {
    status: u16,
    headers: HeaderMap,
    text: String,
}

impl Told {
    fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.and_then(|value| value.to_str().ok()).unwrap_or("")
    }

    fn id(&self) -> &str {
        self.header("x-request-id")
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The answer of that target, after so many attempts; the caller saw nothing else.
    #[track_caller]
    fn comes_from(&self, target: &str, attempts: u32) {
        assert_eq!(self.status, 200, "{self:?}");
        let told = (
            self.header("x-moltbot-target"),
            self.header("x-moltbot-attempts"),
        );
        assert_eq!(told, (target, &*attempts.to_string()), "{self:?}");
        let whole = self.text.contains("Hello") && self.text.contains("\"stop\"");
        assert!(whole && !self.text.contains("error"), "{self:?}");
    }

    /// An error in the caller's dialect.
    #[track_caller]
    fn is_refused(&self, status: u16, code: &str) {
        assert_eq!(self.status, status, "{self:?}");
        let error = &self.json()["error"];
        assert_eq!(error["code"], code, "{self:?}");
        for field in ["message", "type"] {
            assert!(error[field].is_string(), "{self:?}");
        }
        assert!(!self.id().is_empty(), "{self:?}");
        assert!(!self.text.contains("127.0.0.1"), "{self:?}");
    }

    /// A stream that began and was cut: an error event last, and nothing that looks like an end.
    #[track_caller]
    fn is_cut(&self, code: &str) {
        assert_eq!(self.status, 200, "{self:?}");
        let last = self.text.trim_end().rsplit("\n\n").next();
        let last = last.and_then(|event| event.strip_prefix("data: "));
        let error: Value = serde_json::from_str(last.unwrap_or_default())
            .unwrap_or_else(|error| panic!("{error}: {self:?}"));
        assert_eq!(error["error"]["code"], code, "{self:?}");
        let ended = self.text.contains("[DONE]") || self.text.contains("finish_reason");
        assert!(!ended, "{self:?}");
    }
}

impl House {
    fn of(yaml: &str) -> Self {
        Self::at(Home::with(yaml))
    }

    fn at(home: Home) -> Self {
        let daemon = home.start();
        Self {
            home,
            daemon,
            client: crate::client(),
        }
    }

    /// Asks the model `m`.
    async fn ask(&self, stream: bool) -> Told {
        self.post(&question("m", stream)).await
    }

    /// The same; `then` is done once the head of the answer is there.
    async fn ask_and(&self, stream: bool, then: impl FnOnce()) -> Told {
        self.post_and(&question("m", stream), then).await
    }

    async fn post(&self, body: &str) -> Told {
        self.post_and(body, || {}).await
    }

    async fn post_and(&self, body: &str, then: impl FnOnce()) -> Told {
        let post = self.client.post(self.daemon.url("/v1/chat/completions"));
        let post = post.header("content-type", "application/json");
        let answer = post.body(body.to_owned()).send().await.expect("an answer");
        then();
        Told {
            status: answer.status().as_u16(),
            headers: answer.headers().clone(),
            text: answer.text().await.expect("a whole body"),
        }
    }

    /// What the log says of a call.
    fn line_of(&mut self, told: &Told) -> Value {
        self.daemon.line_of(told.id())
    }

    async fn metrics(&self) -> String {
        let url = self.daemon.admin_url("/metrics");
        let answer = self.client.get(url).send().await.expect("an answer");
        answer.text().await.expect("text")
    }

    /// The value of a series.
    async fn metric(&self, series: &str) -> f64 {
        let metrics = self.metrics().await;
        let value = |line: &str| line.strip_prefix(series)?.trim().parse().ok();
        let found = metrics.lines().find_map(value);
        found.unwrap_or_else(|| panic!("no {series} in {metrics}"))
    }

    /// Waits until a series has that value.
    async fn until_metric(&self, series: &str, value: f64) {
        let reached = async {
            while self.metric(series).await != value {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let reached = tokio::time::timeout(Duration::from_secs(15), reached).await;
        assert!(reached.is_ok(), "{series} is not {value}");
    }
}

fn question(model: &str, stream: bool) -> String {
    format!(
        r#"{{"model":"{model}","stream":{stream},"messages":[{{"role":"user","content":"Hello?"}}]}}"#
    )
}
