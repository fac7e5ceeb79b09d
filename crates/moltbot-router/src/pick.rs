//! Which target of a tier gets the call.
//!
//! Every strategy passes over targets that rest or were tried in this call, and takes one whose rest is
//! over as soon as it meets it: the call becomes its probe, of which there is one at a time.

use std::fmt;
use std::sync::Arc;

use rand::RngExt;
use tokio::time::Instant;

use crate::health::{Standing, TargetHealth};

#[cfg(test)]
mod tests;

/// Up to so many candidates are all looked at; of more, some are drawn.
const FEW: usize = 8;
/// How often is drawn among many before all are looked at.
const DRAWS: usize = 8;

/// A target as the choice sees it.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Names the target to whoever made the candidate; `tried` speaks of it.
    pub index: usize,
    /// Its health.
    pub health: Arc<TargetHealth>,
    /// Its share of calls among its like; more than 0.
    pub weight: f64,
}

/// A way to choose. It neither allocates nor waits, whatever the number of candidates.
pub trait Pick: fmt::Debug + Send + Sync + 'static {
    /// The index of a candidate that takes calls now and is not among `tried`; `None` where none is left.
    fn pick(&self, candidates: &[Candidate], tried: &[usize], now: Instant) -> Option<usize>;
}

/// At random, by weight.
#[derive(Clone, Copy, Debug, Default)]
pub struct Weighted;

/// The less loaded of two drawn at random: smoothed time to first content × (calls under way + 1) ÷ weight.
///
/// Two draws come close to the least of all, and do not send everyone to the same target at once.
#[derive(Clone, Copy, Debug, Default)]
pub struct LeastLatency;

/// The one of two drawn at random that has fewer calls under way for its weight.
#[derive(Clone, Copy, Debug, Default)]
pub struct LeastInflight;

/// What a candidate is good for now.
enum Use {
    /// Takes calls, with so much weight.
    Call(f64),
    /// Waits for its probe.
    Probe,
}

impl Candidate {
    fn usable(&self, tried: &[usize], now: Instant) -> Option<Use> {
        if tried.contains(&self.index) {
            return None;
        }
        match self.health.standing(now) {
            Standing::Up { share } => Some(Use::Call(self.weight * share)),
            Standing::Due => Some(Use::Probe),
            Standing::Resting(_) => None,
        }
    }
}

impl Pick for Weighted {
    fn pick(&self, candidates: &[Candidate], tried: &[usize], now: Instant) -> Option<usize> {
        let mut total = 0.0;
        for candidate in candidates {
            match candidate.usable(tried, now) {
                Some(Use::Call(weight)) => total += weight,
                Some(Use::Probe) => return Some(candidate.index),
                None => {}
            }
        }
        let mut left = rand::random::<f64>() * total;
        let mut last = None;
        for candidate in candidates {
            if let Some(Use::Call(weight)) = candidate.usable(tried, now) {
                last = Some(candidate.index);
                left -= weight;
                if left < 0.0 {
                    break;
                }
            }
        }
        last
    }
}

impl Pick for LeastLatency {
    fn pick(&self, candidates: &[Candidate], tried: &[usize], now: Instant) -> Option<usize> {
        less_of_two(candidates, tried, now, |health| health.load(now))
    }
}

impl Pick for LeastInflight {
    fn pick(&self, candidates: &[Candidate], tried: &[usize], now: Instant) -> Option<usize> {
        less_of_two(candidates, tried, now, |health| {
            f64::from(health.inflight()) + 1.0
        })
    }
}

/// Draws two usable candidates, each pair as likely, and gives the one with the lesser load for its weight.
fn less_of_two(
    candidates: &[Candidate],
    tried: &[usize],
    now: Instant,
    load: impl Fn(&TargetHealth) -> f64,
) -> Option<usize> {
    let mut rng = rand::rng();
    let mut two = [None::<(&Candidate, f64)>; 2];
    if candidates.len() > FEW {
        for _ in 0..DRAWS {
            let candidate = &candidates[rng.random_range(0..candidates.len())];
            match candidate.usable(tried, now) {
                None => continue,
                Some(Use::Probe) => return Some(candidate.index),
                Some(Use::Call(weight)) => match two[0] {
                    Some((first, _)) if first.index == candidate.index => continue,
                    Some(_) => {
                        two[1] = Some((candidate, weight));
                        break;
                    }
                    None => two[0] = Some((candidate, weight)),
                },
            }
        }
    }
    if two[1].is_none() {
        // Each candidate that takes calls ends up in either place with the same chance.
        two = [None; 2];
        let mut met = 0;
        for candidate in candidates {
            match candidate.usable(tried, now) {
                None => continue,
                Some(Use::Probe) => return Some(candidate.index),
                Some(Use::Call(weight)) => {
                    let place = if met < 2 {
                        met
                    } else {
                        rng.random_range(0..=met)
                    };
                    if let Some(kept) = two.get_mut(place) {
                        *kept = Some((candidate, weight));
                    }
                    met += 1;
                }
            }
        }
    }
    match two {
        [Some((a, a_weight)), Some((b, b_weight))] => {
            let (a_load, b_load) = (load(&a.health) / a_weight, load(&b.health) / b_weight);
            let first = a_load < b_load || (a_load == b_load && rng.random());
            Some(if first { a.index } else { b.index })
        }
        [one, other] => one.or(other).map(|(candidate, _)| candidate.index),
    }
}
