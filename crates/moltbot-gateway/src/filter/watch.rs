//! Counts what filters find.

use std::sync::Arc;

use moltbot_filters::Watch;
use moltbot_telemetry::Calls;
use moltbot_types::filter::{Direction, Hit};

/// Tells the metrics.
pub(super) struct Counted(Arc<Calls>);

impl Counted {
    pub(super) fn new(calls: &Arc<Calls>) -> Self {
        Self(Arc::clone(calls))
    }
}

impl Watch for Counted {
    fn hit(&self, direction: Direction, hit: &Hit) {
        let metrics = self.0.metrics();
        metrics.filtered(hit.filter, direction.word(), hit.what, hit.action.word());
    }

    fn failed(&self, direction: Direction, filter: &'static str) {
        let metrics = self.0.metrics();
        metrics.filtered(filter, direction.word(), "unavailable", "error");
    }
}
