//! Counters in SQLite.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use moltbot_types::Workspace;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::{Counter, Counters};
use crate::error::Result;
use crate::sqlite::{self, millis, time};

/// The table `counters`.
#[derive(Debug)]
pub(crate) struct Sqlite(pub(crate) Arc<sqlite::Sqlite>);

#[async_trait]
impl Counters for Sqlite {
    async fn save(&self, counters: Vec<Counter>) -> Result<()> {
        let write = self.0.write(move |connection| {
            Box::pin(async move {
                for counter in &counters {
                    sqlx::query(
                        "INSERT INTO counters (workspace, scope, what, began, used) VALUES ($1, $2, $3, $4, $5)
                         ON CONFLICT (workspace, scope, what) DO UPDATE SET began = excluded.began, used = excluded.used",
                    )
                    .bind(counter.workspace.as_str())
                    .bind(&counter.scope)
                    .bind(&counter.what)
                    .bind(millis(counter.began))
                    .bind(counter.used)
                    .execute(&mut *connection)
                    .await?;
                }
                Ok(())
            })
        });
        write.await
    }

    async fn load(&self, since: Timestamp) -> Result<Vec<Counter>> {
        let rows =
            sqlx::query("SELECT * FROM counters WHERE began >= $1 ORDER BY workspace, scope, what")
                .bind(millis(since))
                .try_map(counter)
                .fetch_all(self.0.readers())
                .await;
        rows.map_err(|error| self.0.explain(&error))
    }

    async fn forget(&self, before: Timestamp) -> Result<()> {
        let write = self.0.write(move |connection| {
            Box::pin(async move {
                sqlx::query("DELETE FROM counters WHERE began < $1")
                    .bind(millis(before))
                    .execute(connection)
                    .await?;
                Ok(())
            })
        });
        write.await
    }
}

fn counter(row: SqliteRow) -> sqlx::Result<Counter> {
    Ok(Counter {
        workspace: Workspace::from(row.try_get::<String, _>("workspace")?),
        scope: row.try_get("scope")?,
        what: row.try_get("what")?,
        began: time(row.try_get("began")?)?,
        used: row.try_get("used")?,
    })
}
