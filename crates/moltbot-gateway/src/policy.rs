//! May this caller use this model: asked first, before anything is counted or spent.

use std::sync::Arc;

use moltbot_router::table::Table;
use moltbot_types::{Call, CallError, Kind, ModelName, Next, Reply, Role, Step};

use crate::experiments::is_test;
use crate::routes::Routes;

/// The step that refuses what the policy of a workspace excludes.
#[derive(Clone)]
pub(crate) struct Policy {
    /// What the workspace may use.
    seen: Arc<Table>,
    /// What others may.
    shared: Arc<Routes>,
}

/// The step for a workspace that sees the models of a table.
pub(crate) fn policy(seen: Arc<Table>, shared: Arc<Routes>) -> Policy {
    Policy { seen, shared }
}

impl Step for Policy {
    async fn run<N: Next>(&self, call: Call, next: &N) -> Result<Reply, CallError> {
        if call.caller.role < Role::User {
            let words = "this key reads: it may see models and usage, and call none";
            return Err(CallError::new(Kind::Forbidden, words));
        }
        let model = &call.head.model;
        if is_test(model) {
            // The step that compares knows its models; they are asked for after it.
            return next.call(call).await;
        }
        if !call.caller.may_use(model.as_str()) {
            let words = format!("this key may not use the model `{model}`");
            let refused = CallError::new(Kind::Forbidden, words);
            return Err(refused.code("policy").param("model"));
        }
        if self.seen.get(model.as_str()).is_none() && self.shared.has(model.as_str()) {
            return Err(excluded(model));
        }
        // A name that nobody knows is told by whoever looks for its targets.
        next.call(call).await
    }
}

/// What a caller hears of a model that is there, but not for it.
pub(crate) fn excluded(model: &ModelName) -> CallError {
    let words = format!("the policy of this workspace excludes the model `{model}`");
    CallError::new(Kind::Forbidden, words)
        .code("policy")
        .param("model")
}
