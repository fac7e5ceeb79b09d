//! Who can be trusted with a call: one record for each address, model and credential, and what it learns.

mod admission;
mod breaker;
mod clock;
mod credential;
mod fault;
mod hold;
mod latency;
mod peers;
mod resort;
mod target;
mod window;

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::time::Instant;

pub use admission::{Admission, Reason, Refusal};
pub use fault::Fault;
pub use hold::Held;
pub use peers::Peers;
pub use resort::last_resort;
pub use target::{Snapshot, Standing, State, TargetHealth};

use clock::Clock;
use credential::CredentialHealth;

/// When a target is taken out of service, and for how long.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BreakerSettings {
    /// So many failures in a row eject a target; of one that fails now and then, so many that chance alone
    /// would bring them once in a million. Where it answered before and no other target of the model answers
    /// either, the row must last for a second, too.
    pub consecutive: u32,
    /// A larger share of failures within `window` ejects a target; from 0 to 1, and 1 never does.
    pub error_ratio: f64,
    /// So many calls must have ended within `window` before `error_ratio` is looked at.
    pub min_requests: u32,
    /// How far back `error_ratio` looks.
    pub window: Duration,
    /// The first rest of an ejected target; the n-th in a row is n times as long.
    pub first_rest: Duration,
    /// No rest is longer than this, nor than a day.
    pub max_rest: Duration,
}

impl Default for BreakerSettings {
    fn default() -> Self {
        Self {
            consecutive: 5,
            error_ratio: 0.5,
            min_requests: 20,
            window: Duration::from_secs(10),
            first_rest: Duration::from_secs(5),
            max_rest: Duration::from_secs(300),
        }
    }
}

impl BreakerSettings {
    fn bounded(mut self) -> Self {
        self.max_rest = self.max_rest.min(Duration::from_secs(24 * 3600));
        self.first_rest = self.first_rest.min(self.max_rest);
        self
    }
}

/// What health belongs to: the same address asked for another model or as someone else is another matter.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HealthKey {
    /// Where the target is: its base URL.
    pub address: Arc<str>,
    /// The provider's own name of the model.
    pub model: Arc<str>,
    /// The credential's id, never its secret; `None` where calls leave without one.
    pub credential: Option<Arc<str>>,
}

/// The health of all targets. It outlives reloads: a target that stays keeps its record.
#[derive(Debug)]
pub struct Health(Mutex<Registry>);

#[derive(Debug)]
struct Registry {
    settings: BreakerSettings,
    clock: Clock,
    targets: HashMap<HealthKey, Weak<TargetHealth>>,
    credentials: HashMap<Arc<str>, Weak<CredentialHealth>>,
}

impl Default for Health {
    fn default() -> Self {
        Self::new(BreakerSettings::default())
    }
}

impl Health {
    /// No targets yet.
    pub fn new(settings: BreakerSettings) -> Self {
        Self(Mutex::new(Registry {
            settings,
            clock: Clock(Instant::now()),
            targets: HashMap::new(),
            credentials: HashMap::new(),
        }))
    }

    /// Changes the settings of all targets, as a reload does; rests under way keep their length.
    ///
    /// Records that nobody holds any longer are forgotten.
    pub fn configure(&self, settings: BreakerSettings) {
        let mut registry = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        registry.settings = settings;
        registry.targets.retain(|_, target| match target.upgrade() {
            Some(target) => {
                target.configure(settings);
                true
            }
            None => false,
        });
        registry
            .credentials
            .retain(|_, credential| credential.strong_count() > 0);
    }

    /// The record of a target, the same one for as long as somebody holds it.
    pub fn target(&self, key: &HealthKey) -> Arc<TargetHealth> {
        let mut registry = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(target) = registry.targets.get(key).and_then(Weak::upgrade) {
            return target;
        }
        let clock = registry.clock;
        let credential = match &key.credential {
            None => Arc::new(CredentialHealth::new(clock)),
            Some(id) => match registry.credentials.get(id).and_then(Weak::upgrade) {
                Some(credential) => credential,
                None => {
                    let credential = Arc::new(CredentialHealth::new(clock));
                    registry
                        .credentials
                        .insert(Arc::clone(id), Arc::downgrade(&credential));
                    credential
                }
            },
        };
        let target = Arc::new(TargetHealth::new(clock, registry.settings, credential));
        registry
            .targets
            .insert(key.clone(), Arc::downgrade(&target));
        target
    }

    /// Another secret stands behind a credential's id: what was learnt of the old one is void.
    pub fn renew(&self, credential: &str) {
        let registry = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(credential) = registry.credentials.get(credential).and_then(Weak::upgrade) {
            credential.renew();
        }
    }
}
