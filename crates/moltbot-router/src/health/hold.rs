//! A target that is held back: who knows better than its record says that it takes no calls.

use std::sync::Arc;

use super::target::TargetHealth;

/// Keeps calls from a target until it is dropped. It says nothing of the target's health, and calls under
/// way go on.
///
/// ```
/// use moltbot_router::health::{Health, HealthKey, State};
/// use tokio::time::Instant;
///
/// let key = HealthKey { address: "a".into(), model: "m".into(), credential: None };
/// let target = Health::default().target(&key);
/// let held = target.hold("starting");
/// assert!(target.admit().is_err());
/// assert_eq!(target.snapshot(Instant::now()).reason.as_deref(), Some("starting"));
/// drop(held);
/// assert!(target.admit().is_ok());
/// ```
#[derive(Debug)]
#[must_use = "dropping it lets calls through again"]
pub struct Held {
    target: Arc<TargetHealth>,
    reason: Arc<str>,
}

impl TargetHealth {
    /// Holds the target back, for a reason that `status` tells. It may be held several times at once.
    pub fn hold(self: &Arc<Self>, reason: impl Into<Arc<str>>) -> Held {
        let reason = reason.into();
        self.held(|holds| holds.push(Arc::clone(&reason)));
        Held {
            target: Arc::clone(self),
            reason,
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.target.held(|holds| {
            if let Some(at) = holds
                .iter()
                .position(|hold| Arc::ptr_eq(hold, &self.reason))
            {
                holds.remove(at);
            }
        });
    }
}
