//! What happened to a message at each step of its turn, for whoever wants to see it.

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

/// One step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// `gate`, `rate_limit`, `filter_in`, `session`, `skills`, `model`, `filter_out`, `render` or `send`.
    pub step: String,
    /// `ok`, `skipped`, `stopped` or `failed`.
    pub outcome: String,
    /// Why, where there is more to say.
    pub reason: Option<String>,
    /// How long it took, in milliseconds.
    pub ms: f64,
}

/// The steps so far.
#[derive(Debug)]
pub(crate) struct Trace {
    steps: Vec<Step>,
    since: Instant,
}

impl Trace {
    pub(crate) fn new() -> Self {
        Self {
            steps: Vec::with_capacity(9),
            since: Instant::now(),
        }
    }

    /// A step was gone, since the one before.
    pub(crate) fn note(&mut self, step: &str, outcome: &str, reason: Option<String>) {
        let now = Instant::now();
        let took = now - std::mem::replace(&mut self.since, now);
        self.steps.push(Step {
            step: step.to_owned(),
            outcome: outcome.to_owned(),
            reason,
            ms: (took.as_secs_f64() * 1e6).round() / 1e3,
        });
    }

    pub(crate) fn ok(&mut self, step: &str) {
        self.note(step, "ok", None);
    }

    pub(crate) fn into_steps(self) -> Vec<Step> {
        self.steps
    }
}
