use std::time::Duration;

use moltbot_types::{CallError, Kind, Retry};

use super::*;
use crate::health::{Admission, Health, HealthKey};

fn candidates(weights: &[f64]) -> Vec<Candidate> {
    let health = Health::default();
    weights
        .iter()
        .enumerate()
        .map(|(index, weight)| Candidate {
            index,
            health: health.target(&HealthKey {
                address: format!("http://{index}").into(),
                model: "m".into(),
                credential: None,
            }),
            weight: *weight,
        })
        .collect()
}

fn shares(pick: &dyn Pick, candidates: &[Candidate], tried: &[usize]) -> Vec<f64> {
    const DRAWS: usize = 20_000;
    let mut counts = vec![0.0; candidates.len()];
    for _ in 0..DRAWS {
        if let Some(index) = pick.pick(candidates, tried, Instant::now()) {
            counts[index] += 1.0 / DRAWS as f64;
        }
    }
    counts
}

fn assert_near(shares: &[f64], expected: &[f64]) {
    let near = |(a, b): (&f64, &f64)| (a - b).abs() < 0.02;
    assert!(shares.iter().zip(expected).all(near), "{shares:?}");
}

async fn answers(candidate: &Candidate, after: Duration) {
    let mut admission = candidate.health.admit().unwrap();
    tokio::time::advance(after).await;
    admission.answered();
}

fn limited(candidate: &Candidate, rest: Duration) {
    let error = CallError::new(Kind::RateLimited, "slow down").retry(Retry::After(rest));
    candidate
        .health
        .admit()
        .unwrap()
        .failed(&error.retry_after(rest));
}

fn eject(candidate: &Candidate) {
    for _ in 0..5 {
        candidate
            .health
            .admit()
            .unwrap()
            .failed(&CallError::new(Kind::Unavailable, "down"));
    }
}

fn busy(candidate: &Candidate, calls: usize) -> Vec<Admission> {
    (0..calls)
        .map(|_| candidate.health.admit().unwrap())
        .collect()
}

const ALL: [&dyn Pick; 3] = [&Weighted, &LeastLatency, &LeastInflight];

#[tokio::test(start_paused = true)]
async fn weights_are_shares() {
    let candidates = candidates(&[3.0, 1.0, 1.0]);
    assert_near(&shares(&Weighted, &candidates, &[]), &[0.6, 0.2, 0.2]);
}

#[tokio::test(start_paused = true)]
async fn equal_targets_get_equal_shares() {
    let candidates = candidates(&[1.0; 4]);
    for pick in ALL {
        assert_near(&shares(pick, &candidates, &[]), &[0.25; 4]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_resting_target_gets_nothing_and_its_neighbours_share_alike() {
    let candidates = candidates(&[1.0; 4]);
    limited(&candidates[2], Duration::from_secs(7));
    for pick in ALL {
        let third = 1.0 / 3.0;
        assert_near(&shares(pick, &candidates, &[])[..3], &[third, third, 0.0]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_target_that_was_tried_is_passed_over_to_the_last_one_left() {
    let candidates = candidates(&[1.0; 3]);
    for pick in ALL {
        assert_eq!(pick.pick(&candidates, &[0, 2], Instant::now()), Some(1));
        assert_eq!(pick.pick(&candidates, &[0, 1, 2], Instant::now()), None);
        assert_eq!(pick.pick(&[], &[], Instant::now()), None);
    }
}

#[tokio::test(start_paused = true)]
async fn among_a_thousand_the_only_usable_one_is_found() {
    let candidates = candidates(&[1.0; 1000]);
    for candidate in candidates.iter().filter(|candidate| candidate.index != 617) {
        limited(candidate, Duration::from_secs(60));
    }
    for pick in ALL {
        assert_eq!(pick.pick(&candidates, &[], Instant::now()), Some(617));
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_target_is_left_for_the_fast_one() {
    let candidates = candidates(&[1.0; 2]);
    for _ in 0..20 {
        answers(&candidates[0], Duration::from_secs(2)).await;
        answers(&candidates[1], Duration::from_millis(50)).await;
    }
    assert_near(&shares(&LeastLatency, &candidates, &[]), &[0.0, 1.0]);
}

#[tokio::test(start_paused = true)]
async fn a_slow_target_is_tried_again_when_it_was_idle_for_long() {
    let candidates = candidates(&[1.0; 2]);
    answers(&candidates[0], Duration::from_secs(2)).await;
    let mut tries = 0;
    for _ in 0..100 {
        tokio::time::advance(Duration::from_secs(1)).await;
        match LeastLatency.pick(&candidates, &[], Instant::now()) {
            Some(0) => tries += 1,
            _ => answers(&candidates[1], Duration::from_millis(100)).await,
        }
    }
    assert!(tries > 20, "{tries}");
}

#[tokio::test(start_paused = true)]
async fn calls_under_way_count_for_their_weight() {
    let candidates = candidates(&[1.0, 4.0]);
    let _calls = (busy(&candidates[0], 1), busy(&candidates[1], 6));
    // 2 / 1 against 7 / 4.
    for pick in [&LeastLatency as &dyn Pick, &LeastInflight] {
        assert_near(&shares(pick, &candidates, &[]), &[0.0, 1.0]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_target_whose_rest_is_over_is_probed_at_once_and_by_one_call() {
    let candidates = candidates(&[1.0; 3]);
    eject(&candidates[1]);
    tokio::time::advance(Duration::from_secs(6)).await;
    for pick in ALL {
        assert!(shares(pick, &candidates, &[])[1] > 0.6);
    }
    let _probe = candidates[1].health.admit().unwrap();
    for pick in ALL {
        assert_near(&shares(pick, &candidates, &[]), &[0.5, 0.0, 0.5]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_target_that_came_back_starts_slowly() {
    let candidates = candidates(&[1.0; 2]);
    eject(&candidates[0]);
    tokio::time::advance(Duration::from_secs(6)).await;
    candidates[0].health.admit().unwrap().answered();
    let mut seen = Vec::new();
    for _ in 0..4 {
        seen.push(shares(&Weighted, &candidates, &[])[0]);
        tokio::time::advance(Duration::from_millis(3_400)).await;
    }
    assert_near(&seen, &[0.1 / 1.1, 0.25 / 1.25, 0.5 / 1.5, 0.5]);
}
