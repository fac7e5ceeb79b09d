use std::time::Duration;

use moltbot_types::record::Level;
use moltbot_types::{CallError, Kind, Outcome, Retry};
use tokio::time::{Instant, sleep, timeout};

use super::*;
use crate::testing::{
    answer, call, content, end, failure, outcomes, path, refusal, role, target, wait,
};

fn limited(millis: u64) -> CallError {
    let rest = Duration::from_millis(millis);
    CallError::new(Kind::RateLimited, "slow down")
        .retry(Retry::After(rest))
        .retry_after(rest)
}

fn refused_prompt(kind: Kind) -> CallError {
    CallError::new(kind, "not this prompt")
}

// Where the first choice must be known, the other target is a standby.

#[tokio::test(start_paused = true)]
async fn a_slow_target_is_left_for_the_next() {
    let house = path([target("a").hangs(), target("b").standby().says("hello")]);
    assert_eq!(house.ask().await, answer("hello").from("b").after(2));
}

#[tokio::test(start_paused = true)]
async fn fm_01_a_dead_target_is_left_at_once() {
    let house = path([target("a").fails(503), target("b").standby().says("hello")]);
    let begun = Instant::now();
    assert_eq!(house.ask().await, answer("hello").from("b").after(2));
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn fm_23_a_target_that_is_alone_is_asked_again_after_a_wait() {
    let house = path([target("a").fails(500).says("hello")]);
    let begun = Instant::now();
    assert_eq!(house.ask().await, answer("hello").from("a").after(2));
    assert!((100..=301).contains(&begun.elapsed().as_millis()));
}

#[tokio::test(start_paused = true)]
async fn fm_14_a_stream_that_fails_before_content_is_answered_by_another() {
    let house = path([
        target("a").streams([role(), wait(1)]),
        target("b").standby().streams([content("hi"), end()]),
    ]);
    assert_eq!(house.stream().await, answer("hi.").from("b").after(2));
}

#[tokio::test(start_paused = true)]
async fn no_target_is_asked_twice_while_another_is_left() {
    let ids = ["a", "b", "c", "d"];
    let house = path(ids.map(|id| target(id).fails(500)));
    let attempts = house.attempts().await;
    let mut first: Vec<_> = attempts[..4].iter().map(|a| a.target.to_string()).collect();
    first.sort();
    assert_eq!(first, ids);
    assert_eq!(attempts.len(), 6);
}

#[tokio::test(start_paused = true)]
async fn attempts_are_bounded_over_all_targets_and_models() {
    let house = path(["a", "b", "c", "d"].map(|id| target(id).fails(500)))
        .model(
            "spare",
            ["e", "f", "g", "h"].map(|id| target(id).fails(500)),
        )
        .fallback(&["spare"]);
    assert_eq!(house.attempts().await.len(), 6);
}

#[tokio::test(start_paused = true)]
async fn a_model_whose_targets_all_failed_is_answered_by_its_fallback() {
    let house = path([target("a").fails(500), target("b").fails(500)])
        .model("spare", [target("c").says("hello")])
        .fallback(&["unknown", "spare"]);
    assert_eq!(house.ask().await, answer("hello").from("c").after(3));
    let house = path([target("a").fails(500)])
        .model("spare", [target("c").says("hello")])
        .fallback(&["spare"]);
    // Alone, it gets a second chance before the fallback.
    assert_eq!(house.ask().await, answer("hello").from("c").after(3));
    assert_eq!(house.asked("a"), 2);
}

#[tokio::test(start_paused = true)]
async fn a_repeat_that_cannot_be_made_does_not_keep_the_fallback_from_answering() {
    let house = |total| {
        path([target("a").fails(500)])
            .with(|route| route.total = total)
            .model("spare", [target("b").says("hello")])
            .fallback(&["spare"])
    };
    let hurried = house(Duration::from_millis(90));
    assert_eq!(hurried.ask().await, answer("hello").from("b").after(2));
    let poor = house(Duration::from_secs(60));
    while poor.budgets.repeat() {}
    assert_eq!(poor.ask().await, answer("hello").from("b").after(2));
}

#[tokio::test(start_paused = true)]
async fn a_fallback_has_fallbacks_of_its_own_and_circles_end() {
    let house = path([target("a").fails(404)])
        .model("spare", [target("b").fails(404)])
        .with(|spare| spare.fallback = vec!["m".into(), "last".into()])
        .model("last", [target("c").says("hello")])
        .fallback(&["spare"]);
    assert_eq!(house.ask().await, answer("hello").from("c").after(3));
}

#[tokio::test(start_paused = true)]
async fn each_move_has_its_level() {
    let house = path([
        target("a").region("east").fails(500),
        target("b").region("east").fails(500),
        target("c").region("east").standby().fails(500),
        target("d").region("west").fails(500),
    ])
    .with(|route| route.region = Some("east".into()))
    .model("spare", [target("e").says("hello")])
    .fallback(&["spare"]);
    let levels: Vec<_> = house.attempts().await.iter().map(|a| a.level).collect();
    let expected = [
        None,
        Some(Level::Instance),
        Some(Level::Node),
        Some(Level::Region),
        Some(Level::Model),
    ];
    assert_eq!(levels, expected);
}

#[tokio::test(start_paused = true)]
async fn a_repeat_on_the_same_target_is_no_move() {
    let attempts = path([target("a").fails(500)]).attempts().await;
    assert!(attempts.len() > 1);
    assert!(attempts.iter().all(|attempt| attempt.level.is_none()));
}

#[tokio::test(start_paused = true)]
async fn fm_27_the_callers_own_fault_is_told_as_it_is() {
    let house = path([target("a").fails(400), target("b").standby().says("hello")]);
    assert_eq!(house.ask().await, refusal(400, "invalid_request"));
    assert_eq!(house.refused().await.to_string(), "status 400");
}

#[tokio::test(start_paused = true)]
async fn fm_29_a_refused_credential_is_not_used_again() {
    let house = path([
        target("a").credential("k1").fails(401),
        target("b").credential("k1").standby().says("never asked"),
        target("c").credential("k2").region("west").says("hello"),
    ]);
    assert_eq!(house.ask().await, answer("hello").from("c").after(2));
    assert_eq!(house.asked("b"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_model_that_one_target_does_not_know_is_asked_for_elsewhere_as_the_same_caller() {
    let house = path([
        target("a").credential("k").fails(404),
        target("b").credential("k").standby().says("hello"),
    ]);
    assert_eq!(house.ask().await, answer("hello").from("b").after(2));
}

#[tokio::test(start_paused = true)]
async fn when_nothing_is_left_the_caller_hears_what_all_had_in_common() {
    let told = async |a: u16, b: u16| {
        let house = path([target("a").fails(a)])
            .model("spare", [target("b").fails(b)])
            .fallback(&["spare"]);
        let error = house.refused().await;
        (error.status().as_u16(), error.word())
    };
    assert_eq!(told(401, 403).await, (502, "upstream_auth"));
    assert_eq!(told(402, 402).await, (502, "upstream_auth"));
    assert_eq!(told(404, 404).await, (404, "model_not_found"));
    assert_eq!(told(429, 429).await, (429, "rate_limit_exceeded"));
    assert_eq!(told(429, 500).await, (503, "all_targets_unavailable"));
    assert_eq!(told(401, 404).await, (503, "all_targets_unavailable"));
}

#[tokio::test(start_paused = true)]
async fn when_all_are_too_slow_the_caller_hears_that() {
    let house = path([target("a").hangs(), target("b").hangs()]);
    let error = house.refused().await;
    assert_eq!((error.status().as_u16(), error.word()), (504, "timeout"));
    assert!(error.wait().is_some());
    assert_eq!(house.asked("a") + house.asked("b"), 2);
}

#[tokio::test(start_paused = true)]
async fn the_last_error_names_model_attempts_and_what_to_do() {
    let house = path([target("a").fails_with(|| limited(7000))]);
    let error = house.refused().await;
    assert_eq!(
        error.to_string(),
        "model `m` is rate limited upstream (after 1 attempt); try again in 7 s"
    );
    assert_eq!(error.wait(), Some(Duration::from_secs(7)));
    assert!(error.chain().ends_with("slow down"));
}

#[tokio::test(start_paused = true)]
async fn fm_16_a_short_pause_is_waited_for_in_place_only_without_another() {
    let begun = Instant::now();
    let alone = path([target("a").fails_with(|| limited(1500)).says("hello")]);
    assert_eq!(alone.ask().await, answer("hello").from("a").after(2));
    assert!((1500..=1900).contains(&begun.elapsed().as_millis()));

    let begun = Instant::now();
    let two = path([
        target("a").fails_with(|| limited(1500)),
        target("b").standby().says("hello"),
    ]);
    assert_eq!(two.ask().await, answer("hello").from("b").after(2));
    let spare = path([target("a").fails_with(|| limited(1500))])
        .model("spare", [target("b").says("hello")])
        .fallback(&["spare"]);
    assert_eq!(spare.ask().await, answer("hello").from("b").after(2));
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn fm_57_while_all_rest_calls_are_refused_at_once() {
    let house = path([target("a").fails(500), target("b").fails(500)]);
    for _ in 0..20 {
        house.ask().await;
    }
    let (before, begun) = (house.asked("a") + house.asked("b"), Instant::now());
    let error = house.refused().await;
    assert_eq!(
        (error.status().as_u16(), error.word()),
        (503, "all_targets_unavailable")
    );
    assert!(error.wait().unwrap() >= Duration::from_secs(1));
    assert_eq!(begun.elapsed(), Duration::ZERO);
    assert_eq!(house.asked("a") + house.asked("b"), before);
}

#[tokio::test(start_paused = true)]
async fn while_all_rest_the_fallback_answers_without_an_attempt() {
    let house = path([target("a").fails(500)])
        .model("spare", [target("b").says("hello")])
        .fallback(&["spare"]);
    for _ in 0..5 {
        house.ask().await;
    }
    assert_eq!(house.ask().await, answer("hello").from("b"));
}

#[tokio::test(start_paused = true)]
async fn fm_30_a_prompt_that_does_not_fit_goes_to_the_models_named_for_that_alone() {
    let kinds = [Kind::ContextWindow, Kind::ContentPolicy];
    for kind in kinds {
        let targets = || {
            [
                target("a").fails_with(move || refused_prompt(kind)),
                target("b").standby().says("never asked"),
            ]
        };
        let plain = path(targets())
            .model("spare", [target("c").says("never asked")])
            .fallback(&["spare"]);
        assert_eq!(plain.refused().await.kind(), kind);
        let named = path(targets())
            .with(|route| {
                route.on_context_window = vec!["long".into()];
                route.on_content_policy = vec!["long".into()];
            })
            .model("spare", [target("c").says("never asked")])
            .model("long", [target("d").says("hello")])
            .fallback(&["spare"]);
        assert_eq!(named.ask().await, answer("hello").from("d").after(2));
    }
}

#[tokio::test(start_paused = true)]
async fn without_failover_a_call_stays_with_its_target() {
    let house = path([
        target("a").fails(500),
        target("b").standby().says("never asked"),
    ])
    .model("spare", [target("c").says("never asked")])
    .fallback(&["spare"])
    .set(|house| house.settings.enabled = false);
    assert_eq!(house.refused().await.status(), 503);
    assert!(house.asked("a") > 1);
    assert_eq!(house.asked("b") + house.asked("c"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_repeat_that_the_failure_asks_for_is_made_at_once_and_once() {
    let stale = || CallError::new(Kind::Unavailable, "gone").retry(Retry::Again);
    let house = path([target("a").fails_with(stale).says("hello")]);
    let begun = Instant::now();
    assert_eq!(house.ask().await, answer("hello").from("a"));
    assert_eq!(begun.elapsed(), Duration::ZERO);
    assert_eq!(house.asked("a"), 2);

    let house = path([
        target("a").fails_with(stale),
        target("b").standby().says("hello"),
    ]);
    assert_eq!(house.ask().await, answer("hello").from("b").after(2));
    assert_eq!(house.asked("a"), 2);
}

#[tokio::test(start_paused = true)]
async fn fm_44_a_caller_that_leaves_takes_all_along() {
    let house = path([target("a").hangs().limit(1)]);
    let call = call(false);
    let trail = Arc::clone(&call.trail);
    let gone = timeout(Duration::from_secs(1), house.send(call)).await;
    assert!(gone.is_err());
    assert_eq!(house.under_way(), (0, 0));
    trail.with(|tried| assert_eq!(outcomes(&tried.attempts), [("a", Outcome::Cancelled)]));
}

#[tokio::test(start_paused = true)]
async fn the_deadline_is_kept_whatever_happens() {
    let total = Duration::from_secs(3);
    for failing in [500, 429] {
        let house = path([target("a").fails(failing).takes(900)]).with(|route| route.total = total);
        let begun = Instant::now();
        house.refused().await;
        assert!(begun.elapsed() <= total);
    }
    let house = path([target("a").hangs(), target("b").hangs()]).with(|route| route.total = total);
    let begun = Instant::now();
    assert_eq!(house.ask().await, refusal(504, "timeout"));
    assert_eq!(begun.elapsed(), total);
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_would_outlast_the_deadline_is_answered_now() {
    let house = path([target("a").fails_with(|| limited(1500))])
        .with(|route| route.total = Duration::from_secs(1));
    let begun = Instant::now();
    assert_eq!(house.refused().await.status(), 429);
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn fm_16_a_short_pause_is_waited_for_by_later_calls_too_and_a_long_one_is_not() {
    let second = |pause| async move {
        let house = path([target("a").fails_with(move || limited(pause)).says("hello")]);
        let later = async {
            sleep(Duration::from_millis(10)).await;
            let begun = Instant::now();
            (house.ask().await, begun.elapsed())
        };
        tokio::join!(house.ask(), later).1
    };
    let (told, waited) = second(1000).await;
    assert_eq!(told, answer("hello").from("a"));
    assert!(waited >= Duration::from_millis(990) && waited < Duration::from_millis(1300));
    let (told, waited) = second(5000).await;
    assert_eq!(told.error, Some((429, "rate_limit_exceeded")));
    assert_eq!(waited, Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn the_wait_that_an_upstream_asks_for_is_kept_or_not() {
    let tried = |honor| async move {
        let house = path([target("a").fails_with(|| limited(60_000))])
            .set(|house| house.settings.honor_retry_after = honor);
        house.refused().await;
        house.asked("a")
    };
    assert_eq!(tried(true).await, 1);
    assert!(tried(false).await > 1);
}

#[tokio::test(start_paused = true)]
async fn a_spent_budget_ends_the_search() {
    let house = path([target("a").fails(500), target("b").standby().says("hello")]);
    for _ in 0..100 {
        assert!(house.budgets.failover());
    }
    assert_eq!(house.ask().await, refusal(503, "all_targets_unavailable"));
}

#[tokio::test(start_paused = true)]
async fn every_attempt_is_written_down() {
    let house = path([
        target("a").fails_with(|| failure(500)).takes(40),
        target("b").standby().says("hello"),
    ]);
    let attempts = house.attempts().await;
    assert_eq!(
        outcomes(&attempts),
        [("a", Outcome::Error), ("b", Outcome::Ok)]
    );
    assert_eq!(attempts[0].reason, Some("upstream_unavailable"));
    assert_eq!(attempts[0].took, Duration::from_millis(40));
}
