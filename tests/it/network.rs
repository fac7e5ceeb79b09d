//! A network that goes silent: a model server in a network namespace of its own, whose cable is pulled.

use std::process::Command;

use futures_util::StreamExt;
use moltbot_tests::Home;

use crate::{ask, chat, header};

const KEY: &str = "mb_00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// A namespace with one cable to it; both are gone at the end.
struct Namespace {
    name: String,
    cable: String,
}

impl Namespace {
    /// `None` where this user may not make one.
    fn new() -> Option<Self> {
        let id = std::process::id() % 10_000;
        let namespace = Self {
            name: format!("moltbot-{id}"),
            cable: format!("mb{id}"),
        };
        if !ip(&format!("netns add {}", namespace.name)) {
            return None;
        }
        let (name, cable) = (&namespace.name, &namespace.cable);
        for step in [
            format!("link add {cable} type veth peer name far netns {name}"),
            format!("addr add 10.99.77.1/30 dev {cable}"),
            format!("link set {cable} up"),
            format!("-n {name} addr add 10.99.77.2/30 dev far"),
            format!("-n {name} link set far up"),
            format!("-n {name} link set lo up"),
        ] {
            assert!(ip(&step), "ip {step}");
        }
        Some(namespace)
    }

    /// Pulls the cable at the far end, or puts it back: packets vanish, nobody is told.
    fn cable(&self, state: &str) {
        assert!(ip(&format!("-n {} link set far {state}", self.name)));
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        ip(&format!("link del {}", self.cable));
        ip(&format!("netns del {}", self.name));
    }
}

fn ip(arguments: &str) -> bool {
    let status = Command::new("ip").args(arguments.split(' ')).status();
    status.is_ok_and(|status| status.success())
}

#[tokio::test]
async fn a_network_that_goes_silent_is_left_and_found_again() {
    let Some(namespace) = Namespace::new() else {
        eprintln!("skipped: only root can make a network namespace");
        return;
    };
    // Another daemon is the model server: it speaks the same dialect.
    let far = Home::empty();
    far.write("config/key", KEY);
    far.write(
        "config/gateway.yaml",
        "server: { listen: \"10.99.77.2:18000\", admin: \"127.0.0.1:0\", auth: keys }\nmodels:\n  - { name: m, provider: builtin, model: script, params: { text: \"a b c d e f g h\", pace: 100ms } }\n",
    );
    let _server = far.start_in(&namespace.name);
    let home = Home::with(&format!(
        "model: {{ failover: {{ retry_interval: 300ms }}, breaker: {{ consecutive: 1 }} }}
models:
  - name: m
    endpoint: http://10.99.77.2:18000/v1
    auth: {{ type: api_key, key: {KEY} }}
    timeouts: {{ connect: 300ms, first_token: 500ms, answer: 500ms, idle: 500ms, total: 5s }}
    fallback: spare
  - {{ name: spare, provider: builtin, model: echo }}
"
    ));
    let daemon = home.start();
    assert_eq!(
        header(&chat(&daemon, ask("m")).await, "x-moltbot-model"),
        "m"
    );

    let body = ask("m").replacen('{', "{\"stream\":true,", 1);
    let mut stream = chat(&daemon, body).await.bytes_stream();
    let mut text = stream.next().await.unwrap().unwrap().to_vec();
    namespace.cable("down");
    while let Some(Ok(piece)) = stream.next().await {
        text.extend_from_slice(&piece);
    }
    let text = String::from_utf8_lossy(&text);
    assert!(
        text.contains("data: {\"error\"") && !text.contains("[DONE]"),
        "{text}"
    );

    for _ in 0..3 {
        let answer = chat(&daemon, ask("m")).await;
        assert_eq!(
            (answer.status().as_u16(), header(&answer, "x-moltbot-model")),
            (200, "spare")
        );
    }

    namespace.cable("up");
    for _ in 0..100 {
        if header(&chat(&daemon, ask("m")).await, "x-moltbot-model") == "m" {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("it was never found again");
}
