//! Drills: a part is taken away, callers are measured, and the part comes back in every case.

use std::process::{Child, Stdio};

use moltbot_tests::{Daemon, Home, ModelServer};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

const REGIONS: &str = "region: east
models:
  - { name: alone, provider: builtin, model: echo }
  - name: m
    provider: builtin
    model: echo
    targets:
      - { name: one, region: east }
      - { name: two, region: east }
      - { name: spare, region: east, role: standby }
      - { name: far, region: west }
  - name: n
    provider: builtin
    model: echo
    targets: [ { name: near, region: east }, { name: off, region: west } ]
";

fn states(home: &Home) -> Vec<String> {
    let status = home.ctl(&["status", "--output", "json"]).json();
    let targets = status["models"][1]["targets"].as_array().unwrap();
    let states = targets
        .iter()
        .map(|target| target["state"].as_str().unwrap());
    states.map(str::to_owned).collect()
}

/// The targets that answered in a phase of a report.
fn served(report: &Value, phase: usize) -> Vec<&str> {
    let served = report["phases"][phase]["served"].as_array().unwrap();
    served
        .iter()
        .map(|by| by["target"].as_str().unwrap())
        .collect()
}

#[test]
fn a_drill_takes_the_part_that_it_names_and_no_caller_gets_an_error() {
    let home = Home::with(REGIONS);
    let _daemon = home.start();
    for (part, taken, elsewhere) in [
        ("node", vec!["one", "two"], vec!["spare"]),
        ("region", vec!["one", "two", "spare", "near"], vec!["far"]),
    ] {
        let report = home.ctl(&["drill", part, "--output", "json"]).json();
        assert_eq!(
            (&report["take"], &report["model"]),
            (&json!(part), &json!("m"))
        );
        assert_eq!(report["taken"], json!(taken));
        for phase in report["phases"].as_array().unwrap() {
            assert_eq!((&phase["calls"], &phase["errors"]), (&json!(20), &json!(0)));
        }
        // The first call may have been under way already.
        let during = served(&report, 1);
        assert!(during.contains(&elsewhere[0]), "{report}");
        assert!(
            report["elsewhere_ms"].as_f64().unwrap() < 1000.0,
            "{report}"
        );
        assert!(report["back_ms"].as_f64().unwrap() < 1000.0, "{report}");
        let after = served(&report, 2);
        assert!(taken.iter().any(|back| after.contains(back)), "{report}");
        assert_eq!(states(&home), ["up"; 4]);
    }
    let report = home.ctl(&["drill", "instance", "--output", "json"]).json();
    assert_eq!(report["taken"].as_array().unwrap().len(), 1);
    assert_eq!(report["killed"], false);
}

#[test]
fn a_report_is_written_as_its_name_says() {
    let home = Home::with(REGIONS);
    let _daemon = home.start();
    let file = |name: &str| home.path(name).display().to_string();
    let drill = |report: &str| {
        home.ctl(&["drill", "region", "--calls", "3", "--report", report])
            .done()
    };
    let shown = drill(&file("drill.md"));
    assert!(shown.contains("none of 9 callers noticed"), "{shown}");
    let written = home.read("drill.md");
    assert!(
        written.starts_with("# Drill: a region of model m"),
        "{written}"
    );
    assert!(written.contains("| during | 3 | 0 | 3 |"), "{written}");
    drill(&file("drill.json"));
    let written: Value = serde_json::from_str(&home.read("drill.json")).unwrap();
    assert_eq!(written["phases"][0]["calls"], 3);
}

#[test]
fn what_would_be_an_outage_is_no_drill() {
    let home = Home::with(REGIONS);
    home.ctl(&["drill", "region"]).failed(3);
    let _daemon = home.start();
    let said = home
        .ctl(&["drill", "instance", "--model", "alone"])
        .failed(5);
    assert!(said.contains("`fallback`"), "{said}");
    home.ctl(&["drill", "node", "--model", "nobody"]).failed(4);
    home.ctl(&["drill", "node", "--calls", "201"]).failed(2);
}

/// A drill that lasts until it is stopped, once it has taken something away.
fn begin(home: &Home, daemon: &mut Daemon) -> Child {
    let mut command = home.command("moltctl");
    let command = command.args(["drill", "region", "--calls", "60"]);
    let drill = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
    daemon.wait_for(|_| states(home).contains(&"held".to_owned()).then_some(()));
    drill.unwrap()
}

#[test]
fn what_was_taken_comes_back_when_the_drill_is_interrupted_or_killed() {
    let home = Home::with(REGIONS);
    let mut daemon = home.start();
    for signal in [Signal::INT, Signal::KILL] {
        let mut drill = begin(&home, &mut daemon);
        home.ctl(&["drill", "node"]).failed(1);
        kill_process(Pid::from_child(&drill), signal).unwrap();
        let ended = drill.wait().unwrap();
        assert_eq!(ended.code(), (signal == Signal::INT).then_some(1));
        // Left alone, the drill would hold it for another two seconds.
        let mut looks = (0..10).map(|_| states(&home));
        assert!(looks.any(|states| states == ["up"; 4]));
    }
}

#[test]
fn a_drill_kills_a_server_of_the_daemon_which_comes_back() {
    let command = ModelServer::command();
    let home = Home::with(&format!(
        "models:\n  - {{ name: local, model: smol, instance: {{ command: {command}, replicas: 2 }} }}\n"
    ));
    let mut daemon = home.start();
    daemon.wait_for(|_| {
        let status = home.ctl(&["status", "--output", "json"]).json();
        (status["models"][0]["state"] == "up").then_some(())
    });
    let report = home
        .ctl(&["drill", "instance", "--calls", "10", "--output", "json"])
        .json();
    assert_eq!(report["killed"], true);
    for phase in report["phases"].as_array().unwrap() {
        assert_eq!(phase["errors"], 0, "{report}");
    }
    assert!(report["elsewhere_ms"].is_number(), "{report}");
    assert!(report["back_ms"].as_f64().unwrap() > 100.0, "{report}");
    let log = daemon.log();
    let told = |words: &str| {
        log.iter()
            .any(|line| line["msg"].as_str().unwrap_or("").contains(words))
    };
    assert!(told("a drill takes a target away") && told("it was ended by SIGKILL"));
}
