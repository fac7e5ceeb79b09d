//! What holds for every call, whatever its targets do.

use std::sync::Arc;
use std::time::Duration;

use moltbot_types::{Outcome, Tried};
use proptest::prelude::*;
use tokio::time::Instant;

use crate::testing::{House, Target, call, path, target};

const TOTAL: Duration = Duration::from_secs(45);
const MODELS: [&str; 3] = ["m", "n", "o"];
const IDS: [[&str; 4]; 3] = [
    ["m/0", "m/1", "m/2", "m/3"],
    ["n/0", "n/1", "n/2", "n/3"],
    ["o/0", "o/1", "o/2", "o/3"],
];
const CREDENTIALS: [Option<&str>; 3] = [None, Some("k1"), Some("k2")];

#[derive(Clone, Copy, Debug)]
enum Act {
    Says,
    Hangs,
    Fails(u16),
}

#[derive(Clone, Debug)]
struct Script {
    acts: Vec<Act>,
    credential: usize,
    takes: u64,
    full: bool,
}

fn act() -> impl Strategy<Value = Act> {
    let statuses = [400, 401, 402, 404, 429, 500, 503];
    prop_oneof![
        2 => Just(Act::Says),
        1 => Just(Act::Hangs),
        8 => prop::sample::select(statuses.to_vec()).prop_map(Act::Fails),
    ]
}

fn script() -> impl Strategy<Value = Script> {
    let acts = prop::collection::vec(act(), 1..4);
    let full = prop::bool::weighted(0.1);
    (acts, 0..CREDENTIALS.len(), 0..2_000_u64, full).prop_map(|(acts, credential, takes, full)| {
        Script {
            acts,
            credential,
            takes,
            full,
        }
    })
}

fn scripted(id: &'static str, script: &Script) -> Target {
    let mut target = target(id).takes(script.takes);
    if let Some(credential) = CREDENTIALS[script.credential] {
        target = target.credential(credential);
    }
    if script.full {
        target = target.limit(0);
    }
    script.acts.iter().fold(target, |target, act| match act {
        Act::Says => target.says("hello"),
        Act::Hangs => target.hangs(),
        Act::Fails(status) => target.fails(*status),
    })
}

fn house(models: &[Vec<Script>], enabled: bool, max_attempts: u32) -> House {
    let targets = |model: usize| -> Vec<Target> {
        let scripts = IDS[model].into_iter().zip(&models[model]);
        scripts.map(|(id, script)| scripted(id, script)).collect()
    };
    let mut house = path(targets(0)).with(|route| route.total = TOTAL);
    for (model, name) in MODELS.iter().enumerate().take(models.len()).skip(1) {
        house = house.model(name, targets(model));
    }
    house.fallback(&MODELS[1..]).set(|house| {
        house.settings.enabled = enabled;
        house.settings.max_attempts = max_attempts;
    })
}

/// No target was asked again while another of its model could still be asked for the first time.
fn new_ones_first(tried: &Tried, models: &[Vec<Script>], enabled: bool) -> bool {
    let script = |id: &str| {
        let at = |row: &[&str; 4]| row.iter().position(|known| *known == id);
        let found = IDS
            .iter()
            .enumerate()
            .find_map(|(m, row)| Some((m, at(row)?)));
        let (model, target) = found.unwrap();
        &models[model][target]
    };
    (0..tried.attempts.len()).all(|nth| {
        let (before, this) = (&tried.attempts[..nth], &tried.attempts[nth]);
        let asked = |id: &str| before.iter().any(|attempt| attempt.target.as_str() == id);
        if !asked(this.target.as_str()) || !enabled {
            return true;
        }
        let model = MODELS
            .iter()
            .position(|name| *name == this.model.as_str())
            .unwrap();
        let left = |(id, its): (&&str, &Script)| {
            let credential = CREDENTIALS[its.credential];
            let dead = before.iter().any(|attempt| {
                matches!(attempt.reason, Some("upstream_auth" | "upstream_quota"))
                    && credential.is_some()
                    && CREDENTIALS[script(attempt.target.as_str()).credential] == credential
            });
            !asked(id) && !its.full && !dead
        };
        !IDS[model].iter().zip(&models[model]).any(left)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn a_call_ends_in_time_within_its_attempts_and_leaves_nothing_behind(
        models in prop::collection::vec(prop::collection::vec(script(), 1..5), 1..4),
        enabled in prop::bool::weighted(0.9),
        max_attempts in 1..8_u32,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let house = house(&models, enabled, max_attempts);
            let begun = Instant::now();
            let call = call(false);
            let trail = Arc::clone(&call.trail);
            let answer = house.send(call).await;
            let (answered, status) = match &answer {
                Ok(_) => (true, 200),
                Err(error) => (false, error.status().as_u16()),
            };
            drop(answer);
            let tried = trail.with(Clone::clone);

            prop_assert!(begun.elapsed() <= TOTAL);
            prop_assert!(tried.attempts.len() <= max_attempts as usize);
            prop_assert_eq!(house.asked_in_all(), tried.attempts.len());
            prop_assert_eq!(house.under_way(), (0, 0));
            let last = tried.attempts.last().map(|attempt| attempt.outcome);
            prop_assert_eq!(last == Some(Outcome::Ok), answered);
            let early = tried.attempts.iter().rev().skip(1);
            prop_assert!(early.into_iter().all(|attempt| attempt.outcome != Outcome::Ok));
            prop_assert!([200, 400, 404, 429, 502, 503, 504].contains(&status), "{}", status);
            prop_assert!(new_ones_first(&tried, &models, enabled), "{:?}", tried);
            let used = tried.attempts.iter().map(|attempt| &attempt.model);
            prop_assert!(enabled || used.into_iter().all(|model| model.as_str() == "m"));
            Ok(())
        })?;
    }
}
