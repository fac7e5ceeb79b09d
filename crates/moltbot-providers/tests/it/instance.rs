//! Real processes: servers that start, crash, hang, refuse to end, and whose owner is killed.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use moltbot_providers::instance::{Replica, State, Status};
use moltbot_providers::{Client, ClientSettings, InstanceSettings, Instances, SetupError};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// A program that is built beside the tests.
fn program(name: &str) -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let path = tests
        .ancestors()
        .nth(2)
        .unwrap()
        .join("examples")
        .join(name);
    assert!(path.exists(), "build it: cargo build --examples ({name})");
    path
}

/// The command of a server in a mode.
fn server(mode: &str) -> Vec<String> {
    let program = program("model-server").to_str().unwrap().to_owned();
    vec![program, "{port}".to_owned(), mode.to_owned()]
}

/// Quick enough for tests.
fn settings(command: Vec<String>) -> InstanceSettings {
    InstanceSettings {
        name: "m".to_owned(),
        command,
        ready_within: Duration::from_secs(20),
        probe_every: Duration::from_millis(100),
        probe_timeout: Duration::from_millis(500),
        backoff_first: Duration::from_millis(100),
        grace: Duration::from_secs(2),
        guard: Some(program("instances")),
        ..InstanceSettings::default()
    }
}

struct House {
    instances: Instances,
    tracker: TaskTracker,
    cancel: CancellationToken,
}

impl House {
    fn start(settings: InstanceSettings) -> Self {
        let client = Client::new(ClientSettings::default()).unwrap();
        let (tracker, cancel) = (TaskTracker::new(), CancellationToken::new());
        let instances = Instances::start(settings, client, &tracker, cancel.clone()).unwrap();
        Self {
            instances,
            tracker,
            cancel,
        }
    }

    fn first(&self) -> &Replica {
        &self.instances.replicas()[0]
    }

    /// Stops everything, and tells how long that took.
    async fn drain(self) -> Duration {
        let begun = Instant::now();
        self.cancel.cancel();
        self.tracker.close();
        timeout(Duration::from_secs(20), self.tracker.wait())
            .await
            .unwrap();
        for replica in self.instances.replicas() {
            assert_eq!(replica.status().state, State::Stopped);
            assert_eq!(replica.status().pid, None);
        }
        begun.elapsed()
    }
}

/// Waits until the replica is so.
async fn until(replica: &Replica, what: impl Fn(&Status) -> bool) -> Status {
    let mut changes = replica.watch();
    let found = timeout(
        Duration::from_secs(30),
        changes.wait_for(|status| what(status)),
    )
    .await;
    match found {
        Ok(status) => status.unwrap().clone(),
        Err(_) => panic!("it is still {:?}", replica.status()),
    }
}

async fn until_ready(replica: &Replica) -> Status {
    until(replica, Status::is_ready).await
}

fn pid(number: u32) -> Pid {
    Pid::from_raw(number as i32).unwrap()
}

fn lives(number: u32) -> bool {
    test_kill_process(pid(number)).is_ok()
}

async fn until_gone(number: u32, within: Duration) {
    let begun = Instant::now();
    while lives(number) {
        assert!(begun.elapsed() < within, "{number} lives on");
        sleep(Duration::from_millis(20)).await;
    }
}

async fn get(replica: &Replica, path: &str) -> String {
    let address = replica.status().address;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer).await; // a crash resets the connection
    let (_, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
    body.to_owned()
}

/// The server and its worker.
async fn pids(replica: &Replica) -> (u32, u32) {
    let told = get(replica, "/pids").await;
    let (server, worker) = told.split_once(' ').unwrap();
    (server.parse().unwrap(), worker.parse().unwrap())
}

#[tokio::test]
async fn replicas_become_ready_on_ports_of_their_own_and_drain_stops_them_all() {
    let house = House::start(InstanceSettings {
        replicas: 3,
        ..settings(server(""))
    });
    assert_eq!(house.first().status().state, State::Starting);
    let mut urls = Vec::new();
    let mut servers = Vec::new();
    for replica in house.instances.replicas() {
        let status = until_ready(replica).await;
        assert_eq!((status.restarts, status.late), (0, false));
        assert_eq!(status.pid, Some(pids(replica).await.0));
        servers.push(status.pid.unwrap());
        urls.push(replica.base_url());
    }
    urls.sort();
    urls.dedup();
    assert_eq!(urls.len(), 3);
    let took = house.drain().await;
    assert!(took < Duration::from_secs(2), "they obey SIGTERM: {took:?}");
    assert!(!servers.into_iter().any(lives));
}

#[tokio::test]
async fn a_crashed_server_is_started_anew_at_the_same_address() {
    let house = House::start(settings(server("")));
    let before = until_ready(house.first()).await;
    get(house.first(), "/crash").await;
    let down = until(house.first(), |status| status.state == State::BackingOff).await;
    let reason = down.reason.unwrap();
    assert!(reason.contains("status 3"), "{reason}");
    let after = until_ready(house.first()).await;
    assert_eq!(after.restarts, 1);
    assert_eq!(after.address, before.address);
    assert_ne!(after.pid, before.pid);
    house.drain().await;
}

#[tokio::test]
async fn a_server_whose_port_was_taken_moves_to_another() {
    let house = House::start(InstanceSettings {
        backoff_first: Duration::from_millis(500),
        ..settings(server(""))
    });
    let before = until_ready(house.first()).await;
    get(house.first(), "/crash").await;
    until(house.first(), |status| status.state == State::BackingOff).await;
    let thief = tokio::net::TcpListener::bind(before.address).await.unwrap();
    let after = until(house.first(), |status| {
        status.restarts == 1 && status.is_ready()
    })
    .await;
    assert_ne!(after.address, before.address);
    drop(thief);
    house.drain().await;
}

#[tokio::test]
async fn a_stopped_server_is_found_and_replaced() {
    let house = House::start(settings(server("")));
    let before = until_ready(house.first()).await.pid.unwrap();
    kill_process(pid(before), Signal::STOP).unwrap();
    until(house.first(), |status| status.state == State::Unresponsive).await;
    assert!(!house.first().is_ready());
    let down = until(house.first(), |status| status.state == State::BackingOff).await;
    let reason = down.reason.unwrap();
    assert!(reason.contains("it hangs"), "{reason}");
    let after = until_ready(house.first()).await;
    assert_ne!(after.pid, Some(before));
    assert!(!lives(before));
    house.drain().await;
}

#[tokio::test]
async fn a_server_that_is_silent_for_a_moment_is_kept() {
    let house = House::start(InstanceSettings {
        hung_after: 100,
        ..settings(server(""))
    });
    let before = until_ready(house.first()).await.pid;
    kill_process(pid(before.unwrap()), Signal::STOP).unwrap();
    until(house.first(), |status| status.state == State::Unresponsive).await;
    kill_process(pid(before.unwrap()), Signal::CONT).unwrap();
    let after = until_ready(house.first()).await;
    assert_eq!((after.pid, after.restarts), (before, 0));
    house.drain().await;
}

#[tokio::test]
async fn a_server_that_never_is_ready_is_late_and_started_anew() {
    let house = House::start(InstanceSettings {
        ready_within: Duration::from_millis(500),
        ..settings(server("never"))
    });
    let down = until(house.first(), |status| status.state == State::BackingOff).await;
    assert!(down.late);
    let reason = down.reason.unwrap();
    assert!(
        reason.contains("did not become ready within 500ms"),
        "{reason}"
    );
    let again = until(house.first(), |status| status.restarts == 2).await;
    assert!(again.late);
    house.drain().await;
}

#[tokio::test]
async fn a_server_that_works_on_its_start_is_late_but_not_killed() {
    let house = House::start(InstanceSettings {
        ready_within: Duration::from_secs(1),
        ..settings(server("slow"))
    });
    until(house.first(), |status| status.late).await;
    let status = until_ready(house.first()).await;
    assert_eq!((status.restarts, status.late), (0, true));
    house.drain().await;
}

#[tokio::test]
async fn a_missing_program_is_told_in_one_sentence_and_tried_with_growing_waits() {
    let house = House::start(settings(vec!["no-such-server".into(), "{port}".into()]));
    let down = until(house.first(), |status| status.state == State::BackingOff).await;
    assert_eq!(
        down.reason.as_deref(),
        Some(
            "the program `no-such-server` was not found: install it, or write its full path in `instance.command`"
        )
    );
    sleep(Duration::from_secs(2)).await;
    let restarts = house.first().status().restarts;
    assert!((2..=5).contains(&restarts), "{restarts} in two seconds");
    house.drain().await;
}

#[tokio::test]
async fn a_server_that_ignores_sigterm_is_killed_after_its_grace() {
    let ignore = format!(
        "trap '' TERM; exec {} $0",
        program("model-server").display()
    );
    let command = ["/bin/sh", "-c", &ignore, "{port}"].map(str::to_owned);
    let house = House::start(InstanceSettings {
        grace: Duration::from_millis(500),
        ..settings(command.to_vec())
    });
    let server = until_ready(house.first()).await.pid.unwrap();
    let took = house.drain().await;
    assert!(took >= Duration::from_millis(500), "{took:?}");
    assert!(!lives(server));
}

#[tokio::test]
async fn workers_that_left_the_process_group_end_with_their_server() {
    let house = House::start(settings(server("worker")));
    until_ready(house.first()).await;
    let (_, worker) = pids(house.first()).await;
    assert!(lives(worker));
    get(house.first(), "/crash").await;
    until_gone(worker, Duration::from_secs(5)).await;
    until_ready(house.first()).await;
    let (_, worker) = pids(house.first()).await;
    house.drain().await;
    assert!(!lives(worker));
}

#[tokio::test]
async fn a_server_ends_with_its_guard_and_is_started_anew() {
    let house = House::start(settings(server("")));
    let server = until_ready(house.first()).await.pid.unwrap();
    kill_process(pid(parent(server)), Signal::KILL).unwrap();
    until(house.first(), |status| status.state == State::BackingOff).await;
    until_gone(server, Duration::from_secs(5)).await;
    until_ready(house.first()).await;
    house.drain().await;
}

fn parent(number: u32) -> u32 {
    let stat = std::fs::read_to_string(format!("/proc/{number}/stat")).unwrap();
    let (_, fields) = stat.rsplit_once(')').unwrap();
    fields.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn no_process_outlives_an_owner_that_was_killed() {
    let mut owner = Command::new(program("instances"))
        .args(server("worker").iter())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // Lines such as `0 ready http://127.0.0.1:20000 4711`.
    let lines = BufReader::new(owner.stdout.take().unwrap()).lines();
    let mut servers = Vec::new();
    for line in lines.map(Result::unwrap) {
        let words: Vec<&str> = line.split(' ').collect();
        if words[1] == "ready" {
            servers.push((words[2].to_owned(), words[3].parse::<u32>().unwrap()));
        }
        if servers.len() == 2 {
            break;
        }
    }
    let mut all = Vec::new();
    for (url, server) in servers {
        let address = url.strip_prefix("http://").unwrap();
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        stream.write_all(b"GET /pids HTTP/1.1\r\n\r\n").unwrap();
        let told = std::io::read_to_string(stream).unwrap();
        let worker = told.rsplit(' ').next().unwrap().parse().unwrap();
        all.extend([server, worker, parent(server)]);
    }
    assert!(all.iter().copied().all(lives));
    owner.kill().unwrap();
    owner.wait().unwrap();
    for process in all {
        until_gone(process, Duration::from_secs(10)).await;
    }
}

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn what_a_server_prints_is_in_the_log() {
    let written = Written::default();
    let writer = written.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let _log = tracing::subscriber::set_default(subscriber);
    let house = House::start(settings(server("chatter")));
    until_ready(house.first()).await;
    house.drain().await;
    let log = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
    for stream in ["stdout", "stderr"] {
        let line = log
            .lines()
            .find(|line| line.contains(&format!("a line to {stream}")));
        let line = line.unwrap_or_else(|| panic!("{log}"));
        assert!(line.contains("INFO moltbot::instance:"), "{line}");
        assert!(line.contains(r#"model="m""#), "{line}");
    }
}

#[tokio::test]
async fn settings_that_can_never_work_are_refused() {
    let start = |settings| {
        let client = Client::new(ClientSettings::default()).unwrap();
        let started = Instances::start(
            settings,
            client,
            &TaskTracker::new(),
            CancellationToken::new(),
        );
        let error: SetupError = started.unwrap_err();
        error.to_string()
    };
    let error = start(settings(Vec::new()));
    assert_eq!(error, "instance `m` can't be set up: its command is empty");
    let error = start(InstanceSettings {
        guard: None,
        ..settings(server(""))
    });
    assert!(error.contains("guard::enter()"), "{error}");
}

#[test]
fn a_guard_by_hand_ends_at_once() {
    let status = Command::new(program("instances"))
        .args(["--guard-instance", "sleep", "1000"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(!status.success());
}
