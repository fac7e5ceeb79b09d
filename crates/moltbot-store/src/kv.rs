//! What skills remember.

mod memory;
#[cfg(feature = "sqlite")]
mod sqlite;

use async_trait::async_trait;
use moltbot_types::Workspace;

pub(crate) use self::memory::Memory;
#[cfg(feature = "sqlite")]
pub(crate) use self::sqlite::Sqlite;
use crate::error::{Result, StoreError};

/// Most bytes of a value.
pub const LARGEST_VALUE: usize = 64 << 10;
/// Most bytes of a key.
pub const LONGEST_KEY: usize = 512;

/// Values by workspace, skill and key.
#[async_trait]
pub trait Kv: Send + Sync + std::fmt::Debug {
    /// The JSON text under a key.
    ///
    /// # Errors
    /// The store cannot be read.
    async fn get(&self, workspace: &Workspace, skill: &str, key: &str) -> Result<Option<String>>;

    /// Puts a JSON text under a key.
    ///
    /// # Errors
    /// `TooLarge` above [`LARGEST_VALUE`] and [`LONGEST_KEY`]; the store cannot be written.
    async fn set(&self, workspace: &Workspace, skill: &str, key: &str, json: String) -> Result<()>;

    /// Removes a key; whether it was there.
    ///
    /// # Errors
    /// The store cannot be written.
    async fn delete(&self, workspace: &Workspace, skill: &str, key: &str) -> Result<bool>;
}

fn bounded(key: &str, json: &str) -> Result<()> {
    let parts = [
        ("the key", key, LONGEST_KEY),
        ("the value", json, LARGEST_VALUE),
    ];
    for (what, text, bound) in parts {
        if text.len() > bound {
            return Err(StoreError::TooLarge {
                what: what.to_owned(),
                size: text.len(),
                bound,
            });
        }
    }
    Ok(())
}
