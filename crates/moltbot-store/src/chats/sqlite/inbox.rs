//! The table `inbox`.

use async_trait::async_trait;
use jiff::Timestamp;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::{Sqlite, outbox, sessions};
use crate::error::Result;
use crate::inbox::{Arrival, Arrived, End, Finish, Inbox, Kept, Scope};
use crate::sqlite::{millis, time};

#[async_trait]
impl Inbox for Sqlite {
    async fn arrive(&self, scope: &Scope, arrivals: Vec<Arrival>) -> Result<Vec<Arrived>> {
        let scope = scope.clone();
        let write = self.0.write(move |connection| {
            Box::pin(async move {
                let mut arrived = Vec::with_capacity(arrivals.len());
                for arrival in arrivals {
                    arrived.push(arrive(connection, &scope, arrival).await?);
                }
                Ok(arrived)
            })
        });
        write.await
    }

    async fn find(&self, scope: &Scope, id: &str) -> Result<Option<Kept>> {
        let row =
            sqlx::query("SELECT * FROM inbox WHERE workspace = $1 AND channel = $2 AND id = $3")
                .bind(scope.workspace.as_str())
                .bind(&scope.channel)
                .bind(id)
                .fetch_optional(self.0.readers())
                .await;
        let kept = row.and_then(|row| row.map(|row| kept(&row)).transpose());
        kept.map_err(|error| self.0.explain(&error))
    }

    async fn waiting(&self, scope: &Scope) -> Result<Vec<Kept>> {
        let rows = sqlx::query(
            "SELECT * FROM inbox WHERE workspace = $1 AND channel = $2 AND outcome IS NULL ORDER BY seq",
        )
        .bind(scope.workspace.as_str())
        .bind(&scope.channel)
        .fetch_all(self.0.readers())
        .await;
        let kept = rows.and_then(|rows| rows.iter().map(kept).collect());
        kept.map_err(|error| self.0.explain(&error))
    }

    async fn finish(&self, scope: &Scope, finish: Finish) -> Result<bool> {
        let scope = scope.clone();
        let write = self.0.write(move |connection| {
            Box::pin(async move {
                let done = sqlx::query(
                    "UPDATE inbox SET outcome = $1, answer = $2, body = ''
                     WHERE seq = $3 AND workspace = $4 AND channel = $5 AND outcome IS NULL",
                )
                .bind(finish.end.outcome)
                .bind(finish.end.answer)
                .bind(finish.seq)
                .bind(scope.workspace.as_str())
                .bind(&scope.channel)
                .execute(&mut *connection)
                .await?;
                if done.rows_affected() == 0 {
                    return Ok(false);
                }
                for row in finish.rows {
                    outbox::put(connection, &scope, row).await?;
                }
                if let Some(change) = finish.session {
                    sessions::change(connection, change).await?;
                }
                Ok(true)
            })
        });
        write.await
    }

    async fn forget(&self, before: Timestamp) -> Result<()> {
        let write = self.0.write(move |connection| {
            Box::pin(async move {
                sqlx::query("DELETE FROM inbox WHERE at < $1 AND outcome IS NOT NULL")
                    .bind(millis(before))
                    .execute(connection)
                    .await?;
                Ok(())
            })
        });
        write.await
    }
}

async fn arrive(
    connection: &mut SqliteConnection,
    scope: &Scope,
    arrival: Arrival,
) -> sqlx::Result<Arrived> {
    let (outcome, answer) = match arrival.ended {
        Some(end) => (Some(end.outcome), end.answer),
        None => (None, None),
    };
    // A message that is there keeps its row, and with it its place.
    let seq: Option<i64> = sqlx::query_scalar(
        "INSERT INTO inbox (workspace, channel, id, event, lane, body, at, trace, held, outcome, answer)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
         ON CONFLICT DO NOTHING RETURNING seq",
    )
    .bind(scope.workspace.as_str())
    .bind(&scope.channel)
    .bind(&arrival.id)
    .bind(arrival.event)
    .bind(arrival.lane)
    .bind(&arrival.body)
    .bind(millis(arrival.at))
    .bind(arrival.trace)
    .bind(outcome.is_some())
    .bind(&outcome)
    .bind(answer)
    .fetch_optional(&mut *connection)
    .await?;
    if let Some(seq) = seq {
        return Ok(Arrived::New(seq));
    }
    if outcome.is_some() {
        return Ok(Arrived::Known);
    }
    let opened: Option<i64> = sqlx::query_scalar(
        "UPDATE inbox SET held = 0, outcome = NULL, answer = NULL, body = $1
         WHERE workspace = $2 AND channel = $3 AND id = $4 AND held = 1 RETURNING seq",
    )
    .bind(arrival.body)
    .bind(scope.workspace.as_str())
    .bind(&scope.channel)
    .bind(arrival.id)
    .fetch_optional(connection)
    .await?;
    Ok(opened.map_or(Arrived::Known, Arrived::Reopened))
}

fn kept(row: &SqliteRow) -> sqlx::Result<Kept> {
    let outcome: Option<String> = row.try_get("outcome")?;
    let answer = row.try_get("answer")?;
    Ok(Kept {
        seq: row.try_get("seq")?,
        id: row.try_get("id")?,
        lane: row.try_get("lane")?,
        body: row.try_get("body")?,
        at: time(row.try_get("at")?)?,
        trace: row.try_get("trace")?,
        end: outcome.map(|outcome| End { outcome, answer }),
    })
}
