//! `moltbotd --demo`: what it prints can be pasted, in order.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use moltbot_tests::Home;
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::Instant;

#[test]
fn the_five_things_to_try_work_and_the_home_is_removed() {
    let folder = Home::empty();
    let begun = Instant::now();
    let mut demo = folder
        .command("moltbotd")
        .arg("--demo")
        .env("MOLTBOT_SERVER__LISTEN", "127.0.0.1:0")
        .env("MOLTBOT_SERVER__ADMIN", "127.0.0.1:0")
        .env("TMPDIR", folder.root())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut commands = Vec::new();
    for line in BufReader::new(demo.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        if line.starts_with("   ") {
            commands.push(line.trim().to_owned());
        }
        if commands.len() == 5 {
            break;
        }
    }
    let started = begun.elapsed();
    let outputs: Vec<String> = commands
        .iter()
        .map(|command| {
            let output = Command::new("bash").args(["-c", command]).output().unwrap();
            assert!(output.status.success(), "{command}: {output:?}");
            String::from_utf8(output.stdout).unwrap()
        })
        .collect();
    kill_process(Pid::from_child(&demo), Signal::INT).unwrap();
    assert!(demo.wait().unwrap().success());
    assert!(outputs[0].contains("\"chat.completion\""), "{}", outputs[0]);
    assert!(outputs[1].ends_with("data: [DONE]\n\n"), "{}", outputs[1]);
    assert!(!outputs[2].trim().is_empty());
    assert!(outputs[3].contains("first"), "{}", outputs[3]);
    assert!(
        outputs[4].contains("x-moltbot-model: second"),
        "{}",
        outputs[4]
    );
    assert!(started.as_secs() < 10, "{started:?}");
    let left: Vec<_> = std::fs::read_dir(folder.root()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}
