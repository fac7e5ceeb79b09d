//! The health of one target, read without locks where a target is chosen.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::BreakerSettings;
use super::admission::{Admission, Reason, Refusal};

/// Whether a target takes a call now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Standing {
    /// It does. `share`: how much of its weight it may get, less than 1 while it starts slowly.
    Up {
        /// From 0.1 to 1.
        share: f64,
    },
    /// It rested long enough: one call may try it.
    Due,
    /// It does not.
    Resting(Refusal),
}

/// The word for a target's standing in `status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Takes calls.
    Up,
    /// Rests, or is being tried.
    Resting,
    /// Its credential is of no use.
    NoCredential,
}

/// What is known of a target, for people.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// Its state.
    pub state: State,
    /// Why it is not up, and for how long.
    pub reason: Option<String>,
    /// Smoothed time to the first content; `None` before the first answer.
    pub latency: Option<Duration>,
    /// Calls under way.
    pub inflight: u32,
}

/// The health of one target.
#[derive(Debug)]
pub struct TargetHealth {}

/// The health of a credential, shared by its targets.
#[derive(Debug)]
pub(super) struct CredentialHealth {}

impl CredentialHealth {
    pub(super) fn new(_epoch: Instant) -> Self {
        Self {}
    }
}

impl TargetHealth {
    pub(super) fn new(_epoch: Instant, _: BreakerSettings, _: Arc<CredentialHealth>) -> Self {
        Self {}
    }

    pub(super) fn configure(&self, _: BreakerSettings) {}

    /// Asks for the right to call the target.
    ///
    /// # Errors
    /// The target rests, or the one call that may try it is under way.
    pub fn admit(self: &Arc<Self>) -> Result<Admission, Refusal> {
        Ok(Admission::new(Arc::clone(self)))
    }

    /// Whether it takes a call now.
    pub fn standing(&self, now: Instant) -> Standing {
        let _ = (now, Reason::Failing);
        Standing::Up { share: 1.0 }
    }

    /// Calls under way.
    pub fn inflight(&self) -> u32 {
        0
    }

    /// The load as `least_latency` sees it, in seconds: smoothed time to first content × (calls under way + 1).
    pub fn load(&self, now: Instant) -> f64 {
        let _ = now;
        1.0
    }

    /// What is known of it, for people.
    pub fn snapshot(&self, now: Instant) -> Snapshot {
        let _ = now;
        Snapshot {
            state: State::Up,
            reason: None,
            latency: None,
            inflight: 0,
        }
    }
}
