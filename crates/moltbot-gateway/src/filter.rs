//! The step that lets no text pass unseen: those of a call on its way down, those of its reply on its way up.
//!
//! It stands above the plan over targets, so a text that is blocked is never a reason to ask another model.

mod stream;
mod watch;
mod whole;

use std::sync::Arc;

use moltbot_config::config::{self, FilterAction, FilterName, WorkspaceFilters};
use moltbot_filters::{Chain, Engine, Name, OnError, SafetySettings, Settings, WordSettings};
use moltbot_telemetry::Calls;
use moltbot_types::filter::{Action, Direction, Filter, Hit};
use moltbot_types::{Body, Call, CallError, Next, Reply, Step, Trail};

use crate::gateway::StartError;

/// The step; `None` where nothing is configured.
#[derive(Clone)]
pub(crate) struct Filtering(Option<Arc<dyn Filter>>);

/// Looks at texts with `filter`, in the directions in which it looks.
pub(crate) fn filter(chain: Chain) -> Filtering {
    let looks = chain.looks(Direction::Inbound) || chain.looks(Direction::Outbound);
    Filtering(looks.then(|| Arc::new(chain) as Arc<dyn Filter>))
}

impl Step for Filtering {
    async fn run<N: Next>(&self, call: Call, next: &N) -> Result<Reply, CallError> {
        match &self.0 {
            Some(filter) if !call.filtered => around(Arc::clone(filter), call, next).await,
            _ => next.call(call).await,
        }
    }
}

async fn around<N: Next>(
    filter: Arc<dyn Filter>,
    mut call: Call,
    next: &N,
) -> Result<Reply, CallError> {
    let (operation, trail) = (call.head.operation, Arc::clone(&call.trail));
    if filter.looks(Direction::Inbound) {
        let dialect = call.dialect;
        let looked = whole::look(&*filter, Direction::Inbound, dialect, &call.body, &trail);
        if let Some(body) = looked.await? {
            call.head = dialect.peek(operation, &body)?;
            call.body = body;
        }
    }
    let mut reply = next.call(call).await?;
    if !filter.looks(Direction::Outbound) || !operation.generates() {
        return Ok(reply);
    }
    let dialect = reply.dialect;
    let body = std::mem::replace(&mut reply.body, Body::Whole(bytes::Bytes::new()));
    reply.body = match body {
        Body::Whole(bytes) => {
            let plain = dialect.plain(bytes);
            let looked = whole::look(&*filter, Direction::Outbound, dialect, &plain, &trail);
            Body::Whole(looked.await?.unwrap_or(plain))
        }
        Body::Stream(frames) => {
            let rewritten = stream::Rewritten::new(filter, dialect, operation, trail);
            Body::Stream(rewritten.begin(frames).await?)
        }
    };
    Ok(reply)
}

/// Writes down which filters found something.
fn note(trail: &Trail, hits: &[Hit]) {
    for hit in hits {
        trail.filtered(hit.filter);
    }
}

/// The filters of a configuration.
pub(crate) struct Filters {
    engine: Engine,
}

impl Filters {
    /// Builds the filters that `config` names.
    ///
    /// # Errors
    /// Words that are too many to be searched at once, an address that is none.
    pub(crate) fn build(config: &config::Filters, calls: &Arc<Calls>) -> Result<Self, StartError> {
        let settings = Settings {
            pii: config.pii.as_ref().map(|it| action(it.action, it.enforce)),
            secrets: config
                .secrets
                .as_ref()
                .map(|it| action(it.action, it.enforce)),
            words: config.words.as_ref().map(|it| WordSettings {
                words: it.words.clone(),
                action: action(it.action, it.enforce),
            }),
            safety: config.safety.as_ref().map(safety),
        };
        let engine = Engine::new(&settings).map_err(StartError::other)?;
        Ok(Self {
            engine: engine.watched(Arc::new(watch::Counted::new(calls))),
        })
    }

    /// The filters of a workspace, and those of `more`, as one. Without a list of its own it has all.
    pub(crate) fn of(&self, policy: &WorkspaceFilters, more: &[FilterName]) -> Chain {
        let named = |own: &Option<Vec<FilterName>>| -> Vec<Name> {
            match own {
                Some(own) => own
                    .iter()
                    .chain(more)
                    .map(|name| engine_name(*name))
                    .collect(),
                None => Name::ALL.to_vec(),
            }
        };
        self.engine
            .chain(&named(&policy.inbound), &named(&policy.outbound))
    }
}

fn safety(config: &config::Safety) -> SafetySettings {
    let counts = !config.enforce || config.action == config::SafetyAction::Count;
    SafetySettings {
        endpoint: config.endpoint.clone(),
        action: if counts { Action::Count } else { Action::Block },
        on_error: match config.on_error {
            config::OnError::Block => OnError::Block,
            config::OnError::Pass => OnError::Pass,
        },
        timeout: config.timeout,
    }
}

fn engine_name(name: FilterName) -> Name {
    match name {
        FilterName::Pii => Name::Pii,
        FilterName::Secrets => Name::Secrets,
        FilterName::Words => Name::Words,
        FilterName::Safety => Name::Safety,
    }
}

fn action(action: FilterAction, enforce: bool) -> Action {
    match action {
        _ if !enforce => Action::Count,
        FilterAction::Mask => Action::Mask,
        FilterAction::Block => Action::Block,
        FilterAction::Count => Action::Count,
    }
}

#[cfg(test)]
mod tests;
