//! A real OAuth 2.0 server, with a model server beside it that takes its tokens.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::parts::{free_port, tools};

/// The secret of its clients `gateway`, `gateway-post` and `gateway-refresh`.
pub const CLIENT_SECRET: &str = "gateway-secret-c4n4ry-7391";

/// The server; it ends with the test.
pub struct TokenServer {
    child: Option<Child>,
    port: u16,
    life_s: u32,
    client: reqwest::Client,
}

impl TokenServer {
    /// Starts it and waits until it is ready. Its tokens live that many seconds.
    pub async fn start(life_s: u32) -> Self {
        let client = crate::client().build();
        let mut server = Self {
            child: None,
            port: free_port(),
            life_s,
            client: client.expect("a client"),
        };
        server.begin().await;
        server
    }

    /// Starts it anew on the same port, with nothing left of what it knew.
    pub async fn begin(&mut self) {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/sdk/oidc.mjs");
        let child = Command::new("node")
            .args([script, &self.port.to_string()])
            .env("MODULES", tools().join("sdk/node_modules"))
            .env("TTL", self.life_s.to_string())
            .env("SECRET", CLIENT_SECRET)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        self.child = Some(child.expect("node starts"));
        for _ in 0..200 {
            if self.client.get(self.url("/counts")).send().await.is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("the token server was not ready within 20 s");
    }

    /// Ends it as a crash would.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// An address of it: `/token`, or `/v1` of the model server.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// How often something happened: `asked`, `issued`, `taken`, `refused`.
    pub async fn count(&self, what: &str) -> u64 {
        let answer = self.client.get(self.url("/counts")).send().await;
        let counts = json_of(answer.expect("it answers")).await;
        counts[what].as_u64().expect("a count")
    }

    /// Changes what it does; see the script.
    pub async fn control(&self, change: Value) {
        let url = self.url("/control");
        let body = change.to_string();
        let answer = self.client.post(url).body(body).send().await;
        assert!(answer.expect("it answers").status().is_success());
    }

    /// A refresh token of the client `gateway-refresh`, as a person's log-in would give it.
    pub async fn refresh_token(&self) -> String {
        let answer = self.client.get(self.url("/refresh-token")).send().await;
        let answer = json_of(answer.expect("it answers")).await;
        answer["refresh_token"]
            .as_str()
            .expect("a token")
            .to_owned()
    }

    /// An entry of `auth.json` for one of its clients.
    pub fn entry(&self, client: &str) -> Value {
        json!({
            "type": "oauth",
            "client_id": client,
            "client_secret": CLIENT_SECRET,
            "token_url": self.url("/token"),
        })
    }
}

async fn json_of(answer: reqwest::Response) -> Value {
    let text = answer.text().await.expect("a body");
    serde_json::from_str(&text).expect("JSON")
}

impl Drop for TokenServer {
    fn drop(&mut self) {
        self.kill();
    }
}
