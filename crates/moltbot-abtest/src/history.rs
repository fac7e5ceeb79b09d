//! How the intervals of a test narrowed: one look for every 5 % more calls, so that any test has a few hundred.

use crate::books::Books;
use crate::verdict::{ALPHA, Estimate, Judge};

/// One look: what was known after so many calls, of each arm but the baseline.
#[derive(Clone, Debug)]
pub(crate) struct Look {
    pub(crate) calls: u64,
    pub(crate) arms: Vec<Estimate>,
}

/// The looks so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    looks: Vec<Look>,
    calls: u64,
}

impl History {
    const FIRST: u64 = 20;

    /// One more value is in the books.
    pub(crate) fn look(&mut self, books: &Books, judge: &Judge) {
        self.calls += 1;
        let last = self.looks.last().map_or(0, |look| look.calls);
        if self.calls < Self::FIRST.max(last + last / 20 + 1) {
            return;
        }
        let arms = 1..books.arms.len();
        let alpha = ALPHA / arms.len() as f64;
        let arms = arms.map(|arm| judge.estimate(&books.strata(0, arm), alpha));
        self.looks.push(Look {
            calls: self.calls,
            arms: arms.collect(),
        });
    }

    pub(crate) fn looks(&self) -> &[Look] {
        &self.looks
    }
}
