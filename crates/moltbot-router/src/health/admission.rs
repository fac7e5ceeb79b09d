//! The right to ask a target once: held from the attempt's start to its reply's last byte.

use std::sync::Arc;

use moltbot_types::reply::{Ending, Hold};
use moltbot_types::{CallError, Reply, Usage};
use tokio::time::Instant;

use super::target::TargetHealth;

/// Why a target takes no call now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Its limits.
    Limited,
    /// It failed too often.
    Failing,
    /// Its credential was refused.
    Auth,
    /// Its credential's account has no money left.
    Money,
}

/// A target takes no call now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// When it may take one again.
    pub opens: Instant,
    /// Why it does not.
    pub reason: Reason,
}

/// The right to ask a target once. Counts as in flight until it is dropped; dropped without a
/// verdict it was cancelled, which says nothing of the target and gives a probe's permit back.
#[derive(Debug)]
pub struct Admission {
    target: Arc<TargetHealth>,
}

impl Admission {
    pub(super) fn new(target: Arc<TargetHealth>) -> Self {
        Self { target }
    }

    /// Runs the attempt, notes what came of it, and stays with the reply until its last byte.
    ///
    /// # Errors
    /// Those of the attempt.
    pub async fn watch(
        mut self,
        attempt: impl Future<Output = Result<Reply, CallError>>,
    ) -> Result<Reply, CallError> {
        match attempt.await {
            Ok(mut reply) => {
                self.answered();
                reply.hold(self);
                Ok(reply)
            }
            Err(error) => {
                self.failed(&error);
                Err(error)
            }
        }
    }

    /// The first content arrived, or the whole answer.
    pub fn answered(&mut self) {
        let _ = &self.target;
    }

    /// The attempt failed, before its content or after it.
    pub fn failed(&mut self, error: &CallError) {
        let _ = error;
    }
}

impl Hold for Admission {
    fn end(&mut self, ending: &Ending, _: Option<Usage>) {
        let _ = ending;
    }
}
