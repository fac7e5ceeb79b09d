//! The short form of the calibration: 500 tests a world, a look after every pair of units.

#[path = "../examples/calibration/simulate.rs"]
#[allow(dead_code)] // the long form uses the rest
mod simulate;

use simulate::{Method, World, campaign, false_alarms, wrong_counts};

const RUNS: u64 = 500;

/// The most of [`RUNS`] tests that may err: 5 % and three standard errors.
fn allowed() -> f64 {
    0.05 + 3.0 * (0.05 * 0.95 / RUNS as f64).sqrt()
}

#[test]
fn equal_arms_are_rarely_told_apart_at_any_look() {
    for (name, world, units) in [
        ("rate 0.10", World::Rates([0.10; 2]), 2000),
        ("rate 0.95", World::Rates([0.95; 2]), 2000),
        ("rate 0.002", World::Rates([0.002; 2]), 4000),
        ("users", World::Users(0.9), 1000),
        ("latency, sigma 1.5", World::Latency(1.5), 1000),
    ] {
        let share = campaign(world, Method::Report, units, RUNS, 2).share();
        assert!(share <= allowed(), "{name}: {share}");
    }
}

#[test]
fn the_simulation_would_notice_a_test_that_may_not_be_peeked_at() {
    let share = campaign(World::Rates([0.5; 2]), Method::Peeking, 2000, RUNS, 2).share();
    assert!(share > 3.0 * allowed(), "{share}");
}

#[test]
fn intervals_hold_the_truth_at_all_looks_and_find_it_in_time() {
    let tally = campaign(World::Rates([0.80, 0.90]), Method::Report, 2000, RUNS, 2);
    assert!(tally.coverage() >= 1.0 - allowed(), "{tally:?}");
    assert!(tally.share() > 0.99 && tally.median < 600.0, "{tally:?}");
}

#[test]
fn a_guard_bears_its_margin_and_stops_what_is_worse() {
    let borne = campaign(World::Rates([0.95, 0.90]), Method::Guard, 2000, RUNS, 2).share();
    assert!(borne <= allowed(), "{borne}");
    let worse = campaign(World::Rates([0.95, 0.80]), Method::Guard, 2000, RUNS, 2);
    assert!(worse.share() > 0.99 && worse.median < 400.0, "{worse:?}");
}

#[test]
fn alarms_and_counts_are_right() {
    assert!(false_alarms(2000, RUNS) <= 2);
    assert_eq!(wrong_counts(300, 20), 0);
}
