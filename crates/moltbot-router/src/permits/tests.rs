use tokio::time::Instant;

use super::*;
use crate::testing::{answer, call, content, end, path, refusal, target, wait};

const NO_WAIT: Duration = Duration::ZERO;

#[tokio::test(start_paused = true)]
async fn fm_60_whom_there_is_no_room_for_is_told_so_after_the_wait() {
    let limit = Arc::new(Limit::new(1));
    let _first = limit.enter(NO_WAIT).await.unwrap();
    let begun = Instant::now();
    let error = limit.enter(Duration::from_millis(100)).await.unwrap_err();
    assert_eq!(error.status(), 503);
    assert_eq!(error.wait(), Some(Duration::from_secs(1)));
    assert!(begun.elapsed() < Duration::from_millis(110));
}

#[tokio::test(start_paused = true)]
async fn who_waits_goes_in_when_another_leaves() {
    let limit = Arc::new(Limit::new(1));
    let first = limit.enter(NO_WAIT).await.unwrap();
    let leave = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        drop(first);
    };
    let (second, ()) = tokio::join!(limit.enter(Duration::from_millis(100)), leave);
    assert!(second.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_shrinks_lets_calls_under_way_go_on() {
    let permits = Permits::default();
    let limit = permits.limit("a", 3);
    let mut inside = Vec::new();
    for _ in 0..3 {
        inside.push(limit.enter(NO_WAIT).await.unwrap());
    }
    assert!(Arc::ptr_eq(&permits.limit("a", 1), &limit));
    assert_eq!(limit.taken(), 3);
    inside.truncate(1);
    assert!(limit.enter(NO_WAIT).await.is_err());
    inside.clear();
    inside.push(limit.enter(NO_WAIT).await.unwrap());
    assert!(limit.enter(NO_WAIT).await.is_err());
    permits.limit("a", 2);
    inside.push(limit.enter(NO_WAIT).await.unwrap());
    assert_eq!(limit.taken(), 2);
}

#[test]
fn a_limit_that_nobody_holds_is_forgotten() {
    let permits = Permits::default();
    drop(permits.limit("a", 1));
    let _b = permits.limit("b", 1);
    assert_eq!(permits.0.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn fm_10_a_full_target_is_left_for_another_and_was_no_attempt() {
    let house = path([target("a").says("a").limit(0)])
        .model("spare", [target("b").says("b")])
        .fallback(&["spare"]);
    assert_eq!(house.ask().await, answer("b").from("b"));
    assert_eq!(house.asked("a"), 0);
}

#[tokio::test(start_paused = true)]
async fn when_all_are_full_the_caller_may_come_again_in_a_second() {
    let house = path([target("a").says("a").limit(0)]);
    let begun = Instant::now();
    assert_eq!(house.ask().await, refusal(503, "overloaded").after(0));
    assert!(begun.elapsed() < Duration::from_millis(110));
    assert_eq!(house.refused().await.wait(), Some(Duration::from_secs(1)));
}

#[tokio::test(start_paused = true)]
async fn a_stream_keeps_its_permit_to_the_last_byte() {
    let house = path([target("a")
        .streams([content("hi"), wait(5), end()])
        .limit(1)]);
    let reply = house.send(call(true)).await.unwrap();
    assert_eq!(house.under_way(), (1, 1));
    assert_eq!(house.stream().await, refusal(503, "overloaded").after(0));
    drop(reply);
    assert_eq!(house.under_way(), (0, 0));
    assert_eq!(house.stream().await, answer("hi.").from("a"));
}
