//! The step of the path: reserves before anything is spent, settles at the reply's last byte.

use std::sync::Arc;
use std::time::Duration;

use moltbot_types::{
    Call, CallError, Ending, Head, Hold, Kind, ModelName, Next, Reply, Step, Trail, Usage,
    Workspace,
};

use super::meter::{Amount, What};
use super::tenant::{Asked, Over, Scope, Standings, Tenant};
use super::{OnOver, QuotaSettings, Quotas, headers};

/// Keeps the callers of a workspace within its limits; hands calls on where there are none.
#[derive(Clone)]
pub struct Quota(Option<Arc<Limited>>);

struct Limited {
    workspace: Workspace,
    tenant: Arc<Tenant>,
    settings: Arc<QuotaSettings>,
    on_over: Arc<dyn OnOver>,
}

/// The step for a workspace. What was used under its limits before stays used.
pub fn quota(quotas: &Quotas, workspace: &Workspace, settings: QuotaSettings) -> Quota {
    let limited = !settings.is_none();
    let settings = Arc::new(settings);
    let tenant = quotas.enter(workspace, &settings);
    Quota(limited.then(|| {
        Arc::new(Limited {
            workspace: workspace.clone(),
            tenant,
            settings,
            on_over: Arc::clone(&quotas.on_over),
        })
    }))
}

impl Step for Quota {
    async fn run<N: Next>(&self, call: Call, next: &N) -> Result<Reply, CallError> {
        let Some(limited) = &self.0 else {
            return next.call(call).await;
        };
        let (reserved, standings) = limited.reserve(&call)?;
        match next.call(call).await {
            Ok(mut reply) => {
                headers::write(&mut reply.headers, &standings);
                if let Some(reserved) = reserved {
                    reply.hold(reserved);
                }
                Ok(reply)
            }
            Err(error) => {
                if let Some(mut reserved) = reserved {
                    reserved.refund(&error);
                }
                Err(tell(error, &standings))
            }
        }
    }
}

impl Limited {
    /// What a call holds of its limits; nothing where it is over one and that is only counted.
    fn reserve(self: &Arc<Self>, call: &Call) -> Result<(Option<Reserved>, Standings), CallError> {
        let model = &call.head.model;
        let asked = Asked {
            key: call.caller.key.as_ref(),
            sender: call.head.user.as_ref(),
            input: Usage::estimate(call.head.size, 0).input,
            output: output(&call.head),
            price: self.price(model),
        };
        let (taken, standings) = self.tenant.reserve(&self.settings, &asked);
        match taken {
            Ok((scopes, amount)) => {
                let reserved = Reserved {
                    limited: Arc::clone(self),
                    scopes,
                    amount,
                    asked: model.clone(),
                    trail: Arc::clone(&call.trail),
                };
                Ok((Some(reserved), standings))
            }
            Err(over) => {
                let refused = !self.settings.count_only;
                self.on_over.over(&self.workspace, over.what, refused);
                match refused {
                    true => Err(tell(self.refusal(&over), &standings)),
                    false => Ok((None, standings)),
                }
            }
        }
    }

    fn price(&self, model: &ModelName) -> super::Price {
        self.settings.prices.get(model).copied().unwrap_or_default()
    }

    fn refusal(&self, over: &Over) -> CallError {
        let (who, limits) = (over.scope.words(), self.settings.of(&over.scope));
        let rate = match over.what {
            What::Requests => limits.requests,
            What::Tokens => limits.tokens,
            What::Cost | What::Concurrency => None,
        };
        let count = rate.map_or(0, |rate| rate.count);
        let per = rate.map_or("a day", |rate| per(rate.per));
        let limit = match over.what {
            What::Requests => format!("{who} may make {count} requests {per}"),
            What::Tokens => format!("{who} may use {count} tokens {per}"),
            What::Cost => format!("the budget of {who} is used up"),
            What::Concurrency => format!(
                "{who} may have {} calls at once",
                limits.concurrency.unwrap_or(0)
            ),
        };
        let seconds = over.wait.as_nanos().div_ceil(1_000_000_000).max(1);
        let message = format!("{limit}; try again in {seconds} s");
        CallError::new(Kind::RateLimited, message).retry_after(over.wait)
    }
}

/// Tokens that the answer may have, where the call says so.
fn output(head: &Head) -> Option<u64> {
    match head.operation.generates() {
        true => head.max_tokens,
        false => Some(0),
    }
}

fn per(time: Duration) -> &'static str {
    match time.as_secs() {
        0..=1 => "a second",
        2..=60 => "a minute",
        61..=3600 => "an hour",
        _ => "a day",
    }
}

fn tell(error: CallError, standings: &Standings) -> CallError {
    let mut headers = http::HeaderMap::new();
    headers::write(&mut headers, standings);
    error.headers(headers)
}

/// What a call holds of its limits until its end. Whoever leaves early has used what was reserved.
struct Reserved {
    limited: Arc<Limited>,
    scopes: Vec<Scope>,
    amount: Amount,
    asked: ModelName,
    trail: Arc<Trail>,
}

impl Reserved {
    /// The call failed. What was spent is nothing; a call that the caller got wrong was one all the same.
    fn refund(&mut self, error: &CallError) {
        let requests = u64::from(error.status().is_client_error());
        let used = Amount {
            requests,
            ..Amount::default()
        };
        self.settle(&used, None);
    }

    fn settle(&mut self, used: &Amount, answer: Option<u64>) {
        let scopes = std::mem::take(&mut self.scopes);
        let tenant = &self.limited.tenant;
        tenant.settle(&scopes, &self.amount, used, answer);
    }
}

impl Hold for Reserved {
    fn end(&mut self, _: &Ending, usage: Option<Usage>) {
        let (served, hit) = self.trail.with(|tried| {
            let served = tried.served.as_ref().map(|served| served.model.clone());
            (served, tried.cache.is_hit())
        });
        if hit {
            // a remembered answer is a request, and costs neither tokens nor money
            let used = Amount {
                requests: 1,
                ..Amount::default()
            };
            return self.settle(&used, None);
        }
        let Some(usage) = usage else { return };
        let price = self.limited.price(served.as_ref().unwrap_or(&self.asked));
        let used = Amount {
            requests: 1,
            tokens: usage.input.saturating_add(usage.output),
            cost: price.of(usage.input, usage.output),
        };
        self.settle(&used, Some(usage.output));
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        if !self.scopes.is_empty() {
            let amount = self.amount;
            self.settle(&amount, None);
        }
    }
}
