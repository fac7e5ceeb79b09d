//! A smoothed time that jumps up at once and comes down slowly.

use std::time::Duration;

use tokio::time::Instant;

/// How fast the past is forgotten.
const DECAY: Duration = Duration::from_secs(10);

/// A peak-sensitive moving average, in seconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct PeakEwma {
    pub(super) seconds: f64,
    pub(super) at: Instant,
}

impl PeakEwma {
    pub(super) fn new(seconds: f64, at: Instant) -> Self {
        Self { seconds, at }
    }

    /// Takes a sample: a higher one counts at once, a lower one the more the longer ago the last was.
    pub(super) fn sample(&mut self, took: Duration, now: Instant) {
        let sample = took.as_secs_f64();
        let old = fade(now.saturating_duration_since(self.at));
        self.seconds = if sample > self.seconds {
            sample
        } else {
            self.seconds * old + sample * (1.0 - old)
        };
        self.at = now;
    }
}

/// How much of a value is left after `idle`: a target that nobody asks is tried again in time.
pub(super) fn fade(idle: Duration) -> f64 {
    (-idle.as_secs_f64() / DECAY.as_secs_f64()).exp()
}
