use moltbot_types::{CallError, Kind};

use super::*;
use crate::health::{Health, HealthKey};
use crate::pick::LeastInflight;

/// Shares in percent of tiers of 100 targets, so many of them healthy.
fn percent(healthy: &[u32]) -> Vec<f64> {
    let tiers = healthy.iter().map(|healthy| (f64::from(*healthy), 100));
    loads(tiers).iter().map(|load| load.share * 100.0).collect()
}

fn panics(healthy: &[u32]) -> Vec<bool> {
    let tiers = healthy.iter().map(|healthy| (f64::from(*healthy), 100));
    loads(tiers).iter().map(|load| load.panic).collect()
}

#[test]
fn load_spills_by_the_published_vectors() {
    let vectors: &[(&[u32], &[f64])] = &[
        (&[100, 100], &[100.0, 0.0]),
        (&[72, 72], &[100.0, 0.0]),
        (&[71, 71], &[99.0, 1.0]),
        (&[50, 50], &[70.0, 30.0]),
        (&[25, 100], &[35.0, 65.0]),
        (&[25, 25], &[50.0, 50.0]),
        (&[25, 25, 100], &[35.0, 35.0, 30.0]),
        (&[25, 25, 20], &[36.0, 36.0, 28.0]),
        (&[5, 65], &[7.0, 93.0]),
        (&[0, 100], &[0.0, 100.0]),
        (&[0, 0], &[0.0, 0.0]),
    ];
    for (healthy, expected) in vectors {
        let got = percent(healthy);
        let near = got.iter().zip(*expected).all(|(a, b)| (a - b).abs() < 1.0);
        assert!(near, "{healthy:?}: {got:?}");
    }
}

#[test]
fn a_weak_tier_panics_only_where_all_together_are_too_weak() {
    assert_eq!(panics(&[25, 25]), [true, true]);
    assert_eq!(panics(&[5, 65]), [true, false]);
    assert_eq!(panics(&[25, 100]), [false, false]);
    assert_eq!(panics(&[0, 20]), [false, true]);
}

#[test]
fn one_of_two_targets_carries_all() {
    assert_eq!(loads([(1.0, 2), (2.0, 2)])[0].share, 1.0);
}

/// A node in `east`, and targets `region/role`.
fn tiers(places: &[&str]) -> (Tiers, Vec<Candidate>) {
    let health = Health::default();
    let candidates: Vec<_> = (0..places.len())
        .map(|index| Candidate {
            index,
            health: health.target(&HealthKey {
                address: format!("http://{index}").into(),
                model: "m".into(),
                credential: None,
            }),
            weight: 1.0,
        })
        .collect();
    let placed = places.iter().zip(&candidates).map(|(place, candidate)| {
        let (region, role) = place.split_once('/').unwrap();
        let place = Place {
            region: (!region.is_empty()).then(|| region.into()),
            role: if role == "standby" {
                Role::Standby
            } else {
                Role::Primary
            },
        };
        (place, candidate.clone())
    });
    (Tiers::new(placed, Some("east")), candidates)
}

fn eject(candidate: &Candidate) {
    for _ in 0..5 {
        let mut admission = candidate.health.admit().unwrap();
        admission.failed(&CallError::new(Kind::Unavailable, "down"));
    }
}

async fn pass(seconds: f64) {
    tokio::time::advance(Duration::from_secs_f64(seconds)).await;
}

/// The share of calls that goes to a target.
fn share(tiers: &Tiers, index: usize) -> f64 {
    const DRAWS: usize = 10_000;
    let hits = (0..DRAWS)
        .filter(|_| tiers.choose(&LeastInflight, &[], Instant::now()) == Some(index))
        .count();
    hits as f64 / DRAWS as f64
}

#[tokio::test(start_paused = true)]
async fn own_primaries_come_first_then_own_standbys_then_other_regions() {
    let places = [
        "west/standby",
        "north/primary",
        "east/standby",
        "west/primary",
        "/primary",
        "east/primary",
    ];
    let (tiers, _) = tiers(&places);
    let order: Vec<_> = tiers
        .candidates()
        .map(|candidate| candidate.index)
        .collect();
    assert_eq!(order, [4, 5, 2, 3, 0, 1]);
}

#[tokio::test(start_paused = true)]
async fn each_further_attempt_goes_to_the_next_tier() {
    let (tiers, _) = tiers(&["west/primary", "east/standby", "east/primary"]);
    let mut tried = Vec::new();
    while let Some(index) = tiers.choose(&LeastInflight, &tried, Instant::now()) {
        tried.push(index);
    }
    assert_eq!(tried, [2, 1, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_move_has_the_level_of_what_it_leaves() {
    let (tiers, _) = tiers(&["east/primary", "/primary", "east/standby", "west/primary"]);
    assert_eq!(tiers.level(0, 1), Level::Instance);
    assert_eq!(tiers.level(1, 2), Level::Node);
    assert_eq!(tiers.level(2, 3), Level::Region);
}

#[tokio::test(start_paused = true)]
async fn a_tier_that_is_down_is_left_at_once() {
    let (tiers, candidates) = tiers(&["east/primary", "east/standby"]);
    assert_eq!(share(&tiers, 0), 1.0);
    eject(&candidates[0]);
    assert_eq!(share(&tiers, 1), 1.0);
}

#[tokio::test(start_paused = true)]
async fn a_tier_without_load_is_probed_by_one_call() {
    let (tiers, candidates) = tiers(&["east/primary", "east/standby"]);
    eject(&candidates[0]);
    pass(6.0).await;
    assert_eq!(tiers.choose(&LeastInflight, &[], Instant::now()), Some(0));
    let _probe = candidates[0].health.admit().unwrap();
    assert_eq!(share(&tiers, 1), 1.0);
}

#[tokio::test(start_paused = true)]
async fn load_returns_to_a_primary_in_steps() {
    let (tiers, candidates) = tiers(&["east/primary", "east/standby"]);
    eject(&candidates[0]);
    pass(6.0).await;
    candidates[0].health.admit().unwrap().answered();
    let mut shares = Vec::new();
    for _ in 0..4 {
        pass(0.1).await;
        shares.push(share(&tiers, 0));
        pass(3.3).await;
    }
    let expected = [0.14, 0.35, 0.7, 1.0];
    let near = shares
        .iter()
        .zip(expected)
        .all(|(a, b)| (a - b).abs() < 0.02);
    assert!(near, "{shares:?}");
}

#[tokio::test(start_paused = true)]
async fn load_returns_from_another_region_after_a_minute() {
    let (tiers, candidates) = tiers(&["east/primary", "west/primary"]);
    eject(&candidates[0]);
    pass(6.0).await;
    candidates[0].health.admit().unwrap().answered();
    pass(59.0).await;
    assert_eq!(share(&tiers, 0), 0.0);
    pass(2.0).await;
    assert_eq!(share(&tiers, 0), 1.0);
}

#[tokio::test(start_paused = true)]
async fn a_target_that_just_came_back_serves_where_no_other_region_can() {
    let (tiers, candidates) = tiers(&["east/primary", "west/primary"]);
    eject(&candidates[0]);
    pass(6.0).await;
    candidates[0].health.admit().unwrap().answered();
    eject(&candidates[1]);
    pass(0.1).await;
    assert_eq!(share(&tiers, 0), 1.0);
}
