//! The tables `session` and `exchange`.

use async_trait::async_trait;
use jiff::Timestamp;
use sqlx::{Row, SqliteConnection};

use super::Sqlite;
use crate::error::Result;
use crate::sessions::{Change, Exchange, Session, Sessions, What};
use crate::sqlite::millis;

#[async_trait]
impl Sessions for Sqlite {
    async fn load(&self, key: &str, turns: usize, alive_since: Timestamp) -> Result<Session> {
        let load = async {
            let row = sqlx::query("SELECT model, touched FROM session WHERE key = $1")
                .bind(key)
                .fetch_optional(self.0.readers())
                .await?;
            let Some(row) = row else {
                return Ok(Session::default());
            };
            let begun = row.try_get::<i64, _>("touched")? >= millis(alive_since);
            let mut exchanges = Vec::new();
            if begun && turns > 0 {
                let rows = sqlx::query(
                    "SELECT user, assistant FROM exchange WHERE key = $1 ORDER BY seq DESC LIMIT $2",
                )
                .bind(key)
                .bind(i64::try_from(turns).unwrap_or(i64::MAX))
                .fetch_all(self.0.readers())
                .await?;
                for row in rows.iter().rev() {
                    exchanges.push(Exchange {
                        user: row.try_get("user")?,
                        assistant: row.try_get("assistant")?,
                    });
                }
            }
            Ok(Session {
                begun,
                model: row.try_get("model")?,
                exchanges,
            })
        };
        load.await.map_err(|error| self.0.explain(&error))
    }

    async fn change(&self, learnt: Change) -> Result<()> {
        let write = self
            .0
            .write(move |connection| Box::pin(async move { change(connection, learnt).await }));
        write.await
    }

    async fn forget(&self, alive_since: Timestamp, before: Timestamp) -> Result<()> {
        let write = self.0.write(move |connection| {
            Box::pin(async move {
                sqlx::query("DELETE FROM exchange WHERE key IN (SELECT key FROM session WHERE touched < $1)")
                    .bind(millis(alive_since))
                    .execute(&mut *connection)
                    .await?;
                sqlx::query("DELETE FROM session WHERE touched < $1")
                    .bind(millis(before))
                    .execute(connection)
                    .await?;
                Ok(())
            })
        });
        write.await
    }
}

/// Notes a change of a conversation.
pub(super) async fn change(connection: &mut SqliteConnection, change: Change) -> sqlx::Result<()> {
    let touched: Option<i64> = sqlx::query_scalar("SELECT touched FROM session WHERE key = $1")
        .bind(&change.key)
        .fetch_optional(&mut *connection)
        .await?;
    let has_ended = touched.is_some_and(|touched| touched < millis(change.alive_since));
    if has_ended || matches!(change.what, What::Cleared) {
        sqlx::query("DELETE FROM exchange WHERE key = $1")
            .bind(&change.key)
            .execute(&mut *connection)
            .await?;
    }
    sqlx::query(
        "INSERT INTO session (key, touched) VALUES ($1, $2)
         ON CONFLICT (key) DO UPDATE SET touched = excluded.touched",
    )
    .bind(&change.key)
    .bind(millis(change.at))
    .execute(&mut *connection)
    .await?;
    match change.what {
        What::Touched | What::Cleared => Ok(()),
        What::Model(model) => sqlx::query("UPDATE session SET model = $1 WHERE key = $2")
            .bind(model)
            .bind(change.key)
            .execute(connection)
            .await
            .map(|_| ()),
        What::Said { exchange, keep } => said(connection, &change.key, exchange, keep).await,
    }
}

async fn said(
    connection: &mut SqliteConnection,
    key: &str,
    exchange: Exchange,
    keep: usize,
) -> sqlx::Result<()> {
    sqlx::query("INSERT INTO exchange (key, user, assistant) VALUES ($1, $2, $3)")
        .bind(key)
        .bind(exchange.user)
        .bind(exchange.assistant)
        .execute(&mut *connection)
        .await?;
    sqlx::query(
        "DELETE FROM exchange WHERE key = $1 AND seq <=
         (SELECT seq FROM exchange WHERE key = $1 ORDER BY seq DESC LIMIT 1 OFFSET $2)",
    )
    .bind(key)
    .bind(i64::try_from(keep).unwrap_or(i64::MAX))
    .execute(connection)
    .await?;
    Ok(())
}
