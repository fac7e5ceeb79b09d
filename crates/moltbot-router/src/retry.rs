//! A repeat on the very same target, at once and once: only where the failure says that nothing was processed there.

use std::sync::Arc;

use moltbot_types::{Call, CallError, Next, Reply, Retry, Step};
use tokio::time::Instant;

use crate::budget::Budgets;

/// The step that repeats.
#[derive(Clone, Debug)]
pub struct Again(Arc<Budgets>);

/// Repeats a call once where the error says [`Retry::Again`], within `budgets`.
///
/// It stands below health and attempts: a connection that went stale in the pool or a token that was
/// renewed is no failure of the target.
pub fn again(budgets: Arc<Budgets>) -> Again {
    Again(budgets)
}

impl Step for Again {
    async fn run<N: Next>(&self, call: Call, next: &N) -> Result<Reply, CallError> {
        match next.call(call.clone()).await {
            Err(error) if error.decision() == Retry::Again => {
                let in_time = call.deadline.is_none_or(|end| Instant::now() < end);
                if in_time && self.0.repeat() {
                    next.call(call).await
                } else {
                    Err(error)
                }
            }
            outcome => outcome,
        }
    }
}
