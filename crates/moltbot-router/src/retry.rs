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

#[cfg(test)]
mod tests {
    use moltbot_types::Kind;

    use super::*;
    use crate::testing::{call, path, target, through};

    fn stale() -> CallError {
        CallError::new(Kind::Unavailable, "the connection was closed").retry(Retry::Again)
    }

    #[tokio::test(start_paused = true)]
    async fn a_repeat_is_made_once() {
        let house = path([target("a").fails_with(stale)]);
        let step = again(Arc::default());
        assert!(through(step, house.target("a"), call(false)).await.is_err());
        assert_eq!(house.asked("a"), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn no_repeat_is_made_where_the_failure_does_not_ask_for_it() {
        let house = path([target("a").fails(500)]);
        let step = again(Arc::default());
        assert!(through(step, house.target("a"), call(false)).await.is_err());
        assert_eq!(house.asked("a"), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn no_repeat_is_made_without_budget_or_time() {
        let house = path([target("a").fails_with(stale)]);
        let budgets = Arc::new(Budgets::default());
        while budgets.repeat() {}
        let poor = again(budgets);
        assert!(through(poor, house.target("a"), call(false)).await.is_err());
        let mut late = call(false);
        late.deadline = Some(Instant::now());
        let step = again(Arc::default());
        assert!(through(step, house.target("a"), late).await.is_err());
        assert_eq!(house.asked("a"), 2);
    }
}
