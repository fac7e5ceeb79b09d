//! Section 2.6: configuration and process.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::Duration;

use futures_util::StreamExt;
use moltbot_tests::{Do, Home, Upstream};
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, prlimit};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::{DONE, FINISH, HALF, HELLO, House, alone, good, pair, question};

/// A configuration whose model answers with one word.
fn word(word: &str) -> String {
    format!(
        "models:\n  - {{ name: m, provider: builtin, model: script, params: {{ text: {word} }} }}\n"
    )
}

/// Asks until the answer holds that word.
async fn until_it_says(house: &House, word: &str) {
    let asking = async {
        while !house.ask(false).await.text.contains(word) {
            sleep(Duration::from_millis(20)).await;
        }
    };
    let said = timeout(Duration::from_secs(10), asking).await;
    assert!(said.is_ok(), "it never says {word}");
}

const REJECTED: &str = "moltbot_config_reload_total{result=\"rejected\"}";

#[tokio::test]
async fn fm_62_an_invalid_file_is_rejected_whole_and_named_everywhere() {
    let mut house = House::of(&word("alpha"));
    house
        .home
        .configure(&format!("{}  - {{ name: n, modell: x }}\n", word("beta")));
    house.until_metric(REJECTED, 1.0).await;
    assert!(house.ask(false).await.text.contains("alpha"));
    let status = house.home.ctl(&["status", "--output", "json"]).json();
    assert_eq!(status["config"]["result"], "rejected", "{status}");
    let problem = status["config"]["problems"][0].as_str().unwrap().to_owned();
    assert!(problem.contains("gateway.yaml:4:"), "{problem}");
    let url = house.daemon.admin_url("/readyz");
    let ready = crate::client().get(url).send().await.unwrap();
    assert_eq!(ready.status(), 200);
    house.daemon.wait_for(|daemon| {
        let log = daemon.log();
        let named =
            |line: &serde_json::Value| line["msg"].as_str().unwrap_or("").contains(&problem);
        log.iter().any(named).then_some(())
    });
}

#[tokio::test]
async fn fm_63_a_stream_outlives_the_target_that_a_reload_takes_away() {
    let rest = format!("{FINISH}{DONE}");
    let first = Upstream::does([vec![Do::stream(HALF), Do::Pause, Do::send(&*rest)]]).await;
    let house = House::of(&alone(&first.url(), ""));
    let answer = crate::chat(&house.daemon, question("m", true)).await;
    let mut stream = answer.bytes_stream();
    let mut text = stream.next().await.unwrap().unwrap().to_vec();
    house.home.configure(&word("beta"));
    house.home.ctl(&["config", "reload"]).done();
    until_it_says(&house, "beta").await;
    first.go_on();
    while let Some(piece) = stream.next().await {
        text.extend_from_slice(&piece.unwrap());
    }
    assert_eq!(String::from_utf8(text).unwrap(), format!("{HALF}{rest}"));
}

#[tokio::test]
async fn fm_64_files_may_be_written_by_halves_renamed_linked_and_away_for_a_while() {
    let house = House::of(&word("alpha"));
    let (file, path) = (
        "config/gateway.yaml",
        house.home.path("config/gateway.yaml"),
    );
    let text = house.home.read(file);
    let saying = |new: &str| text.replace("alpha", new);
    // by halves
    let whole = saying("beta");
    let (half, rest) = whole.split_at(whole.len() - 20);
    fs::write(&path, half).unwrap();
    sleep(Duration::from_millis(100)).await;
    fs::write(&path, format!("{half}{rest}")).unwrap();
    until_it_says(&house, "beta").await;
    // by renaming, as editors do
    house.home.write("config/.new", &saying("gamma"));
    fs::rename(house.home.path("config/.new"), &path).unwrap();
    until_it_says(&house, "gamma").await;
    // by swapping a linked folder, as orchestrators do
    for new in ["delta", "epsilon"] {
        house
            .home
            .write(&format!("config/{new}/gateway.yaml"), &saying(new));
        let swap = |target: &str, link: &str| {
            let (fresh, link) = (house.home.path("config/fresh"), house.home.path(link));
            symlink(target, &fresh).unwrap();
            fs::rename(&fresh, &link).unwrap();
        };
        swap(new, "config/data");
        swap("data/gateway.yaml", file);
        until_it_says(&house, new).await;
    }
    // away
    fs::remove_file(&path).unwrap();
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(2) {
        assert!(house.ask(false).await.text.contains("epsilon"));
        sleep(Duration::from_millis(100)).await;
    }
    fs::write(&path, saying("zeta")).unwrap();
    until_it_says(&house, "zeta").await;
    assert_eq!(house.metric(REJECTED).await, 0.0);
}

#[tokio::test]
async fn fm_65_a_write_that_is_killed_leaves_the_old_file_or_the_new_one() {
    let home = Home::with(&word("alpha"));
    let path = home.path("config/gateway.yaml");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let key = "models.m.params.text";
    let whole: Vec<String> = ["beta", "alpha"]
        .into_iter()
        .map(|value| {
            home.ctl(&["config", "set", key, value]).done();
            home.read("config/gateway.yaml")
        })
        .collect();
    for round in 0..30_u64 {
        let value = if round % 2 == 0 { "beta" } else { "alpha" };
        let mut ctl = home.command("moltctl");
        let mut child = ctl.args(["config", "set", key, value]).spawn().unwrap();
        sleep(Duration::from_millis(round)).await;
        child.kill().unwrap();
        child.wait().unwrap();
        let text = home.read("config/gateway.yaml");
        assert!(whole.contains(&text), "{text}");
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    // nothing that was left behind keeps the next one from working
    home.ctl(&["config", "set", key, "gamma"]).done();
    home.ctl(&["config", "rollback"]).done();
    assert!(whole.contains(&home.read("config/gateway.yaml")));
}

#[tokio::test]
async fn fm_66_a_rotated_secret_of_an_upstream_is_used_from_the_next_call_on() {
    let first = good(false).await;
    let home = Home::with(&alone(&first.url(), "auth: { profile: up }"));
    let rotate = |key: &str| {
        let text = format!("{{\"up\": {{\"type\": \"api_key\", \"key\": \"{key}\"}}}}");
        home.write("models/auth.json.new", &text);
        let new = home.path("models/auth.json.new");
        fs::set_permissions(&new, fs::Permissions::from_mode(0o600)).unwrap();
        fs::rename(new, home.path("models/auth.json")).unwrap();
    };
    rotate("sk-old-canary-4711");
    let daemon = home.start();
    crate::chat(&daemon, question("m", false)).await;
    assert!(first.seen()[0].head.contains("Bearer sk-old-canary-4711"));
    rotate("sk-new-canary-4711");
    home.ctl(&["config", "reload"]).done();
    crate::chat(&daemon, question("m", false)).await;
    assert!(first.seen()[1].head.contains("Bearer sk-new-canary-4711"));
    // without being told, too
    rotate("sk-last-canary-4711");
    let asking = async {
        loop {
            crate::chat(&daemon, question("m", false)).await;
            if first.seen().last().unwrap().head.contains("sk-last-canary") {
                return;
            }
            sleep(Duration::from_millis(50)).await;
        }
    };
    let used = timeout(Duration::from_secs(10), asking).await;
    assert!(used.is_ok(), "the new secret is not used");
}

#[tokio::test]
async fn fm_66_a_callers_old_key_is_refused_within_a_second() {
    let home = Home::init();
    for key in ["server.listen", "server.admin"] {
        home.ctl(&["config", "set", key, "127.0.0.1:0"]).done();
    }
    let daemon = home.start();
    let list = async |key: &str| {
        let request = crate::client().get(daemon.url("/v1/models"));
        let answer = request.bearer_auth(key).send().await.unwrap();
        answer.status().as_u16()
    };
    let mut old = home.read("config/key").trim().to_owned();
    let mut fastest = Duration::MAX;
    for round in 0..3 {
        assert_eq!(list(&old).await, 200);
        let new = old.replace(&old[old.len() - 2..], &format!("{round}z"));
        let begun = Instant::now();
        home.write("config/key", &new);
        while list(&old).await != 401 {
            assert!(
                begun.elapsed() < Duration::from_secs(10),
                "the old key still works"
            );
            sleep(Duration::from_millis(20)).await;
        }
        fastest = fastest.min(begun.elapsed());
        assert_eq!(list(&new).await, 200);
        old = new;
    }
    assert!(fastest < Duration::from_secs(1), "{fastest:?}");
}

const LOST: &str = "moltbot_log_lines_dropped_total";

#[tokio::test]
async fn fm_67_a_full_disk_costs_log_lines_which_are_counted_and_no_call() {
    let mut house = House::of(&word("alpha"));
    let told = house.ask(false).await;
    house.line_of(&told);
    let daemon = i32::try_from(house.daemon.pid())
        .ok()
        .and_then(Pid::from_raw);
    let may_write = |bytes| {
        let limit = Rlimit {
            current: bytes,
            maximum: getrlimit(Resource::Fsize).maximum,
        };
        prlimit(daemon, Resource::Fsize, limit).unwrap();
    };
    may_write(Some(0));
    let calls = async {
        while house.metric(LOST).await < 10.0 {
            assert!(house.ask(false).await.text.contains("alpha"));
        }
    };
    let counted = timeout(Duration::from_secs(10), calls).await;
    assert!(counted.is_ok(), "no line is counted as lost");
    may_write(None);
    house.ask(false).await;
    house.daemon.wait_for(|daemon| {
        let log = daemon.log();
        log.iter()
            .any(|line| line["level"] == "warn" && line["lines"].as_u64() >= Some(10))
            .then_some(())
    });
    let told = house.ask(false).await;
    house.line_of(&told);
}

#[tokio::test]
async fn fm_73_the_first_signal_lets_bodies_end_and_the_port_is_closed_meanwhile() {
    let rest = format!("{FINISH}{DONE}");
    let first = Upstream::does([vec![Do::stream(HALF), Do::Pause, Do::send(&*rest)]]).await;
    let mut house = House::of(&alone(&first.url(), ""));
    let answer = crate::chat(&house.daemon, question("m", true)).await;
    house.daemon.signal(Signal::TERM);
    let listen = house.daemon.listen().to_owned();
    house
        .daemon
        .wait_for(|_| std::net::TcpStream::connect(&listen).is_err().then_some(()));
    first.go_on();
    assert_eq!(answer.text().await.unwrap(), format!("{HALF}{rest}"));
    assert!(house.daemon.ended().success());
    let log = house.daemon.log();
    assert!(log.iter().any(|line| line["msg"] == "the gateway is down"));
}

#[tokio::test]
async fn fm_73_a_second_signal_ends_at_once() {
    let first = Upstream::does([vec![Do::Hang]]).await;
    let second = good(false).await;
    let mut house = House::of(&pair(&first.url(), &second.url(), ""));
    let listen = house.daemon.listen().to_owned();
    let call = crate::client()
        .post(house.daemon.url("/v1/chat/completions"))
        .body(question("m", false));
    let mut calls = JoinSet::new();
    calls.spawn(call.send());
    first.until_asked(1).await;
    house.daemon.signal(Signal::TERM);
    house
        .daemon
        .wait_for(|_| std::net::TcpStream::connect(&listen).is_err().then_some(()));
    let begun = Instant::now();
    house.daemon.signal(Signal::TERM);
    assert_eq!(house.daemon.ended().code(), Some(130));
    assert!(begun.elapsed() < Duration::from_secs(2));
    // what was logged until then is in the file
    let log = house.daemon.log();
    assert!(log.iter().any(|line| line["msg"] == "draining"));
}

#[tokio::test]
async fn fm_77_the_state_of_background_tasks_is_shown() {
    let first = Upstream::says(HELLO).await;
    let house = House::of(&alone(&first.url(), ""));
    let url = house.daemon.admin_url("/readyz");
    let answer = crate::client().get(url).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.text().await.unwrap(), "ready\n");
    assert_eq!(house.metric("moltbot_panics_total").await, 0.0);
}
