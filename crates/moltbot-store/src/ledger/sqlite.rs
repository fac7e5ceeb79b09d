//! The ledger in SQLite: rows through the journal, sums in the transaction that adds the rows.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use jiff::civil::Date;
use moltbot_types::{ModelName, RequestId, Usage, Workspace};
use serde::{Deserialize, Serialize};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::{Ledger, LedgerRow, Sums, UsageQuery, UsageRow, day};
use crate::error::Result;
use crate::sqlite::{self, LEDGER, millis, time};

/// The tables `ledger` and `ledger_day`.
#[derive(Debug)]
pub(crate) struct Sqlite(pub(crate) Arc<sqlite::Sqlite>);

/// A row as a line of the journal.
#[derive(Serialize, Deserialize)]
struct Line {
    request: String,
    at: i64,
    workspace: Workspace,
    model: ModelName,
    served: ModelName,
    key: Option<String>,
    usage: Usage,
    cost_nano: i64,
    cached: bool,
    status: u16,
}

#[async_trait]
impl Ledger for Sqlite {
    fn append(&self, row: &LedgerRow) -> Result<()> {
        let line = Line {
            request: row.request.to_string(),
            at: millis(row.at),
            workspace: row.workspace.clone(),
            model: row.model.clone(),
            served: row.served.clone(),
            key: row.key.clone(),
            usage: row.usage,
            cost_nano: row.cost_nano,
            cached: row.cached,
            status: row.status,
        };
        self.0.append(LEDGER, &line)
    }

    async fn usage(&self, query: &UsageQuery) -> Result<Vec<UsageRow>> {
        self.0.fold().await?;
        let rows = sqlx::query(
            "SELECT * FROM ledger_day
             WHERE ($1 IS NULL OR workspace = $1) AND ($2 IS NULL OR model = $2) AND ($3 IS NULL OR key = $3)
               AND ($4 IS NULL OR day >= $4) AND ($5 IS NULL OR day <= $5)
             ORDER BY day, workspace, model, key",
        )
        .bind(query.workspace.as_ref().map(Workspace::as_str))
        .bind(query.model.as_ref().map(ModelName::as_str))
        .bind(query.key.as_deref())
        .bind(query.since.map(|day| day.to_string()))
        .bind(query.until.map(|day| day.to_string()))
        .try_map(usage)
        .fetch_all(self.0.readers())
        .await;
        rows.map_err(|error| self.0.explain(&error))
    }

    async fn find(&self, workspace: &Workspace, request: RequestId) -> Result<Option<LedgerRow>> {
        self.0.fold().await?;
        let row = sqlx::query("SELECT * FROM ledger WHERE workspace = $1 AND request = $2")
            .bind(workspace.as_str())
            .bind(request.to_string())
            .try_map(row)
            .fetch_optional(self.0.readers())
            .await;
        row.map_err(|error| self.0.explain(&error))
    }

    async fn forget(&self, before: Timestamp) -> Result<()> {
        let write = self.0.write(move |connection| {
            Box::pin(async move {
                sqlx::query("DELETE FROM ledger WHERE at < $1")
                    .bind(millis(before))
                    .execute(connection)
                    .await?;
                Ok(())
            })
        });
        write.await
    }
}

/// Adds lines of the journal, those of known requests excepted. Gives the number of those it can't read.
pub(crate) async fn fold(
    connection: &mut SqliteConnection,
    lines: &[String],
) -> sqlx::Result<usize> {
    let mut unread = 0;
    let mut days = BTreeMap::<_, Sums>::new();
    for line in lines {
        let Ok(line) = serde_json::from_str::<Line>(line) else {
            unread += 1;
            continue;
        };
        let key = line.key.unwrap_or_default();
        let added = sqlx::query(
            "INSERT INTO ledger (request, at, workspace, model, served, key, tokens_in, tokens_out, estimated, cached, cost_nano, status)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT DO NOTHING",
        )
        .bind(line.request)
        .bind(line.at)
        .bind(line.workspace.as_str())
        .bind(line.model.as_str())
        .bind(line.served.as_str())
        .bind(&key)
        .bind(whole(line.usage.input))
        .bind(whole(line.usage.output))
        .bind(line.usage.estimated)
        .bind(line.cached)
        .bind(line.cost_nano)
        .bind(line.status)
        .execute(&mut *connection)
        .await?;
        if added.rows_affected() == 1 {
            let day = day(time(line.at)?).to_string();
            let sums = days
                .entry((day, line.workspace, line.served, key))
                .or_default();
            sums.add(line.usage, line.cost_nano);
        }
    }
    for ((day, workspace, model, key), sums) in days {
        sqlx::query(
            "INSERT INTO ledger_day (day, workspace, model, key, calls, tokens_in, tokens_out, cost_nano)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
             ON CONFLICT (workspace, day, model, key) DO UPDATE SET
               calls = calls + excluded.calls, tokens_in = tokens_in + excluded.tokens_in,
               tokens_out = tokens_out + excluded.tokens_out, cost_nano = cost_nano + excluded.cost_nano",
        )
        .bind(day)
        .bind(workspace.as_str())
        .bind(model.as_str())
        .bind(key)
        .bind(whole(sums.calls))
        .bind(whole(sums.tokens_in))
        .bind(whole(sums.tokens_out))
        .bind(sums.cost_nano)
        .execute(&mut *connection)
        .await?;
    }
    Ok(unread)
}

/// SQLite counts to 2^63.
fn whole(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn count(row: &SqliteRow, column: &str) -> sqlx::Result<u64> {
    Ok(u64::try_from(row.try_get::<i64, _>(column)?).unwrap_or(0))
}

fn key(row: &SqliteRow) -> sqlx::Result<Option<String>> {
    Ok(Some(row.try_get::<String, _>("key")?).filter(|key| !key.is_empty()))
}

fn usage(row: SqliteRow) -> sqlx::Result<UsageRow> {
    let day: String = row.try_get("day")?;
    Ok(UsageRow {
        workspace: Workspace::from(row.try_get::<String, _>("workspace")?),
        model: ModelName::from(row.try_get::<String, _>("model")?),
        key: key(&row)?,
        day: day
            .parse::<Date>()
            .map_err(|error| sqlx::Error::Decode(error.into()))?,
        calls: count(&row, "calls")?,
        tokens_in: count(&row, "tokens_in")?,
        tokens_out: count(&row, "tokens_out")?,
        cost_nano: row.try_get("cost_nano")?,
    })
}

fn row(row: SqliteRow) -> sqlx::Result<LedgerRow> {
    let request: String = row.try_get("request")?;
    Ok(LedgerRow {
        request: request
            .parse()
            .map_err(|_| sqlx::Error::Decode("no request id".into()))?,
        at: time(row.try_get("at")?)?,
        workspace: Workspace::from(row.try_get::<String, _>("workspace")?),
        model: ModelName::from(row.try_get::<String, _>("model")?),
        served: ModelName::from(row.try_get::<String, _>("served")?),
        key: key(&row)?,
        usage: Usage {
            input: count(&row, "tokens_in")?,
            output: count(&row, "tokens_out")?,
            estimated: row.try_get("estimated")?,
        },
        cost_nano: row.try_get("cost_nano")?,
        cached: row.try_get("cached")?,
        status: row.try_get("status")?,
    })
}
