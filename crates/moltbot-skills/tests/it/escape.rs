//! What a script or a taken-over worker might try: nothing of it leads out.

use std::net::TcpListener;
use std::process::Command;

use moltbot_skills::Outcome;
use moltbot_skills::worker::{Pool, PoolSettings};
use tokio_util::task::TaskTracker;

use crate::support::{Home, WORKER};

#[test]
fn fine_print_8_native_code_behind_the_walls_opens_connects_starts_and_sees_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let output = Command::new(env!("CARGO_BIN_EXE_moltbot-skill-escape"))
        .arg(port.to_string())
        .env_clear()
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(told.contains("holds: true"), "{told}");
    assert!(
        told.contains("tried: 18"),
        "it did not live to the end: {told}"
    );
    assert_eq!(told.matches("escaped").count(), 0, "{told}");
    listener.set_nonblocking(true).unwrap();
    assert!(listener.accept().is_err(), "somebody connected");
}

#[tokio::test]
async fn every_wall_stands_on_this_kernel() {
    let settings = PoolSettings {
        program: Some(WORKER.into()),
        ..PoolSettings::default()
    };
    let sandbox = Pool::new(settings, TaskTracker::new())
        .sandbox()
        .await
        .unwrap();
    assert!(sandbox.holds(), "{sandbox}");
}

#[tokio::test]
async fn a_worker_that_is_none_is_told_and_runs_nothing() {
    let settings = PoolSettings {
        program: Some("/bin/false".into()),
        ..PoolSettings::default()
    };
    let why = Pool::new(settings, TaskTracker::new())
        .sandbox()
        .await
        .unwrap_err();
    assert!(why.contains("ended with code 1"), "{why}");
    let without = Pool::new(PoolSettings::default(), TaskTracker::new());
    let why = without.sandbox().await.unwrap_err();
    assert!(why.contains("worker::enter()"), "{why}");
}

#[tokio::test]
async fn scripts_find_no_way_around_what_they_were_given() {
    for script in [
        "await import('/etc/passwd')",
        "await import('file:///etc/passwd')",
        "await import('os')",
        "await import('std')",
        "require('/proc/self/environ')",
        "require('../../data/skills.json')",
        "new Function('return process.env')()",
        "(0, eval)('std.open(\"/etc/passwd\")')",
        "globalThis.__moltbot.run",
        "ctx.constructor.constructor('return this')().host.ask(1, 'secret', '{}')",
        "await ctx.secret.call(ctx, 'ORDER_TOKEN')",
        "await fetch('http://169.254.169.254/')",
        "Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)",
    ] {
        let home = Home::skill(
            "",
            &format!("module.exports = async (ctx) => {{ {script}; return 'out' }}"),
        )
        .await;
        let outcome = home.run("x").await.outcome;
        assert!(
            matches!(outcome, Outcome::Fault(_)),
            "{script}: {outcome:?}"
        );
    }
}
