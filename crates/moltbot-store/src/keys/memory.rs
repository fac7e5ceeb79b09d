//! Keys that end with the process.

use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;
use jiff::Timestamp;
use moltbot_types::Workspace;

use super::{KeyRecord, Keys, Use};
use crate::error::{Result, StoreError};
use crate::lock;

/// By id.
#[derive(Debug, Default)]
pub(crate) struct Memory(Mutex<BTreeMap<String, KeyRecord>>);

impl Memory {
    fn with<T>(
        &self,
        workspace: &Workspace,
        id: &str,
        act: impl FnOnce(&mut KeyRecord) -> T,
    ) -> Option<T> {
        let mut keys = lock(&self.0);
        let key = keys.get_mut(id).filter(|key| key.workspace == *workspace);
        key.map(act)
    }

    fn sorted(&self, of: impl Fn(&KeyRecord) -> bool) -> Vec<KeyRecord> {
        let keys = lock(&self.0);
        let mut found: Vec<_> = keys.values().filter(|key| of(key)).cloned().collect();
        found.sort_by(|a, b| (a.created, &a.id).cmp(&(b.created, &b.id)));
        found
    }
}

#[async_trait]
impl Keys for Memory {
    async fn insert(&self, key: KeyRecord) -> Result<()> {
        let mut keys = lock(&self.0);
        if keys.contains_key(&key.id) {
            return Err(StoreError::Duplicate(key.id));
        }
        keys.insert(key.id.clone(), key);
        Ok(())
    }

    async fn get(&self, workspace: &Workspace, id: &str) -> Result<Option<KeyRecord>> {
        Ok(self.with(workspace, id, |key| key.clone()))
    }

    async fn list(&self, workspace: &Workspace) -> Result<Vec<KeyRecord>> {
        Ok(self.sorted(|key| key.workspace == *workspace))
    }

    async fn all(&self) -> Result<Vec<KeyRecord>> {
        Ok(self.sorted(|_| true))
    }

    async fn revoke(&self, workspace: &Workspace, id: &str, at: Timestamp) -> Result<bool> {
        let revoked = self.with(workspace, id, |key| *key.revoked.get_or_insert(at));
        Ok(revoked.is_some())
    }

    async fn rotate(&self, id: &str, next: KeyRecord, overlap_until: Timestamp) -> Result<bool> {
        let mut keys = lock(&self.0);
        let taken = keys.contains_key(&next.id);
        let Some(old) = keys.get_mut(id).filter(|old| {
            old.workspace == next.workspace && old.revoked.is_none() && old.replaced_by.is_none()
        }) else {
            return Ok(false);
        };
        if taken {
            return Err(StoreError::Duplicate(next.id));
        }
        old.replaced_by = Some(next.id.clone());
        old.overlap_until = Some(overlap_until);
        keys.insert(next.id.clone(), next);
        Ok(true)
    }

    async fn touch(&self, uses: Vec<Use>) -> Result<()> {
        for used in uses {
            self.with(&used.workspace, &used.id, |key| {
                key.last_used = key.last_used.max(Some(used.at));
            });
        }
        Ok(())
    }
}
