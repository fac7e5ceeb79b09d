//! The table `outbox`.

use async_trait::async_trait;
use jiff::Timestamp;
use moltbot_types::Workspace;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection};

use super::Sqlite;
use crate::error::{Result, StoreError};
use crate::inbox::Scope;
use crate::outbox::{NewRow, Outbox, Row, Settled, State};
use crate::sqlite::{millis, time};

#[async_trait]
impl Outbox for Sqlite {
    async fn put(&self, scope: &Scope, rows: Vec<NewRow>) -> Result<()> {
        let scope = scope.clone();
        let write = self.0.write(move |connection| {
            Box::pin(async move {
                for row in &rows {
                    let taken = sqlx::query("SELECT 1 FROM outbox WHERE id = $1")
                        .bind(&row.id)
                        .fetch_optional(&mut *connection)
                        .await?;
                    if taken.is_some() {
                        let what = format!("the sending {}", row.id);
                        return Ok(Err(StoreError::Duplicate(what)));
                    }
                }
                for row in rows {
                    put(connection, &scope, row).await?;
                }
                Ok(Ok(()))
            })
        });
        write.await?
    }

    async fn open(&self, scope: &Scope) -> Result<Vec<Row>> {
        let rows = sqlx::query(
            "SELECT * FROM outbox
             WHERE workspace = $1 AND channel = $2 AND state IN ('prepared', 'sending') ORDER BY seq",
        )
        .bind(scope.workspace.as_str())
        .bind(&scope.channel)
        .fetch_all(self.0.readers())
        .await;
        let rows = rows.and_then(|rows| rows.iter().map(read).collect());
        rows.map_err(|error| self.0.explain(&error))
    }

    async fn begin(&self, id: &str, at: Timestamp) -> Result<bool> {
        let id = id.to_owned();
        let write = self.0.write(move |connection| {
            Box::pin(async move {
                let done = sqlx::query(
                    "UPDATE outbox SET state = 'sending', attempts = attempts + 1, changed = $1
                     WHERE id = $2 AND state IN ('prepared', 'sending')",
                )
                .bind(millis(at))
                .bind(id)
                .execute(connection)
                .await?;
                Ok(done.rows_affected() == 1)
            })
        });
        write.await
    }

    async fn settle(&self, id: &str, settled: Settled) -> Result<bool> {
        let id = id.to_owned();
        let write = self.0.write(move |connection| {
            Box::pin(async move {
                let done = sqlx::query(
                    "UPDATE outbox SET state = $1, error = $2, sent = COALESCE($3, sent), changed = $4
                     WHERE id = $5 AND state IN ('prepared', 'sending')",
                )
                .bind(settled.state.word())
                .bind(settled.error)
                .bind(settled.sent)
                .bind(millis(settled.at))
                .bind(id)
                .execute(connection)
                .await?;
                Ok(done.rows_affected() == 1)
            })
        });
        write.await
    }

    async fn list(&self, workspace: &Workspace, closed_since: Timestamp) -> Result<Vec<Row>> {
        let rows = sqlx::query(
            "SELECT * FROM outbox
             WHERE workspace = $1 AND (state IN ('prepared', 'sending') OR changed >= $2) ORDER BY seq",
        )
        .bind(workspace.as_str())
        .bind(millis(closed_since))
        .fetch_all(self.0.readers())
        .await;
        let rows = rows.and_then(|rows| rows.iter().map(read).collect());
        rows.map_err(|error| self.0.explain(&error))
    }

    async fn get(&self, workspace: &Workspace, id: &str) -> Result<Option<Row>> {
        let row = sqlx::query("SELECT * FROM outbox WHERE workspace = $1 AND id = $2")
            .bind(workspace.as_str())
            .bind(id)
            .fetch_optional(self.0.readers())
            .await;
        let row = row.and_then(|row| row.map(|row| read(&row)).transpose());
        row.map_err(|error| self.0.explain(&error))
    }

    async fn resend(
        &self,
        workspace: &Workspace,
        id: &str,
        at: Timestamp,
        expires: Timestamp,
    ) -> Result<Option<Row>> {
        let (workspace, id) = (workspace.clone(), id.to_owned());
        let write = self.0.write(move |connection| {
            Box::pin(async move {
                let row = sqlx::query(
                    "UPDATE outbox SET state = 'prepared', error = NULL, changed = $1, expires = $2
                     WHERE workspace = $3 AND id = $4 AND state IN ('unknown', 'failed', 'expired')
                     RETURNING *",
                )
                .bind(millis(at))
                .bind(millis(expires))
                .bind(workspace.as_str())
                .bind(id)
                .fetch_optional(connection)
                .await?;
                row.map(|row| read(&row)).transpose()
            })
        });
        write.await
    }

    async fn discard(&self, workspace: &Workspace, id: &str, at: Timestamp) -> Result<bool> {
        let (workspace, id) = (workspace.clone(), id.to_owned());
        let write = self.0.write(move |connection| {
            Box::pin(async move {
                let done = sqlx::query(
                    "UPDATE outbox SET state = 'dropped', changed = $1
                     WHERE workspace = $2 AND id = $3 AND state NOT IN ('delivered', 'dropped')",
                )
                .bind(millis(at))
                .bind(workspace.as_str())
                .bind(id)
                .execute(connection)
                .await?;
                Ok(done.rows_affected() == 1)
            })
        });
        write.await
    }

    async fn forget(&self, before: Timestamp) -> Result<()> {
        let write = self.0.write(move |connection| {
            Box::pin(async move {
                sqlx::query(
                    "DELETE FROM outbox WHERE changed < $1 AND state NOT IN ('prepared', 'sending')",
                )
                .bind(millis(before))
                .execute(connection)
                .await?;
                Ok(())
            })
        });
        write.await
    }
}

/// Keeps a row. One that is there and still open is prepared anew.
pub(super) async fn put(
    connection: &mut SqliteConnection,
    scope: &Scope,
    row: NewRow,
) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO outbox (id, workspace, channel, lane, recipient, body, trace, state, attempts, sent, created, expires, changed)
         VALUES ($1, $2, $3, $4, $5, $6, $7, 'prepared', 0, $8, $9, $10, $9)
         ON CONFLICT (id) DO UPDATE SET body = excluded.body, state = 'prepared', sent = COALESCE(excluded.sent, sent)
         WHERE state IN ('prepared', 'sending')",
    )
    .bind(row.id)
    .bind(scope.workspace.as_str())
    .bind(&scope.channel)
    .bind(row.lane)
    .bind(row.to)
    .bind(row.body)
    .bind(row.trace)
    .bind(row.sent)
    .bind(millis(row.created))
    .bind(millis(row.expires))
    .execute(connection)
    .await?;
    Ok(())
}

fn read(row: &SqliteRow) -> sqlx::Result<Row> {
    let state: &str = row.try_get("state")?;
    let state = state
        .parse::<State>()
        .map_err(|error| sqlx::Error::Decode(error.into()))?;
    Ok(Row {
        row: NewRow {
            id: row.try_get("id")?,
            lane: row.try_get("lane")?,
            to: row.try_get("recipient")?,
            body: row.try_get("body")?,
            trace: row.try_get("trace")?,
            created: time(row.try_get("created")?)?,
            expires: time(row.try_get("expires")?)?,
            sent: row.try_get("sent")?,
        },
        channel: row.try_get("channel")?,
        state,
        attempts: row.try_get("attempts")?,
        error: row.try_get("error")?,
        changed: time(row.try_get("changed")?)?,
    })
}
