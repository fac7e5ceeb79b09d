//! How much a caller may take: calls, tokens, money and calls at once, of a workspace, a key, a sender.
//!
//! A call reserves what it is likely to use before anything is spent, and settles for what it really used.
//! What is used of a limit runs off evenly; a limit that changes keeps what was used.

mod bucket;
mod headers;
mod meter;
mod step;
mod tenant;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use moltbot_types::{ModelName, Workspace};

pub use bucket::Rate;
pub use meter::{Limits, Standing, What};
pub use step::{Quota, quota};
use tenant::Tenant;
pub use tenant::{Scope, Used};

/// What a model costs, in dollars for a million tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Price {
    /// Tokens that it reads.
    pub input: f64,
    /// Tokens that it writes.
    pub output: f64,
}

impl Price {
    /// What so many tokens cost, in billionths of a dollar.
    pub fn of(&self, input: u64, output: u64) -> u64 {
        let millionths = input as f64 * self.input + output as f64 * self.output;
        (millionths * 1e3).round() as u64
    }
}

/// The limits of one workspace.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct QuotaSettings {
    /// Of all its callers together.
    pub workspace: Limits,
    /// Of each key.
    pub key: Limits,
    /// Of each sender: the user that a call names.
    pub sender: Limits,
    /// What its models cost; a model that is not here costs nothing.
    pub prices: Arc<HashMap<ModelName, Price>>,
    /// A call over a limit is only counted, not refused.
    pub count_only: bool,
}

impl QuotaSettings {
    /// Whether nothing is limited.
    pub fn is_none(&self) -> bool {
        [&self.workspace, &self.key, &self.sender]
            .into_iter()
            .all(Limits::is_none)
    }

    fn of(&self, scope: &Scope) -> &Limits {
        match scope {
            Scope::Workspace => &self.workspace,
            Scope::Key(_) => &self.key,
            Scope::Sender(_) => &self.sender,
        }
    }
}

/// Hears of each call over a limit, refused or only counted.
pub trait OnOver: Send + Sync {
    /// A call of `workspace` was over its limit of `what`.
    fn over(&self, workspace: &Workspace, what: What, refused: bool);
}

/// What all workspaces use of their limits. It outlives reloads; clones share it.
#[derive(Clone)]
pub struct Quotas {
    tenants: Arc<Mutex<HashMap<Workspace, Place>>>,
    on_over: Arc<dyn OnOver>,
}

/// A workspace's meters and the limits that are in force for them.
#[derive(Default)]
struct Place {
    tenant: Arc<Tenant>,
    settings: Arc<QuotaSettings>,
}

impl Quotas {
    /// Nothing is used yet.
    pub fn new(on_over: impl OnOver + 'static) -> Self {
        Self {
            tenants: Arc::default(),
            on_over: Arc::new(on_over),
        }
    }

    /// Takes over what was used `age` ago, from before a restart. To be called before the first call.
    pub fn restore(&self, workspace: &Workspace, used: Used, age: Duration) {
        let mut tenants = self.lock();
        let place = tenants.entry(workspace.clone()).or_default();
        place.tenant.restore(used, age);
    }

    /// What is in use now, to be kept for a restart.
    pub fn used(&self) -> Vec<(Workspace, Used)> {
        let places: Vec<_> = self
            .lock()
            .iter()
            .map(|(workspace, place)| {
                let (tenant, settings) = (&place.tenant, &place.settings);
                (workspace.clone(), Arc::clone(tenant), Arc::clone(settings))
            })
            .collect();
        let used = places.iter().flat_map(|(workspace, tenant, settings)| {
            let used = tenant.used(settings).into_iter();
            used.map(|used| (workspace.clone(), used))
        });
        used.collect()
    }

    /// The limits of a workspace from now on, and its meters.
    fn enter(&self, workspace: &Workspace, settings: &Arc<QuotaSettings>) -> Arc<Tenant> {
        let mut tenants = self.lock();
        let place = tenants.entry(workspace.clone()).or_default();
        place.settings = Arc::clone(settings);
        Arc::clone(&place.tenant)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Workspace, Place>> {
        self.tenants.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Quotas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Quotas").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
