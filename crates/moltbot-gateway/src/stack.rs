//! The life of a call. Read downwards: the call falls, its reply climbs.
//!
//! Order is behaviour, so each line says why it stands there. Before the list the door has begun the
//! record of the call and asked who is calling; after it, the door writes the reply.

use std::sync::Arc;

use moltbot_auth::quota::quota;
use moltbot_router::cache::caching;
use moltbot_router::times::Timeouts;
use moltbot_router::{again, deadline, failover, permits, times};
use moltbot_types::{CallService, Layered, Next, boxed};
use tower::ServiceBuilder;

use crate::experiments::comparing;
use crate::filter::filter;
use crate::limits;
use crate::policy::policy;
use crate::runtime::Runtime;
use crate::skills::skills;
use crate::workspace::{self, Parts};

/// The path of a workspace: from its door to the plan over all targets.
pub(crate) fn path(of: &Parts<'_>, rt: &Runtime) -> CallService {
    let routes = || Arc::clone(of.table);
    let path = ServiceBuilder::new()
        // may this caller use this model: 403, before anything is counted or spent
        .layer(Layered::layer(policy(routes(), Arc::clone(of.shared))))
        // refused before anything is spent; settled at the last byte for what was used
        .layer(Layered::layer(quota(
            &rt.quotas,
            of.name,
            limits::settings(&of.rules.policy.limits, of.prices),
        )))
        // nothing below sees what must not leave, and no text that is blocked makes another model be asked
        .layer(Layered::layer(filter(of.filters.clone())))
        // may answer in the model's place, or serve it as tools
        .layer(Layered::layer(skills(
            &rt.skills,
            of.name,
            &of.rules.policy,
        )))
        // may change the model: what stands below sees the arm
        .layer(Layered::layer(comparing(&rt.tests, of.table, of.prices)))
        // the arm is asked for in the place of the comparison's name, and must be allowed like any model
        .layer(Layered::layer(policy(routes(), Arc::clone(of.shared))))
        // an equal call was answered, or is under way: below all that changes a call, above all that costs
        .layer(Layered::layer(caching(of.cache.clone(), routes())))
        // `total` of the model that is asked, over all attempts; the stream obeys it too
        .layer(Layered::layer(deadline(routes())))
        // the one plan: order, attempts, budgets, backoff, health of each target
        .service(failover(
            routes(),
            Arc::clone(&rt.budgets),
            workspace::failover(of.config),
        ));
    boxed(path)
}

/// How one target is asked.
pub(crate) struct TargetSettings {
    /// The name of its permits, which no target of another owner has.
    pub(crate) permits: String,
    /// Calls at once, and how long one waits for its turn.
    pub(crate) concurrency: Option<usize>,
    /// See `concurrency`.
    pub(crate) queue_wait: std::time::Duration,
    /// How long one attempt may take.
    pub(crate) timeouts: Timeouts,
}

/// The path of one target. Moving on is the work of `failover`.
pub(crate) fn target(settings: &TargetSettings, upstream: impl Next, rt: &Runtime) -> CallService {
    let limit = settings.concurrency.unwrap_or(usize::MAX);
    let limit = rt.permits.limit(&settings.permits, limit);
    let path = ServiceBuilder::new()
        // a repeat on this very target, only where the error says `Again`
        .layer(Layered::layer(again(Arc::clone(&rt.budgets))))
        // held until the stream ends; a full target is left for another
        .layer(Layered::layer(permits(limit, settings.queue_wait)))
        // the commit point: what leaves here has content, or is whole
        .layer(Layered::layer(times(settings.timeouts)))
        .service(upstream);
    boxed(path)
}
