//! Counters that end with the process.

use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;
use jiff::Timestamp;
use moltbot_types::Workspace;

use super::{Counter, Counters};
use crate::error::Result;
use crate::lock;

type Key = (Workspace, String, String);

/// By workspace, scope and subject.
#[derive(Debug, Default)]
pub(crate) struct Memory(Mutex<BTreeMap<Key, Counter>>);

#[async_trait]
impl Counters for Memory {
    async fn save(&self, counters: Vec<Counter>) -> Result<()> {
        lock(&self.0).extend(counters.into_iter().map(|counter| {
            let Counter {
                workspace,
                scope,
                what,
                ..
            } = &counter;
            ((workspace.clone(), scope.clone(), what.clone()), counter)
        }));
        Ok(())
    }

    async fn load(&self, since: Timestamp) -> Result<Vec<Counter>> {
        let counters = lock(&self.0);
        let young = counters.values().filter(|counter| counter.began >= since);
        Ok(young.cloned().collect())
    }

    async fn forget(&self, before: Timestamp) -> Result<()> {
        lock(&self.0).retain(|_, counter| counter.began >= before);
        Ok(())
    }
}
