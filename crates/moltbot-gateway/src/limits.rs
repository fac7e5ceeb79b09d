//! What the callers of a workspace may take: from its policy, over a restart, into the metrics.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use moltbot_auth::quota::{Limits, OnOver, QuotaSettings, Quotas, Rate, Scope, Used, What};
use moltbot_config::config::{self, Allowance, WorkspaceLimits};
use moltbot_store::Store;
use moltbot_store::counters::Counter;
use moltbot_telemetry::Calls;
use moltbot_types::Workspace;
use tracing::warn;

use crate::gateway::StartError;
use crate::price::Prices;
use crate::runtime::Runtime;

/// The longest period that a limit has: what is older has run off.
const LONGEST: SignedDuration = SignedDuration::from_hours(24);
/// How often it is written down what is used.
const SAVED_EVERY: Duration = Duration::from_secs(2);

/// The limits of a workspace, as its policy has them.
pub(crate) fn settings(limits: &WorkspaceLimits, prices: &Prices) -> QuotaSettings {
    let each = |allowance: &Option<Allowance>| {
        let Some(each) = allowance else {
            return Limits::default();
        };
        self::limits(each.requests, each.tokens, each.cost, each.concurrency)
    };
    QuotaSettings {
        workspace: self::limits(
            limits.requests,
            limits.tokens,
            limits.cost,
            limits.concurrency,
        ),
        key: each(&limits.per_key),
        sender: each(&limits.per_sender),
        prices: prices.by_model(),
        count_only: !limits.enforce,
    }
}

fn limits(
    requests: Option<config::Rate>,
    tokens: Option<config::Rate>,
    cost: Option<config::Spend>,
    concurrency: Option<usize>,
) -> Limits {
    let rate = |rate: config::Rate| Rate {
        count: rate.count,
        per: rate.per,
    };
    Limits {
        requests: requests.map(rate),
        tokens: tokens.map(rate),
        cost: cost.map(|spend| Limits::dollars(spend.usd, spend.per)),
        concurrency,
    }
}

/// Counts calls over a limit in the metrics.
pub(crate) struct Counted(pub(crate) Arc<Calls>);

impl OnOver for Counted {
    fn over(&self, workspace: &Workspace, what: What, refused: bool) {
        self.0.metrics().limited(workspace, what.word(), refused);
    }
}

/// Takes over what was used before a restart.
///
/// # Errors
/// The store can't be read.
pub(crate) async fn restore(quotas: &Quotas, store: &Store) -> Result<(), StartError> {
    let now = Timestamp::now();
    let since = now.checked_sub(LONGEST).unwrap_or(now);
    let kept = store.counters.load(since).await;
    for counter in kept.map_err(StartError::other)? {
        let age = Duration::try_from(now.duration_since(counter.began)).unwrap_or_default();
        let used = u64::try_from(counter.used).ok();
        if let (Some(scope), Some(what), Some(used)) =
            (Scope::parse(&counter.scope), What::of(&counter.what), used)
        {
            quotas.restore(&counter.workspace, Used { scope, what, used }, age);
        }
    }
    Ok(())
}

/// Writes down now and then what is used, and once more at the stop.
pub(crate) async fn keep(rt: Arc<Runtime>) {
    loop {
        let stopping = tokio::select! {
            () = tokio::time::sleep(SAVED_EVERY) => false,
            () = rt.stop.cancelled() => true,
        };
        if let Err(error) = save(&rt).await {
            warn!(%error, "what is used of limits is not written down; a restart would forget it");
        }
        if stopping {
            return;
        }
    }
}

async fn save(rt: &Runtime) -> Result<(), moltbot_store::StoreError> {
    let began = Timestamp::now();
    let used = rt
        .quotas
        .used()
        .into_iter()
        .map(|(workspace, used)| Counter {
            workspace,
            scope: used.scope.text(),
            what: used.what.word().to_owned(),
            began,
            used: i64::try_from(used.used).unwrap_or(i64::MAX),
        });
    let used: Vec<_> = used.collect();
    if used.is_empty() {
        return Ok(());
    }
    let counters = &rt.store.counters;
    counters.save(used).await?;
    counters
        .forget(began.checked_sub(LONGEST).unwrap_or(began))
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_becomes_limits() {
        let minute = Duration::from_secs(60);
        let day = minute * 60 * 24;
        let limits = WorkspaceLimits {
            requests: Some(config::Rate {
                count: 600,
                per: minute,
            }),
            cost: Some(config::Spend { usd: 0.5, per: day }),
            per_key: Some(Allowance {
                concurrency: Some(3),
                ..Allowance::default()
            }),
            enforce: false,
            ..WorkspaceLimits::default()
        };
        let settings = settings(&limits, &Prices::default());
        assert_eq!(
            settings.workspace.requests,
            Some(Rate {
                count: 600,
                per: minute
            })
        );
        assert_eq!(
            settings.workspace.cost,
            Some(Rate {
                count: 500_000_000,
                per: day
            })
        );
        assert_eq!(settings.key.concurrency, Some(3));
        assert!(settings.sender.is_none() && settings.count_only);
        assert!(self::settings(&WorkspaceLimits::default(), &Prices::default()).is_none());
    }
}
