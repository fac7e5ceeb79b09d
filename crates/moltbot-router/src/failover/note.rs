//! One attempt's line in the call's trail, written even when the caller leaves in the middle of it.

use std::sync::Arc;

use moltbot_types::record::Level;
use moltbot_types::{Attempt, CallError, ModelName, Outcome, TargetId, Trail};
use tokio::time::Instant;

/// An attempt under way. Dropped without a result, the caller left.
pub(super) struct Note {
    trail: Arc<Trail>,
    begun: Instant,
    attempt: Option<Attempt>,
}

impl Note {
    pub(super) fn begin(
        trail: &Arc<Trail>,
        model: &ModelName,
        target: &TargetId,
        level: Option<Level>,
    ) -> Self {
        Self {
            trail: Arc::clone(trail),
            begun: Instant::now(),
            attempt: Some(Attempt {
                model: model.clone(),
                target: target.clone(),
                outcome: Outcome::Cancelled,
                reason: None,
                level,
                took: Default::default(),
            }),
        }
    }

    pub(super) fn answered(self) {
        self.write(Outcome::Ok, None);
    }

    pub(super) fn failed(self, error: &CallError) {
        self.write(Outcome::of(error.kind()), Some(error.word()));
    }

    /// The target was never asked: nothing to write.
    pub(super) fn forget(mut self) {
        self.attempt = None;
    }

    fn write(mut self, outcome: Outcome, reason: Option<&'static str>) {
        if let Some(attempt) = &mut self.attempt {
            attempt.outcome = outcome;
            attempt.reason = reason;
        }
    }
}

impl Drop for Note {
    fn drop(&mut self) {
        if let Some(mut attempt) = self.attempt.take() {
            attempt.took = self.begun.elapsed();
            self.trail.attempt(attempt);
        }
    }
}
