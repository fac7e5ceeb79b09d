//! Model servers that the daemon runs itself: the real one, killed, stopped, changed and left behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use moltbot_tests::{Daemon, Home, ModelServer, command, descendants};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::{ask, chat, client, header};

/// A model `local` with so many servers of the real kind; `more` are keys of the model, or further models.
fn model(replicas: usize, more: &str) -> String {
    let command = ModelServer::command();
    format!(
        "models:\n  - name: local\n    model: smol\n    instance: {{ command: {command}, replicas: {replicas} }}\n{more}"
    )
}

/// The servers of the daemon, without their guards.
fn servers(pid: u32) -> Vec<u32> {
    let below = descendants(pid).into_iter();
    let servers = below.filter(|(_, command)| !command.starts_with("instance"));
    servers.map(|(pid, _)| pid).collect()
}

/// The servers of the daemon and their guards.
fn all_below(pid: u32) -> Vec<u32> {
    let below = descendants(pid).into_iter();
    below.map(|(pid, _)| pid).collect()
}

fn signal(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

fn targets(home: &Home) -> Value {
    let status = home.ctl(&["status", "--output", "json"]).json();
    status["models"][0]["targets"].clone()
}

/// Waits until all targets of the first model are up; it may take as long as a hanging server is watched.
async fn until_up(home: &Home) {
    let mut seen = Value::Null;
    for _ in 0..500 {
        seen = targets(home);
        if seen
            .as_array()
            .unwrap()
            .iter()
            .all(|at| at["state"] == "up")
        {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("they are not all up: {seen}");
}

/// Waits until another server runs in the place of that one, which goes when it is found to hang.
async fn until_replaced(daemon: &Daemon, replicas: usize, gone: u32) {
    for _ in 0..600 {
        let servers = servers(daemon.pid());
        if servers.len() == replicas && !servers.contains(&gone) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{gone} was not replaced");
}

/// Waits until no process of these is left.
async fn until_gone(pids: &[u32], within: Duration) {
    let mut waited = Duration::ZERO;
    while pids.iter().any(|pid| command(*pid).is_some()) {
        assert!(waited < within, "{pids:?} are still there");
        tokio::time::sleep(Duration::from_millis(50)).await;
        waited += Duration::from_millis(50);
    }
}

/// Asks again and again until `over`; counts the answers. A caller may hear of a failure only where a
/// part of its answer has gone out already.
async fn load(daemon: Arc<Daemon>, stream: bool, over: Arc<AtomicBool>, calls: Arc<AtomicUsize>) {
    let client = moltbot_tests::client()
        .timeout(Duration::from_secs(60))
        .pool_max_idle_per_host(0) // a cut answer ends its connection
        .build()
        .unwrap();
    let body = json!({
        "model": "local", "max_tokens": 8, "stream": stream,
        "messages": [{ "role": "user", "content": "Say hello" }],
    });
    while !over.load(Ordering::Relaxed) {
        let request = client.post(daemon.url("/v1/chat/completions"));
        let answer = request.body(body.to_string()).send().await.unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        assert_eq!(status, 200, "{text}");
        let cut = text.contains("\"content\"") && text.contains("\"error\"");
        assert!(
            !stream || text.ends_with("data: [DONE]\n\n") || cut,
            "{text}"
        );
        calls.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_do_not_notice_that_a_server_is_killed_and_another_one_hangs() {
    let home = Home::with(&model(2, ""));
    let daemon = Arc::new(home.start());
    until_up(&home).await;
    let (over, calls) = (Arc::new(AtomicBool::new(false)), Arc::default());
    let mut callers = tokio::task::JoinSet::new();
    for number in 0..4 {
        let (daemon, over, calls) = (daemon.clone(), over.clone(), Arc::clone(&calls));
        callers.spawn(load(daemon, number % 2 == 0, over, calls));
    }
    tokio::time::sleep(Duration::from_secs(1)).await;

    let first = servers(daemon.pid());
    assert_eq!(first.len(), 2);
    signal(first[0], Signal::KILL);
    until_replaced(&daemon, 2, first[0]).await;
    until_up(&home).await;

    signal(first[1], Signal::STOP);
    until_replaced(&daemon, 2, first[1]).await;
    until_up(&home).await;

    let before = calls.load(Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs(1)).await;
    over.store(true, Ordering::Relaxed);
    while let Some(caller) = callers.join_next().await {
        caller.unwrap();
    }
    assert!(calls.load(Ordering::Relaxed) > before);
    let told = |words: &str| {
        let log = daemon.log();
        let mut messages = log.iter().map(|line| line["msg"].as_str().unwrap_or(""));
        messages.any(|message| message.contains(words))
    };
    assert!(told("it was ended by SIGKILL") && told("it hangs"));
    // What the server itself prints stands there, too.
    assert!(daemon.log().iter().any(|line| line["stream"] == "stdout"));
}

#[tokio::test]
async fn a_drain_leaves_no_server() {
    let home = Home::with(&model(2, ""));
    let daemon = home.start();
    until_up(&home).await;
    let pids = all_below(daemon.pid());
    assert!(pids.len() >= 4, "guards and servers: {pids:?}");
    // One that hangs does not hear that it shall end.
    signal(servers(daemon.pid())[0], Signal::STOP);
    assert!(daemon.stop().success());
    until_gone(&pids, Duration::ZERO).await;
}

#[tokio::test]
async fn a_killed_daemon_leaves_no_server() {
    let home = Home::with(&model(2, ""));
    let mut daemon = home.start();
    until_up(&home).await;
    let pids = all_below(daemon.pid());
    daemon.signal(Signal::KILL);
    daemon.ended();
    until_gone(&pids, Duration::from_secs(10)).await;
}

#[tokio::test]
async fn calls_follow_a_server_whose_port_was_taken() {
    let home = Home::with(&model(1, ""));
    let mut daemon = home.start();
    until_up(&home).await;
    let server = servers(daemon.pid())[0];
    let words = command(server).unwrap();
    let mut words = words.split(' ').skip_while(|word| *word != "--port");
    let port: u16 = words.nth(1).unwrap().parse().unwrap();
    signal(server, Signal::KILL);
    // The system closes its socket a moment after it; the next server waits for half a second.
    let _taken = daemon.wait_for(|_| std::net::TcpListener::bind(("127.0.0.1", port)).ok());
    until_replaced(&daemon, 1, server).await;
    until_up(&home).await;
    let body = json!({ "model": "local", "max_tokens": 1, "messages": [{ "role": "user", "content": "Hi" }] });
    let answer = chat(&daemon, body.to_string()).await;
    assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
}

#[tokio::test]
async fn a_reload_keeps_servers_restarts_changed_ones_and_ends_those_that_are_gone() {
    let spare = "  - { name: spare, provider: builtin, model: echo }\n";
    let home = Home::with(&model(1, spare));
    let daemon = home.start();
    until_up(&home).await;
    let first = servers(daemon.pid());

    let params = format!("    params: {{ max_tokens: 4 }}\n{spare}");
    home.configure(&model(1, &params));
    home.ctl(&["config", "reload"]).done();
    assert_eq!(targets(&home)[0]["state"], "up");
    assert_eq!(servers(daemon.pid()), first);

    home.configure(&model(2, spare));
    home.ctl(&["config", "reload"]).done();
    until_gone(&first, Duration::from_secs(10)).await;
    until_up(&home).await;
    let second = servers(daemon.pid());
    assert_eq!(second.len(), 2);

    // A call that is under way keeps its server until its last byte.
    let body = json!({
        "model": "local", "max_tokens": 100, "stream": true,
        "messages": [{ "role": "user", "content": "Tell me a long story" }],
    });
    let mut answer = chat(&daemon, body.to_string()).await;
    answer.chunk().await.unwrap().unwrap();
    home.configure(&format!("models:\n{spare}"));
    home.ctl(&["config", "reload"]).done();
    let rest = answer.text().await.unwrap();
    assert!(rest.matches("data: ").count() > 3, "{rest}");
    assert!(rest.ends_with("data: [DONE]\n\n"), "{rest}");
    until_gone(&second, Duration::from_secs(10)).await;
    assert_eq!(servers(daemon.pid()), Vec::<u32>::new());
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told_and_its_fallback_answers() {
    let home = Home::with(
        "models:\n  - { name: local, instance: { command: [no-such-server] }, fallback: spare }\n  - { name: spare, provider: builtin, model: echo }\n",
    );
    let mut daemon = home.start();
    let answer = chat(&daemon, ask("local")).await;
    assert_eq!(
        (answer.status().as_u16(), header(&answer, "x-moltbot-model")),
        (200, "spare")
    );
    let reason = daemon.wait_for(|_| {
        let target = targets(&home)[0].clone();
        assert_eq!(
            (&target["target"], &target["state"]),
            (&json!("local/0"), &json!("held"))
        );
        let reason = target["reason"].as_str().unwrap().to_owned();
        reason.starts_with("backing_off").then_some(reason)
    });
    assert!(
        reason.contains("`no-such-server` was not found"),
        "{reason}"
    );
    let metrics = client()
        .get(daemon.admin_url("/metrics"))
        .send()
        .await
        .unwrap();
    let metrics = metrics.text().await.unwrap();
    let down = "moltbot_target_up{model=\"local\",target=\"local/0\"} 0";
    assert!(metrics.contains(down), "{metrics}");
    let shown = home.ctl(&["model", "show", "local"]).done();
    assert!(shown.contains("target    local/0"), "{shown}");
}

#[test]
fn a_server_of_the_daemon_is_not_tried_without_it() {
    let home = Home::with(
        "models:\n  - { name: local, instance: { command: [no-such-server] } }\n  - { name: spare, provider: builtin, model: echo }\n",
    );
    home.ctl(&["model", "test", "local"]).failed(3);
    home.ctl(&["model", "test", "spare"]).done();
}
