//! Usage and money: the sums are what the upstreams counted, whatever becomes of the daemon.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use moltbot_faultd::{Fault, Mix, Server, Settings};
use moltbot_store::{Place, Store};
use moltbot_tests::Home;
use moltbot_types::{RequestId, Workspace};
use rustix::process::Signal;
use serde_json::Value;

use crate::{ask, chat, client, header};

const PRICED: &str = "    price: { input: 0.25, output: 2.00 }\n";

/// The one row that `moltctl usage` tells of all calls together.
fn total(home: &Home) -> Value {
    let rows = home.ctl(&["usage", "--by", "workspace", "--output", "json"]);
    let mut rows = rows.json();
    assert_eq!(rows.as_array().unwrap().len(), 1, "{rows}");
    rows[0].take()
}

async fn faulty(name: &str, fault: Fault, share: f64) -> Server {
    let mix = Mix::none().with(fault, share);
    let settings = Settings {
        mix,
        ..Settings::named(name)
    };
    Server::start(settings).await.expect("a free port")
}

fn streamed(model: &str) -> String {
    ask(model).replace("{\"model\"", "{\"stream\":true,\"model\"")
}

#[tokio::test(flavor = "multi_thread")]
async fn sums_equal_what_the_upstreams_counted_with_the_daemon_up_and_down() {
    let east = faulty("east", Fault::Status(503), 0.2).await;
    let west = faulty("west", Fault::Status(500), 0.1).await;
    let home = Home::with(&format!(
        "models:\n  - name: m\n{PRICED}    targets: [{{ url: \"{}\" }}, {{ url: \"{}\" }}]\n",
        east.url(),
        west.url()
    ));
    let daemon = home.start();
    let mut good = 0;
    for number in 0..60 {
        let body = if number % 2 == 0 {
            ask("m")
        } else {
            streamed("m")
        };
        let answer = chat(&daemon, body).await;
        good += u64::from(answer.status() == 200);
        answer.bytes().await.unwrap();
    }
    assert!(good > 50);
    let counts = [east.counts(), west.counts()];
    let counted = |of: fn(&moltbot_faultd::Counts) -> u64| counts.iter().map(of).sum::<u64>();
    let (input, output) = (counted(|c| c.tokens_in), counted(|c| c.tokens_out));
    assert_eq!(counted(|c| c.answers), good);
    let check = |sum: &Value| {
        assert_eq!(sum["calls"], 60, "{sum}");
        assert_eq!(sum["tokens_in"], input, "{sum}");
        assert_eq!(sum["tokens_out"], output, "{sum}");
        let cost = (input as f64 * 0.25 + output as f64 * 2.0) / 1e6;
        assert!(
            (sum["cost_usd"].as_f64().unwrap() - cost).abs() < 1e-12,
            "{sum}"
        );
        cost
    };
    let up = total(&home);
    let cost = check(&up);
    let metrics = client().get(daemon.admin_url("/metrics")).send().await;
    let metrics = metrics.unwrap().text().await.unwrap();
    let line = metrics.lines().find_map(|line| {
        line.strip_prefix("moltbot_cost_usd_total{workspace=\"default\",model=\"m\"} ")
    });
    assert!((line.unwrap().parse::<f64>().unwrap() - cost).abs() < 1e-12);
    daemon.stop();
    assert_eq!(total(&home), up);
    let table = home.ctl(&["usage"]).done();
    assert!(
        table.contains("WORKSPACE") && table.contains("default"),
        "{table}"
    );
    assert_eq!(
        home.ctl(&["usage", "--since", "1d", "--model", "m", "--output", "json"])
            .json()[0]["calls"],
        60
    );
    assert_eq!(
        home.ctl(&["usage", "--model", "n", "--output", "json"])
            .json(),
        serde_json::json!([])
    );
    home.ctl(&["usage", "--by", "colour"]).failed(2);
}

#[tokio::test(flavor = "multi_thread")]
async fn fine_print_3_a_cut_stream_is_paid_for_by_estimate() {
    let server = faulty("cut", Fault::ResetMidway, 1.0).await;
    let home = Home::with(&format!(
        "models:\n  - name: m\n{PRICED}    endpoint: \"{}\"\n",
        server.url()
    ));
    let mut daemon = home.start();
    let answer = chat(&daemon, streamed("m")).await;
    assert_eq!(answer.status(), 200);
    let id = header(&answer, "x-request-id").to_owned();
    let _ = answer.bytes().await;
    let line = daemon.line_of(&id);
    assert_eq!(line["estimated"], true, "{line}");
    let sum = total(&home);
    assert_eq!(
        (&sum["calls"], &sum["tokens_in"], &sum["tokens_out"]),
        (&1.into(), &line["tokens_in"], &line["tokens_out"])
    );
    assert!(
        sum["tokens_out"].as_u64().unwrap() > 0 && sum["cost_usd"].as_f64().unwrap() > 0.0,
        "{sum}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn no_row_of_a_completed_call_is_lost_when_the_daemon_is_killed_fifty_times() {
    let home = Home::with(
        "models: [{ name: m, provider: builtin, model: echo, price: { input: 1, output: 1 } }]\n",
    );
    let completed: Arc<Mutex<Vec<String>>> = Arc::default();
    let client = client();
    for round in 0..50 {
        let mut daemon = home.start();
        let url = daemon.url("/v1/chat/completions");
        let callers: Vec<_> = (0..4)
            .map(|caller| {
                let (url, completed) = (url.clone(), Arc::clone(&completed));
                let client = client.clone();
                #[expect(clippy::disallowed_methods, reason = "each ends with the daemon")]
                tokio::spawn(async move {
                    let body = if caller % 2 == 0 {
                        ask("m")
                    } else {
                        streamed("m")
                    };
                    loop {
                        let answer = client.post(&url).body(body.clone()).send().await;
                        let Ok(answer) = answer else { return };
                        let id = header(&answer, "x-request-id").to_owned();
                        if answer.bytes().await.is_err() {
                            return;
                        }
                        completed.lock().unwrap().push(id);
                    }
                })
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(20 + round * 37 % 150)).await;
        daemon.signal(Signal::KILL);
        daemon.ended();
        for caller in callers {
            caller.await.unwrap();
        }
    }
    let completed = std::mem::take(&mut *completed.lock().unwrap());
    assert!(
        completed.len() > 1000,
        "{} calls are too few to tell",
        completed.len()
    );
    let calls = total(&home)["calls"].as_u64().unwrap();
    assert!(
        calls >= completed.len() as u64,
        "{calls} rows, {} calls",
        completed.len()
    );
    let place = Place::Sqlite(home.path("data/moltbot.db"));
    let store = Store::open(&place).await.unwrap();
    let workspace = Workspace::default();
    let mut lost = Vec::new();
    for id in &completed {
        let request: RequestId = id.parse().unwrap();
        if store
            .ledger
            .find(&workspace, request)
            .await
            .unwrap()
            .is_none()
        {
            lost.push(id);
        }
    }
    assert!(
        lost.is_empty(),
        "{} of {} are lost: {lost:?}",
        lost.len(),
        completed.len()
    );
}
