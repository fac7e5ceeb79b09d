//! Health, choice, tiers and failover together: what a caller feels when targets fail and come back.

mod support;

use std::time::Duration;

use moltbot_types::{CallError, Ending, Kind};
use support::{Act, House, from, path, target};
use tokio::time::{Instant, advance, timeout};

async fn answered(house: &House) -> String {
    match house.ask().await {
        Ok(who) => who,
        Err(error) => panic!("{error}"),
    }
}

async fn pass(seconds: u64) {
    advance(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn a_slow_target_is_left_for_a_fast_one() {
    let (a, b) = (target("a"), target("b"));
    let house = path([&a, &b]);
    a.now(Act::SaysAfter(800));
    b.now(Act::SaysAfter(50));
    house.asks(100, 20).await;
    let later = house.asks(200, 20).await;
    assert!(from(&later, "b") > 190, "{}", from(&later, "b"));
}

#[tokio::test(start_paused = true)]
async fn fm_01_a_dead_target_costs_at_most_five_attempts_and_no_answer() {
    let (a, b) = (target("a"), target("b"));
    let house = path([&a, &b]);
    a.now(Act::Fails);
    let answers = house.asks(1_000, 1).await;
    assert_eq!(from(&answers, "b"), 1_000);
    assert!((1..=5).contains(&a.asked()));
}

#[tokio::test(start_paused = true)]
async fn fm_58_a_rested_target_is_probed_by_one_of_many_calls() {
    let (a, b) = (target("a"), target("b").standby());
    let house = path([&a, &b]);
    a.now(Act::Fails);
    house.asks(50, 1).await;
    pass(7).await;
    assert_eq!(a.asked(), 5);
    a.now(Act::FailsAfter(500));
    let answers = house.asks(100, 1).await;
    assert_eq!(from(&answers, "b"), 100);
    assert_eq!(a.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn fm_58_after_a_cancelled_probe_the_next_call_probes() {
    let a = target("a");
    let house = path([&a]);
    a.now(Act::Fails);
    house.asks(5, 1).await;
    pass(7).await;
    a.asked();
    a.now(Act::Hangs);
    for _ in 0..3 {
        assert!(
            timeout(Duration::from_millis(100), house.ask())
                .await
                .is_err()
        );
    }
    assert_eq!((a.asked(), house.inflight()), (3, 0));
    a.now(Act::Says);
    assert_eq!(answered(&house).await, "a");
}

#[tokio::test(start_paused = true)]
async fn fm_57_when_all_rest_callers_hear_at_once_and_one_each_rest_tries() {
    let (a, b) = (target("a"), target("b"));
    let house = path([&a, &b]);
    for target in [&a, &b] {
        target.now(Act::Fails);
    }
    house.asks(100, 10).await;
    a.asked();
    b.asked();
    let begun = Instant::now();
    let refusals: Vec<_> = house
        .asks(1_000, 60)
        .await
        .into_iter()
        .filter_map(Result::err)
        .collect();
    assert_eq!(begun.elapsed(), Duration::from_millis(999 * 60));
    assert_eq!(refusals.len(), 1_000);
    let honest = |error: &CallError| error.kind() == Kind::Unavailable && error.wait().is_some();
    assert!(
        refusals.iter().all(honest),
        "{:?}",
        refusals.iter().find(|error| !honest(error))
    );
    let tries = a.asked() + b.asked();
    assert!((8..=24).contains(&tries), "{tries} tries in a minute");
}

#[tokio::test(start_paused = true)]
async fn fm_57_a_target_that_recovers_is_found_within_a_first_rest() {
    let (a, b) = (target("a"), target("b"));
    let house = path([&a, &b]);
    for target in [&a, &b] {
        target.now(Act::Fails);
    }
    house.asks(6_000, 50).await;
    for target in [&a, &b] {
        target.now(Act::Says);
    }
    let after = house.asks(1_000, 10).await;
    let first = after.iter().position(Result::is_ok).unwrap_or(after.len());
    assert!(first <= 510, "after {} ms", first * 10);
    assert!(after[first..].iter().all(Result::is_ok));
}

#[tokio::test(start_paused = true)]
async fn fm_59_a_flapping_target_is_asked_less_and_less() {
    let (a, b) = (target("a"), target("b"));
    let house = path([&a, &b]);
    let mut asked = Vec::new();
    a.by(|turn| if turn % 6 == 0 { Act::Says } else { Act::Fails });
    for _ in 0..3 {
        let answers = house.asks(3_000, 20).await;
        assert!(answers.iter().all(Result::is_ok));
        asked.push(a.asked());
    }
    assert!(asked[2] <= asked[0], "{asked:?}");
}

#[tokio::test(start_paused = true)]
async fn a_target_that_cuts_streams_is_left() {
    let (a, b) = (target("a"), target("b"));
    let house = path([&a, &b]);
    for target in [&a, &b] {
        target.now(Act::Cuts);
    }
    let mut cuts = 0;
    while let Ok(Ending::Cut { .. }) = house.stream().await {
        cuts += 1;
    }
    assert!((9..=10).contains(&cuts), "{cuts}");
    assert_eq!(house.inflight(), 0);
}

#[tokio::test(start_paused = true)]
async fn fm_29_a_refused_credential_is_left_with_all_its_targets() {
    let [a, b] = ["a", "b"].map(|id| target(id).credential("one"));
    let c = target("c").credential("other");
    let house = path([&a, &b, &c]);
    for target in [&a, &b] {
        target.now(Act::Refuses);
    }
    let answers = house.asks(1_000, 500).await;
    assert_eq!(from(&answers, "c"), 1_000);
    assert_eq!(a.asked() + b.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn fm_16_a_limited_target_is_not_asked_before_its_hint() {
    let (a, b) = (target("a"), target("b").standby());
    let house = path([&a, &b]);
    a.now(Act::Limits(Some(3_000)));
    assert_eq!(answered(&house).await, "b");
    a.now(Act::Says);
    a.asked();
    assert_eq!(from(&house.asks(29, 100).await, "b"), 29);
    assert_eq!(a.asked(), 0);
    pass(1).await;
    assert_eq!(answered(&house).await, "a");
}

#[tokio::test(start_paused = true)]
async fn a_standby_answers_while_the_primary_is_away_and_hands_back() {
    let (a, b) = (target("a"), target("b").standby());
    let house = path([&a, &b]);
    a.now(Act::Fails);
    assert_eq!(from(&house.asks(500, 20).await, "b"), 500);
    a.now(Act::Says);
    house.asks(1_500, 20).await;
    assert_eq!(from(&house.asks(100, 20).await, "a"), 100);
}

#[tokio::test(start_paused = true)]
async fn a_lost_region_is_left_at_once_and_returned_to_after_a_minute() {
    let (a, b) = (target("a").region("east"), target("b").region("west"));
    let house = path([&a, &b]);
    a.now(Act::Fails);
    assert_eq!(from(&house.asks(500, 20).await, "b"), 500);
    a.now(Act::Says);
    let answers = house.asks(2_500, 20).await;
    assert!(from(&answers, "b") > 2_490);
    house.asks(2_500, 20).await;
    assert_eq!(from(&house.asks(100, 20).await, "a"), 100);
}

#[tokio::test(start_paused = true)]
async fn faults_of_every_seventh_call_everywhere_are_not_felt() {
    let targets = ["a", "b", "c"].map(target);
    let house = path([&targets[0], &targets[1], &targets[2]]);
    for target in &targets {
        target.by(|_| match rand::random_range(0..100) {
            0..12 => Act::FailsAfter(20),
            12..14 => Act::Hangs,
            _ => Act::SaysAfter(20),
        });
    }
    let answers = house.asks(10_000, 2).await;
    let lost: Vec<_> = answers.into_iter().filter_map(Result::err).collect();
    let asked: usize = targets.iter().map(|target| target.asked()).sum();
    assert!(lost.len() <= 10, "{} lost: {:?}", lost.len(), lost[0]);
    assert!(asked <= 12_500, "{asked} attempts");
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_all_targets_share_is_over_when_it_ends() {
    const PAUSE: Duration = Duration::from_millis(600);
    let targets = ["a", "b", "c"].map(target);
    let house = path([&targets[0], &targets[1], &targets[2]]);
    let begun = Instant::now() + Duration::from_secs(2);
    for target in &targets {
        target.by(
            move |_| match Instant::now().checked_duration_since(begun) {
                Some(since) if since < PAUSE => Act::HangsFor(300),
                _ => Act::SaysAfter(2),
            },
        );
    }
    let answers = house.asks(3_000, 2).await;
    let felt = PAUSE + Duration::from_millis(300);
    let last = answers.iter().rposition(Result::is_err).unwrap_or(0);
    assert!(last as u128 * 2 < 2_000 + felt.as_millis(), "call {last}");
}
