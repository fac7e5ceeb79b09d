//! Experiments in SQLite: rows come through the journal.

use std::sync::Arc;

use async_trait::async_trait;
use moltbot_types::Workspace;
use serde::{Deserialize, Serialize};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::{Definition, ExperimentRow, Experiments, RowKind};
use crate::error::{Result, StoreError};
use crate::sqlite::{self, EXPERIMENT, millis, time};

/// The tables `experiments` and `experiment_rows`.
#[derive(Debug)]
pub(crate) struct Sqlite(pub(crate) Arc<sqlite::Sqlite>);

/// A row as a line of the journal.
#[derive(Serialize, Deserialize)]
struct Line {
    workspace: Workspace,
    name: String,
    kind: String,
    subject: String,
    json: String,
}

#[async_trait]
impl Experiments for Sqlite {
    async fn create(&self, definition: Definition) -> Result<()> {
        let name = definition.name.clone();
        let write = self.0.write(move |connection| {
            Box::pin(async move {
                let done = sqlx::query(
                    "INSERT INTO experiments (workspace, name, definition, created) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
                )
                .bind(definition.workspace.as_str())
                .bind(definition.name)
                .bind(definition.json)
                .bind(millis(definition.created))
                .execute(connection)
                .await?;
                Ok(done.rows_affected() == 1)
            })
        });
        if write.await? {
            Ok(())
        } else {
            Err(StoreError::Duplicate(name))
        }
    }

    async fn all(&self) -> Result<Vec<Definition>> {
        let rows = sqlx::query("SELECT * FROM experiments ORDER BY created, workspace, name")
            .try_map(definition)
            .fetch_all(self.0.readers())
            .await;
        rows.map_err(|error| self.0.explain(&error))
    }

    fn append(&self, row: &ExperimentRow) -> Result<()> {
        let line = Line {
            workspace: row.workspace.clone(),
            name: row.name.clone(),
            kind: row.kind.word().to_owned(),
            subject: row.subject.clone(),
            json: row.json.clone(),
        };
        self.0.append(EXPERIMENT, &line)
    }

    async fn settle(&self) -> Result<()> {
        self.0.fold().await
    }

    async fn rows(
        &self,
        workspace: &Workspace,
        name: &str,
        after: i64,
        most: u32,
    ) -> Result<(Vec<ExperimentRow>, i64)> {
        self.0.fold().await?;
        let rows = sqlx::query(
            "SELECT * FROM experiment_rows WHERE workspace = $1 AND name = $2 AND seq > $3 ORDER BY seq LIMIT $4",
        )
        .bind(workspace.as_str())
        .bind(name)
        .bind(after)
        .bind(most)
        .try_map(|row: SqliteRow| Ok((self::row(&row)?, row.try_get::<i64, _>("seq")?)))
        .fetch_all(self.0.readers())
        .await
        .map_err(|error| self.0.explain(&error))?;
        let last = rows.last().map_or(after, |(_, number)| *number);
        Ok((rows.into_iter().map(|(row, _)| row).collect(), last))
    }

    async fn with_row(
        &self,
        workspace: &Workspace,
        kind: RowKind,
        subject: &str,
    ) -> Result<Option<String>> {
        self.0.fold().await?;
        let found = sqlx::query_scalar(
            "SELECT name FROM experiment_rows WHERE workspace = $1 AND kind = $2 AND subject = $3 ORDER BY seq LIMIT 1",
        )
        .bind(workspace.as_str())
        .bind(kind.word())
        .bind(subject)
        .fetch_optional(self.0.readers())
        .await;
        found.map_err(|error| self.0.explain(&error))
    }
}

/// Adds lines of the journal. Gives the number of those it can't read.
pub(crate) async fn fold(
    connection: &mut SqliteConnection,
    lines: &[String],
) -> sqlx::Result<usize> {
    let mut unread = 0;
    for line in lines {
        let Ok(line) = serde_json::from_str::<Line>(line) else {
            unread += 1;
            continue;
        };
        let last_counts = RowKind::of(&line.kind).is_some_and(RowKind::last_counts);
        sqlx::query(
            "INSERT INTO experiment_rows (workspace, name, kind, subject, body) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (workspace, name, kind, subject) DO UPDATE SET body = excluded.body WHERE $6",
        )
        .bind(line.workspace.as_str())
        .bind(line.name)
        .bind(line.kind)
        .bind(line.subject)
        .bind(line.json)
        .bind(last_counts)
        .execute(&mut *connection)
        .await?;
    }
    Ok(unread)
}

fn definition(row: SqliteRow) -> sqlx::Result<Definition> {
    Ok(Definition {
        workspace: Workspace::from(row.try_get::<String, _>("workspace")?),
        name: row.try_get("name")?,
        json: row.try_get("definition")?,
        created: time(row.try_get("created")?)?,
    })
}

fn row(row: &SqliteRow) -> sqlx::Result<ExperimentRow> {
    let kind: String = row.try_get("kind")?;
    Ok(ExperimentRow {
        workspace: Workspace::from(row.try_get::<String, _>("workspace")?),
        name: row.try_get("name")?,
        kind: RowKind::of(&kind)
            .ok_or_else(|| sqlx::Error::Decode(format!("`{kind}` is no kind of row").into()))?,
        subject: row.try_get("subject")?,
        json: row.try_get("body")?,
    })
}
