//! The official OpenAI SDKs, unmodified, pointed at the daemon. Their checks stand in `tests/sdk`.

use std::process::Command;

use moltbot_tests::{Daemon, Home, ModelServer, tools};

/// The models that the SDK tests ask for.
async fn served(server: &ModelServer) -> (Home, Daemon) {
    let home = Home::with(&format!(
        "models:
  - {{ name: real, endpoint: \"{url}\", model: smol }}
  - {{ name: echo, provider: builtin }}
  - {{ name: slow, provider: builtin, model: script, params: {{ text: \"a b c d e f g h i j\", pace: 300ms }} }}
  - {{ name: hangs, provider: builtin, model: script, params: {{ text: late, delay: 60s }} }}
  - {{ name: cut, provider: builtin, model: script, params: {{ text: \"a b c d e\", cut_after: 2 }} }}
  - {{ name: limited, provider: builtin, model: script, params: {{ fail: 429 }} }}
  - {{ name: down, provider: builtin, model: script, params: {{ fail: 500 }} }}
  - {{ name: picky, provider: builtin, model: script, params: {{ fail: 422 }} }}
",
        url = server.url()
    ));
    let daemon = home.start();
    (home, daemon)
}

async fn run(program: impl AsRef<std::ffi::OsStr>, script: &str, more: &[(&str, String)]) {
    let server = ModelServer::start(&[]).await;
    let embeddings = ModelServer::start(&["--embedding"]).await;
    let (home, daemon) = served(&server).await;
    home.ctl(&[
        "model",
        "add",
        "vectors",
        "--endpoint",
        &embeddings.url(),
        "--model",
        "smol",
        "--kind",
        "embedding",
    ])
    .done();
    let mut daemon = daemon;
    let base = daemon.url("/v1");
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/sdk/");
    let output = Command::new(program)
        .arg(format!("{root}{script}"))
        .env("MOLTBOT_BASE_URL", &base)
        .envs(more.iter().map(|(name, value)| (*name, value.as_str())))
        .output()
        .expect("it starts");
    assert!(
        output.status.success(),
        "{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    // One call of an SDK that may not repeat and one of an SDK that may: their attempts do not multiply.
    let down = daemon.log();
    let down = down.iter().filter(|line| line["model"] == "down");
    let attempts: u64 = down.filter_map(|line| line["attempts"].as_u64()).sum();
    assert!((2..=12).contains(&attempts), "{attempts} attempts");
    // The SDK's cancelled stream took its upstream call along.
    daemon.wait_for(|daemon| {
        daemon
            .log()
            .iter()
            .any(|line| line["model"] == "slow" && line["code"] == "cancelled")
            .then_some(())
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_sdk_works_unmodified() {
    run(tools().join("venv/bin/python"), "openai_sdk.py", &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_node_sdk_works_unmodified() {
    let modules = tools().join("sdk/node_modules").display().to_string();
    run(
        "node",
        "openai_sdk.mjs",
        &[("MOLTBOT_NODE_MODULES", modules)],
    )
    .await;
}
