//! Monitoring: the files of `moltctl monitor init` with a real Prometheus, node exporter and alert manager.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use moltbot_tests::{Home, Upstream, client, free_port};
use serde_json::Value;
use tokio::time::Instant;

/// A server that ends with the test.
struct Running(Child);

impl Running {
    fn start(command: &mut Command) -> Self {
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        Self(child.unwrap_or_else(|error| panic!("{command:?}: {error}")))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn check(program: &str, arguments: &[&str], folder: &Path) {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {output:?}"
    );
}

/// Every query of the dashboards.
fn queries(folder: &Path) -> BTreeSet<(String, String)> {
    let mut queries = BTreeSet::new();
    for file in std::fs::read_dir(folder.join("grafana")).unwrap() {
        let file = file.unwrap().path();
        let dashboard: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        for panel in dashboard["panels"].as_array().unwrap() {
            for target in panel["targets"].as_array().unwrap() {
                queries.insert((
                    format!("{}: {}", dashboard["title"], panel["title"]),
                    target["expr"].as_str().unwrap().to_owned(),
                ));
            }
        }
    }
    queries
}

async fn until<T, F: Future<Output = Result<T, String>>>(what: &str, ask: impl Fn() -> F) -> T {
    let begun = Instant::now();
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err(error) if begun.elapsed() > Duration::from_secs(60) => panic!("{what}: {error}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_panel_has_data_and_an_alert_reaches_its_receiver() {
    let (prometheus, node, alertmanager) = (free_port(), free_port(), free_port());
    let home = Home::with(
        r#"models:
  - { name: a, provider: builtin, model: script, fallback: b, auth: { type: api_key, key: "${env:NO_SUCH_KEY_HERE}" } }
  - { name: b, provider: builtin, model: echo, price: { input: 1, output: 1 } }
cache: { enabled: true }
"#,
    );
    home.write(
        "workspace/channels.toml",
        "[channel.web]\nenabled = true\nmodel = \"b\"\n",
    );
    home.ctl(&["skill", "new", "greeter"]).done();
    let daemon = home.start();
    let folder = home.path("monitoring");
    home.ctl(&["monitor", "init", folder.to_str().unwrap()])
        .done();

    check("promtool", &["check", "config", "prometheus.yml"], &folder);
    check(
        "promtool",
        &["check", "rules", "rules/moltbot.yml"],
        &folder,
    );

    // short waits, and ports that are free here
    let edit = |file: &str, changes: &[(&str, &str)]| {
        let path = folder.join(file);
        let mut text = std::fs::read_to_string(&path).unwrap();
        for (from, to) in changes {
            assert!(text.contains(from), "{file} has {from}");
            text = text.replace(from, to);
        }
        std::fs::write(path, text).unwrap();
    };
    edit(
        "prometheus.yml",
        &[
            ("15s", "1s"),
            ("127.0.0.1:9100", &format!("127.0.0.1:{node}")),
            ("127.0.0.1:9093", &format!("127.0.0.1:{alertmanager}")),
        ],
    );
    edit("rules/moltbot.yml", &[("for: 1m", "for: 1s")]);
    let told = Upstream::says("{}").await;
    std::fs::write(
        folder.join("alertmanager.yml"),
        format!(
            "route: {{ receiver: hook, group_wait: 1s }}\nreceivers: [ {{ name: hook, webhook_configs: [ {{ url: \"{}/alert\" }} ] }} ]\n",
            told.url()
        ),
    )
    .unwrap();
    let _node = Running::start(
        Command::new("prometheus-node-exporter")
            .arg(format!("--web.listen-address=127.0.0.1:{node}")),
    );
    let _alertmanager = Running::start(
        Command::new("prometheus-alertmanager")
            .arg(format!(
                "--config.file={}",
                folder.join("alertmanager.yml").display()
            ))
            .arg(format!("--storage.path={}", home.path("am").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{alertmanager}"))
            .arg("--cluster.listen-address="),
    );
    let _prometheus = Running::start(
        Command::new("prometheus")
            .arg(format!(
                "--config.file={}",
                folder.join("prometheus.yml").display()
            ))
            .arg(format!(
                "--storage.tsdb.path={}",
                home.path("tsdb").display()
            ))
            .arg(format!("--web.listen-address=127.0.0.1:{prometheus}")),
    );

    // calls of every kind: saved by the fallback, streamed, refused
    let client = client().build().unwrap();
    let asked = std::cell::Cell::new(0);
    let ask = async |model: &str, stream: bool| {
        // what was asked before is answered by the cache; every fourth call is
        asked.set(asked.get() + 1);
        let text = format!("hi {}", asked.get() / 4);
        let body = serde_json::json!({ "model": model, "stream": stream, "messages": [{ "role": "user", "content": text }] });
        let url = daemon.url("/v1/chat/completions");
        let answer = client.post(url).json(&body).send().await.unwrap();
        answer.bytes().await.unwrap();
    };
    let query = async |expr: &str| -> Result<Vec<Value>, String> {
        let url = format!("http://127.0.0.1:{prometheus}/api/v1/query");
        let answer = client.get(url).query(&[("query", expr)]).send().await;
        let answer: Value = answer
            .map_err(|error| error.to_string())?
            .json()
            .await
            .map_err(|error| error.to_string())?;
        let found = answer["data"]["result"]
            .as_array()
            .ok_or(answer.to_string())?;
        if found.is_empty() {
            Err(format!("no data for {expr}"))
        } else {
            Ok(found.clone())
        }
    };
    for (panel, expr) in queries(&folder) {
        until(&panel, async || {
            ask("a", false).await;
            ask("b", true).await;
            ask("c", false).await;
            query(&expr).await
        })
        .await;
    }

    // the credential of `a` is dead: the alert fires and is delivered
    let alert = until("the alert", async || {
        let seen = told.seen();
        let text = seen
            .iter()
            .map(|request| String::from_utf8_lossy(&request.body).into_owned())
            .find(|text| text.contains("MoltBotCredentialDead"));
        text.ok_or_else(|| format!("{} requests", seen.len()))
    })
    .await;
    assert!(alert.contains("moltctl auth check a"), "{alert}");
}

#[test]
fn a_second_init_changes_nothing_and_a_file_is_no_folder() {
    let home = Home::init();
    let folder = home.path("monitoring");
    home.ctl(&["monitor", "init", folder.to_str().unwrap()])
        .done();
    let again = home
        .ctl(&[
            "monitor",
            "init",
            folder.to_str().unwrap(),
            "--output",
            "json",
        ])
        .json();
    assert_eq!(again["created"].as_array().unwrap().len(), 0, "{again}");
    let file = folder.join("prometheus.yml");
    let refused = home
        .ctl(&["monitor", "init", file.to_str().unwrap()])
        .failed(2);
    assert!(refused.contains("name a folder"), "{refused}");
}
