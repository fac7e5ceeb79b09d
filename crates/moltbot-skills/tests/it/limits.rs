//! What ends a script that does not end itself.

use std::time::Duration;

use moltbot_skills::{FaultKind, Outcome};
use tokio::time::Instant;

use crate::support::Home;

const LIMITS: &str = "limits: { cpu: 100ms, wall: 3s, memory: 16MiB }";

#[tokio::test]
async fn each_limit_ends_a_script_and_says_which() {
    for (script, what) in [
        ("for (;;) {}", "processor"),
        (
            "return new Promise(() => { const f = () => Promise.resolve().then(f); f() })",
            "processor",
        ),
        (
            "return new Promise(() => setInterval(() => {}, 10))",
            "longer than",
        ),
        (
            "await new Promise((go) => setTimeout(go, 60000))",
            "longer than",
        ),
        (
            "const all = []; for (;;) all.push(new Array(1000).fill('x'))",
            "memory",
        ),
        ("let s = 'x'; for (;;) s += s", ""),
        ("const f = () => f() + 1; return f()", "stack"),
        ("return 'x'.repeat(300 * 1024)", "256 KiB"),
        ("for (;;) ctx.log.info('x')", "processor"),
        (
            "for (let i = 0; i < 2000; i++) ctx.secret('x').catch(() => {}); await ctx.secret('x')",
            "1000 things",
        ),
    ] {
        let home = Home::skill(
            LIMITS,
            &format!("module.exports = async (ctx) => {{ {script} }}"),
        )
        .await;
        let begun = Instant::now();
        let fault = home.fault("x").await;
        assert!(
            begun.elapsed() < Duration::from_secs(4),
            "{script}: {:?}",
            begun.elapsed()
        );
        assert!(fault.message.contains(what), "{script}: {fault}");
        if !what.is_empty() {
            assert_eq!(fault.kind, FaultKind::Limit, "{script}: {fault}");
        }
    }
}

#[tokio::test]
async fn a_script_that_never_looks_up_is_killed_and_the_next_call_runs() {
    let home = Home::skill(
        LIMITS,
        "module.exports = (ctx) => ctx.text === 'x' ? [].includes.call({ length: 2 ** 53 - 1 }, 1) : 'fine'",
    )
    .await;
    let begun = Instant::now();
    let fault = home.fault("x").await;
    assert_eq!(fault.kind, FaultKind::Limit, "{fault}");
    assert!(begun.elapsed() < Duration::from_secs(4));
    assert_eq!(home.answer("y").await, "fine");
}

#[tokio::test]
async fn fine_print_8_logs_are_at_most_64_kib_a_call() {
    let home = Home::skill("", "module.exports = (ctx) => { for (let i = 0; i < 100; i++) ctx.log.info('x'.repeat(1000)); return 'ok' }").await;
    let ended = home.run("x").await;
    assert_eq!(ended.outcome, Outcome::Answer("ok".into()));
    let bytes: usize = ended.logs.iter().map(|line| line.text.len()).sum();
    assert_eq!(bytes, 64 << 10);
}

#[tokio::test]
async fn a_wait_costs_no_processor_time_and_is_not_held_against_a_script() {
    let home = Home::skill(
        "limits: { cpu: 50ms, wall: 2s }",
        "module.exports = async () => { await new Promise((go) => setTimeout(go, 400)); return 'waited' }",
    )
    .await;
    let ended = home.run("x").await;
    assert_eq!(ended.outcome, Outcome::Answer("waited".into()));
    assert!(ended.wall >= Duration::from_millis(400) && ended.cpu < Duration::from_millis(50));
}

#[tokio::test]
async fn fine_print_8_a_skill_that_breaks_limits_is_quarantined_until_it_is_enabled() {
    let home = Home::skill(
        "limits: { cpu: 20ms, wall: 500ms }",
        "module.exports = () => { for (;;) {} }",
    )
    .await;
    let workspace = Default::default();
    for _ in 0..3 {
        assert_eq!(home.library.ready(&workspace).len(), 1);
        home.fault("x").await;
    }
    assert!(home.library.ready(&workspace).is_empty());
    let listed = home.library.find(&workspace, "a").unwrap();
    let words = serde_json::to_value(listed.state).unwrap();
    assert_eq!(words, "quarantined");
    home.library.enable(&workspace, "a").unwrap();
    assert_eq!(home.library.ready(&workspace).len(), 1);
}
