//! Simulated tests that are looked at after every pair of units, and how often each method errs.

use std::sync::Arc;
use std::time::Duration;

use moltbot_abtest::metric::{Better, named};
use moltbot_abtest::stats::asymptotic::Asymptotic;
use moltbot_abtest::stats::cluster::{Cluster, Unit};
use moltbot_abtest::stats::exact::EqualRates;
use moltbot_abtest::stats::mixture::{Mixture, enough};
use moltbot_abtest::stats::{p_value, ratio};
use moltbot_abtest::verdict::{ALPHA, Judge};
use moltbot_abtest::{By, Experiment, Memory, Outcome, Settings};
use moltbot_types::{RequestId, Usage};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// What units of the two arms show.
#[derive(Clone, Copy)]
pub(crate) enum World {
    /// One call a unit that succeeds at the arm's rate.
    Rates([f64; 2]),
    /// Users of one to twelve calls, each with a rate of its own around this one.
    Users(f64),
    /// One call a unit whose latency is lognormal of this sigma, with a median of 1000 ms.
    Latency(f64),
}

impl World {
    fn draw(self, rng: &mut StdRng, arm: usize) -> Unit {
        match self {
            Self::Rates(rates) => Unit {
                count: 1.0,
                sum: f64::from(u8::from(rng.random::<f64>() < rates[arm])),
            },
            Self::Users(rate) => {
                let own = rate + (rng.random::<f64>() - 0.5) * 2.0 * rate.min(1.0 - rate);
                let calls = rng.random_range(1..=12);
                let good = (0..calls).filter(|_| rng.random::<f64>() < own).count();
                Unit {
                    count: f64::from(calls),
                    sum: good as f64,
                }
            }
            Self::Latency(sigma) => {
                let (u, v) = (1.0 - rng.random::<f64>(), rng.random::<f64>());
                let normal = (-2.0 * u.ln()).sqrt() * (2.0 * std::f64::consts::PI * v).cos();
                Unit {
                    count: 1.0,
                    sum: 1000.0 * (sigma * normal).exp(),
                }
            }
        }
    }

    fn metric(self) -> &'static str {
        match self {
            Self::Latency(_) => "latency",
            _ => "success",
        }
    }

    fn difference(self) -> f64 {
        match self {
            Self::Rates([a, b]) => b - a,
            Self::Users(_) | Self::Latency(_) => 0.0,
        }
    }
}

/// Who judges.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Method {
    /// What reports show.
    Report,
    /// The mixture test alone.
    Mixture,
    /// The asymptotic sequence alone.
    Asymptotic,
    /// The exact test of both streams.
    Exact,
    /// A guard that bears five points less.
    Guard,
    /// The textbook's z-test at every look, which is what goes wrong.
    Peeking,
}

impl Method {
    /// Whether the method excludes `difference` now.
    fn excludes(
        self,
        judge: &Judge,
        arms: &[Cluster; 2],
        n: f64,
        end: f64,
        difference: f64,
    ) -> bool {
        let [a, b] = arms;
        let seen = b.mean() - a.mean() - difference;
        let variance = a.variance() + b.variance();
        let events = |arm: &Cluster| arm.seen().sum;
        match self {
            Self::Report => judge.excludes(&[(*a, *b)], difference, ALPHA),
            Self::Mixture => {
                let ready = enough(n, events(a)) && enough(n, events(b));
                ready && p_value(Mixture::new(0.001_f64.sqrt()).ln_e(seen, variance)) <= ALPHA
            }
            Self::Asymptotic => {
                let sequence = Asymptotic::new(end, ALPHA);
                n >= 100.0
                    && variance > 0.0
                    && p_value(sequence.ln_e(seen, variance, 2.0 * n)) <= ALPHA
            }
            Self::Exact => {
                let test = EqualRates::new(0.5, 100.0);
                let (good, bad) = ([events(a), events(b)], [n - events(a), n - events(b)]);
                p_value(test.ln_e(good, bad)) <= ALPHA
            }
            Self::Guard => judge.harmed(&[(*a, *b)], Better::Higher, 0.05, ALPHA),
            Self::Peeking => n >= 100.0 && variance > 0.0 && seen * seen / variance > 3.841_459,
        }
    }
}

/// What many tests came to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    /// Tests.
    pub runs: u64,
    /// Tests that at some look found a difference.
    pub found: u64,
    /// Tests whose interval at some look missed the truth.
    pub missed: u64,
    /// Half of those that found one had by this many units an arm.
    pub median: f64,
}

impl Tally {
    /// The share of tests that found a difference.
    pub(crate) fn share(&self) -> f64 {
        self.found as f64 / self.runs as f64
    }

    /// The share of tests whose interval always held the truth.
    pub(crate) fn coverage(&self) -> f64 {
        1.0 - self.missed as f64 / self.runs as f64
    }
}

/// Runs tests of `units` an arm, each looked at after every pair of units, on `threads` threads.
pub(crate) fn campaign(world: World, method: Method, units: u32, runs: u64, threads: u64) -> Tally {
    let ends: Vec<(Option<u32>, bool)> = std::thread::scope(|scope| {
        let parts: Vec<_> = (0..threads)
            .map(|part| {
                let seeds = (part..runs).step_by(threads as usize);
                scope.spawn(move || {
                    seeds
                        .map(|seed| run(world, method, units, seed))
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        parts
            .into_iter()
            .flat_map(|part| part.join().expect("a thread"))
            .collect()
    });
    let mut stops: Vec<u32> = ends.iter().filter_map(|(found, _)| *found).collect();
    stops.sort_unstable();
    Tally {
        runs,
        found: stops.len() as u64,
        missed: ends.iter().filter(|(_, missed)| *missed).count() as u64,
        median: stops
            .get(stops.len() / 2)
            .copied()
            .map_or(f64::NAN, f64::from),
    }
}

fn run(world: World, method: Method, units: u32, seed: u64) -> (Option<u32>, bool) {
    let mut rng = StdRng::seed_from_u64(seed);
    let judge = Judge::new(&*named(world.metric()), None, f64::from(2 * units));
    let mut arms = [Cluster::default(); 2];
    let truth = world.difference();
    let (mut found, mut missed) = (None, false);
    for n in 1..=units {
        for (arm, cluster) in arms.iter_mut().enumerate() {
            cluster.replace(Unit::default(), world.draw(&mut rng, arm));
        }
        let excludes =
            |difference| method.excludes(&judge, &arms, f64::from(n), f64::from(units), difference);
        if found.is_none() && excludes(0.0) {
            found = Some(n);
        }
        if truth == 0.0 {
            missed = found.is_some();
        } else {
            missed = missed || excludes(truth);
        }
        // coverage is asked of the report alone
        if found.is_some() && (missed || method != Method::Report) {
            break;
        }
    }
    (found, missed)
}

/// Tests of fair splits in which the sample-ratio alarm sounds at some of `units` looks.
pub(crate) fn false_alarms(units: u32, runs: u64) -> u64 {
    let alarm = |seed| {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut counts = [0.0; 2];
        (0..units).any(|_| {
            counts[rng.random_range(0..2)] += 1.0;
            ratio::ln_e(&counts, &[1.0, 1.0]) >= ratio::ALARM
        })
    };
    (0..runs).filter(|seed| alarm(*seed)).count() as u64
}

/// Runs whole tests in which calls are told twice, late and out of order. Gives how many counts were wrong.
pub(crate) fn wrong_counts(units: u64, runs: u64) -> u64 {
    let mut wrong = 0;
    for seed in 0..runs {
        let mut rng = StdRng::seed_from_u64(seed);
        let settings = Settings {
            name: format!("t{seed}"),
            models: vec!["a".into(), "b".into()],
            sample_size: units,
            ..Settings::default()
        };
        let test = Experiment::open(settings, Arc::new(Memory::default())).expect("good settings");
        let mut late = Vec::new();
        let (mut calls, mut exposed) = (0, std::collections::HashSet::new());
        for _ in 0..2 * units {
            let user = rng.random_range(0..units * 5 / 4).to_string();
            let request = RequestId::new();
            let pick = test
                .pick(By::Name, Some(&user), request, |_| true)
                .expect("memory");
            let Some(unit) = pick.unit else { continue };
            exposed.insert(unit);
            calls += 1;
            let outcome = Outcome {
                request,
                unit,
                success: rng.random(),
                latency: Duration::from_millis(rng.random_range(1..5000)),
                first_token: None,
                usage: Usage::default(),
                cost: 0.0,
                fallback: rng.random::<bool>().then(|| "c".into()),
            };
            late.push(outcome.clone());
            if rng.random() {
                test.record(outcome).expect("memory");
            }
        }
        while !late.is_empty() {
            let outcome = late.swap_remove(rng.random_range(0..late.len()));
            test.record(outcome).expect("memory");
        }
        let report = test.report();
        let told: u64 = report.arms.iter().map(|arm| arm.calls).sum();
        wrong += report.units.abs_diff(exposed.len() as u64) + told.abs_diff(calls);
        wrong += report.units.saturating_sub(units);
    }
    wrong
}
