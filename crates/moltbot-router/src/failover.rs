//! The end of a workspace's path: who is asked, in which order, and when to stop asking.
//!
//! One loop owns the whole plan. A call that fails at one target goes to another one, then again to the
//! same one if it is alone, then to the `fallback` models, within the number of attempts, the budgets
//! and the deadline. Whoever saw a failure decided what may follow it; this loop obeys.

mod note;
mod plan;
mod verdict;

#[cfg(test)]
mod property;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use futures_util::TryFutureExt;
use moltbot_types::{Call, CallError, Next, Reply};

use crate::budget::Budgets;
use crate::table::Table;
use note::Note;
use plan::Plan;

/// How far a call goes to find an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailoverSettings {
    /// Whether a call that failed may go to another target or model at all.
    pub enabled: bool,
    /// Attempts of a whole call, over all targets and models; at least 1.
    pub max_attempts: u32,
    /// The shortest wait before a repeat on the same target.
    pub initial: Duration,
    /// The longest wait before a repeat on the same target.
    pub max: Duration,
    /// Whether the wait that an upstream asks for is kept.
    pub honor_retry_after: bool,
}

impl Default for FailoverSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            max_attempts: 6,
            initial: Duration::from_millis(100),
            max: Duration::from_secs(5),
            honor_retry_after: true,
        }
    }
}

/// Finds an answer for a call among the targets of its model; cheap to clone.
#[derive(Clone, Debug)]
pub struct Failover(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    routes: Arc<Table>,
    budgets: Arc<Budgets>,
    settings: FailoverSettings,
}

/// The end of a path: asks the targets of `routes`. Calls that share `budgets` share their storms.
pub fn failover(routes: Arc<Table>, budgets: Arc<Budgets>, settings: FailoverSettings) -> Failover {
    Failover(Arc::new(Parts {
        routes,
        budgets,
        settings,
    }))
}

impl Next for Failover {
    async fn call(&self, call: Call) -> Result<Reply, CallError> {
        let Parts {
            routes,
            budgets,
            settings,
        } = &*self.0;
        let mut plan = Plan::new(routes, budgets, settings, &call)?;
        budgets.deposit();
        while let Some(ask) = plan.next().await {
            let note = Note::begin(&call.trail, ask.route.name(), &ask.target.id, ask.level);
            let attempt = ask.target.service.call(call.clone());
            let attempt = attempt.map_err(|error| match settings.honor_retry_after {
                true => error,
                false => error.without_hint(),
            });
            match ask.admission.watch(attempt).await {
                Ok(reply) => {
                    note.answered();
                    return Ok(reply);
                }
                Err(error) => plan.failed(error, note)?,
            }
        }
        Err(plan.verdict())
    }
}
