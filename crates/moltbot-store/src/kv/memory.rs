//! Values that end with the process.

use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;
use moltbot_types::Workspace;

use super::{Kv, bounded};
use crate::error::Result;
use crate::lock;

type Key = (Workspace, String, String);

/// By workspace, skill and key.
#[derive(Debug, Default)]
pub(crate) struct Memory(Mutex<BTreeMap<Key, String>>);

fn key(workspace: &Workspace, skill: &str, key: &str) -> Key {
    (workspace.clone(), skill.to_owned(), key.to_owned())
}

#[async_trait]
impl Kv for Memory {
    async fn get(&self, workspace: &Workspace, skill: &str, name: &str) -> Result<Option<String>> {
        Ok(lock(&self.0).get(&key(workspace, skill, name)).cloned())
    }

    async fn set(
        &self,
        workspace: &Workspace,
        skill: &str,
        name: &str,
        json: String,
    ) -> Result<()> {
        bounded(name, &json)?;
        lock(&self.0).insert(key(workspace, skill, name), json);
        Ok(())
    }

    async fn delete(&self, workspace: &Workspace, skill: &str, name: &str) -> Result<bool> {
        Ok(lock(&self.0).remove(&key(workspace, skill, name)).is_some())
    }
}
