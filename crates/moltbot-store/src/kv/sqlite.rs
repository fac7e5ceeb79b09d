//! Values in SQLite.

use std::sync::Arc;

use async_trait::async_trait;
use moltbot_types::Workspace;

use super::{Kv, bounded};
use crate::error::Result;
use crate::sqlite;

/// The table `kv`.
#[derive(Debug)]
pub(crate) struct Sqlite(pub(crate) Arc<sqlite::Sqlite>);

#[async_trait]
impl Kv for Sqlite {
    async fn get(&self, workspace: &Workspace, skill: &str, key: &str) -> Result<Option<String>> {
        let value = sqlx::query_scalar(
            "SELECT value FROM kv WHERE workspace = $1 AND skill = $2 AND key = $3",
        )
        .bind(workspace.as_str())
        .bind(skill)
        .bind(key)
        .fetch_optional(self.0.readers())
        .await;
        value.map_err(|error| self.0.explain(&error))
    }

    async fn set(&self, workspace: &Workspace, skill: &str, key: &str, json: String) -> Result<()> {
        bounded(key, &json)?;
        let (workspace, skill, key) = (workspace.clone(), skill.to_owned(), key.to_owned());
        let write = self.0.write(move |connection| {
            Box::pin(async move {
                sqlx::query(
                    "INSERT INTO kv (workspace, skill, key, value) VALUES ($1, $2, $3, $4)
                     ON CONFLICT (workspace, skill, key) DO UPDATE SET value = excluded.value",
                )
                .bind(workspace.as_str())
                .bind(skill)
                .bind(key)
                .bind(json)
                .execute(connection)
                .await?;
                Ok(())
            })
        });
        write.await
    }

    async fn delete(&self, workspace: &Workspace, skill: &str, key: &str) -> Result<bool> {
        let (workspace, skill, key) = (workspace.clone(), skill.to_owned(), key.to_owned());
        let write = self.0.write(move |connection| {
            Box::pin(async move {
                let done =
                    sqlx::query("DELETE FROM kv WHERE workspace = $1 AND skill = $2 AND key = $3")
                        .bind(workspace.as_str())
                        .bind(skill)
                        .bind(key)
                        .execute(connection)
                        .await?;
                Ok(done.rows_affected() == 1)
            })
        });
        write.await
    }
}
