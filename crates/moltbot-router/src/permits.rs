//! How many calls at once: a permit is held until the reply's last byte, and waiting for one has an end.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use moltbot_types::{Body, Call, CallError, Hold, Kind, Next, Reply, Retry, Step};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// A caller that was turned away may come again after this long.
const COME_AGAIN: Duration = Duration::from_secs(1);

/// The limits of all targets, by name. They outlive reloads: calls under way stay counted.
#[derive(Debug, Default)]
pub struct Permits(Mutex<HashMap<Arc<str>, Weak<Limit>>>);

impl Permits {
    /// The limit of that name, the same one for as long as somebody holds it, set to `size` calls at once.
    pub fn limit(&self, name: &str, size: usize) -> Arc<Limit> {
        let mut limits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(limit) = limits.get(name).and_then(Weak::upgrade) {
            limit.resize(size);
            return limit;
        }
        limits.retain(|_, limit| limit.strong_count() > 0);
        let limit = Arc::new(Limit::new(size));
        limits.insert(name.into(), Arc::downgrade(&limit));
        limit
    }
}

/// So many calls at once.
#[derive(Debug)]
pub struct Limit {
    free: Arc<Semaphore>,
    size: Mutex<Size>,
}

#[derive(Debug)]
struct Size {
    /// Calls at once.
    wanted: usize,
    /// Permits that are out beyond it since it shrank: they are not given back.
    excess: usize,
}

impl Limit {
    /// A limit of `size` calls at once.
    pub fn new(size: usize) -> Self {
        let wanted = size.min(Semaphore::MAX_PERMITS);
        Self {
            free: Arc::new(Semaphore::new(wanted)),
            size: Mutex::new(Size { wanted, excess: 0 }),
        }
    }

    /// Changes the limit. Calls under way go on; new ones wait until the number is below it.
    pub fn resize(&self, size: usize) {
        let mut now = self.size.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = size.min(Semaphore::MAX_PERMITS);
        if wanted > now.wanted {
            let more = wanted - now.wanted;
            let forgiven = more.min(now.excess);
            now.excess -= forgiven;
            self.free.add_permits(more - forgiven);
        } else {
            let less = now.wanted - wanted;
            now.excess += less - self.free.forget_permits(less);
        }
        now.wanted = wanted;
    }

    /// Calls under way.
    pub fn taken(&self) -> usize {
        let size = self.size.lock().unwrap_or_else(PoisonError::into_inner);
        (size.wanted + size.excess).saturating_sub(self.free.available_permits())
    }

    /// Takes a permit, waiting for one for at most `wait`.
    ///
    /// # Errors
    /// `Overloaded` after `wait`: nothing was done, the caller may come again in a second.
    pub async fn enter(self: &Arc<Self>, wait: Duration) -> Result<Permit, CallError> {
        let permit = match Arc::clone(&self.free).try_acquire_owned() {
            Ok(permit) => Some(permit),
            Err(_) => timeout(wait, Arc::clone(&self.free).acquire_owned())
                .await
                .ok()
                .and_then(Result::ok),
        };
        match permit {
            Some(permit) => Ok(Permit {
                permit: Some(permit),
                limit: Arc::clone(self),
            }),
            None => Err(CallError::new(
                Kind::Overloaded,
                "too many calls at once; try again in a second",
            )
            .retry_after(COME_AGAIN)),
        }
    }
}

/// One call under way; dropping it ends it.
#[derive(Debug)]
pub struct Permit {
    permit: Option<OwnedSemaphorePermit>,
    limit: Arc<Limit>,
}

impl Hold for Permit {}

impl Drop for Permit {
    fn drop(&mut self) {
        let Some(permit) = self.permit.take() else {
            return;
        };
        let mut size = self
            .limit
            .size
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if size.excess > 0 {
            size.excess -= 1;
            permit.forget();
        } else {
            drop(permit);
        }
    }
}

/// The step that keeps a target within its limit. A target that stays full is left for another one.
#[derive(Clone, Debug)]
pub struct PermitStep {
    limit: Arc<Limit>,
    wait: Duration,
}

/// Lets at most `limit` calls reach what follows at once, waiting for at most `wait`.
pub fn permits(limit: Arc<Limit>, wait: Duration) -> PermitStep {
    PermitStep { limit, wait }
}

impl Step for PermitStep {
    async fn run<N: Next>(&self, call: Call, next: &N) -> Result<Reply, CallError> {
        let permit = self
            .limit
            .enter(self.wait)
            .await
            .map_err(|full| full.retry(Retry::Anywhere))?;
        let mut reply = next.call(call).await?;
        // A whole answer has left the target: a slow caller must not keep its place.
        if let Body::Stream(_) = reply.body {
            reply.hold(permit);
        }
        Ok(reply)
    }
}
