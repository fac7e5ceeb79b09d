//! Keys in SQLite.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use moltbot_types::{Role, Workspace};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::{KeyRecord, Keys, Use};
use crate::error::{Result, StoreError};
use crate::sqlite::{self, millis, time};

/// The table `keys`.
#[derive(Debug)]
pub(crate) struct Sqlite(pub(crate) Arc<sqlite::Sqlite>);

#[async_trait]
impl Keys for Sqlite {
    async fn insert(&self, key: KeyRecord) -> Result<()> {
        let id = key.id.clone();
        let write = self
            .0
            .write(move |connection| Box::pin(async move { insert(connection, &key).await }));
        if write.await? {
            Ok(())
        } else {
            Err(StoreError::Duplicate(id))
        }
    }

    async fn get(&self, workspace: &Workspace, id: &str) -> Result<Option<KeyRecord>> {
        let row = sqlx::query("SELECT * FROM keys WHERE workspace = $1 AND id = $2")
            .bind(workspace.as_str())
            .bind(id)
            .try_map(record)
            .fetch_optional(self.0.readers())
            .await;
        row.map_err(|error| self.0.explain(&error))
    }

    async fn list(&self, workspace: &Workspace) -> Result<Vec<KeyRecord>> {
        let rows = sqlx::query("SELECT * FROM keys WHERE workspace = $1 ORDER BY created, id")
            .bind(workspace.as_str())
            .try_map(record)
            .fetch_all(self.0.readers())
            .await;
        rows.map_err(|error| self.0.explain(&error))
    }

    async fn all(&self) -> Result<Vec<KeyRecord>> {
        let rows = sqlx::query("SELECT * FROM keys ORDER BY created, id")
            .try_map(record)
            .fetch_all(self.0.readers())
            .await;
        rows.map_err(|error| self.0.explain(&error))
    }

    async fn revoke(&self, workspace: &Workspace, id: &str, at: Timestamp) -> Result<bool> {
        let (workspace, id) = (workspace.clone(), id.to_owned());
        let write = self.0.write(move |connection| {
            Box::pin(async move {
                let done = sqlx::query(
                    "UPDATE keys SET revoked = COALESCE(revoked, $1) WHERE workspace = $2 AND id = $3",
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

    async fn rotate(&self, id: &str, next: KeyRecord, overlap_until: Timestamp) -> Result<bool> {
        let (id, taken) = (id.to_owned(), next.id.clone());
        let write = self.0.write(move |connection| {
            Box::pin(async move {
                let found: i64 = sqlx::query_scalar(
                    "SELECT COUNT(*) FROM keys WHERE workspace = $1 AND id = $2 AND revoked IS NULL AND replaced_by IS NULL",
                )
                .bind(next.workspace.as_str())
                .bind(&id)
                .fetch_one(&mut *connection)
                .await?;
                if found == 0 {
                    return Ok(Some(false));
                }
                if !insert(connection, &next).await? {
                    return Ok(None);
                }
                sqlx::query(
                    "UPDATE keys SET replaced_by = $1, overlap_until = $2 WHERE workspace = $3 AND id = $4",
                )
                .bind(&next.id)
                .bind(millis(overlap_until))
                .bind(next.workspace.as_str())
                .bind(&id)
                .execute(connection)
                .await?;
                Ok(Some(true))
            })
        });
        write.await?.ok_or(StoreError::Duplicate(taken))
    }

    async fn touch(&self, uses: Vec<Use>) -> Result<()> {
        let write = self.0.write(move |connection| {
            Box::pin(async move {
                for used in &uses {
                    sqlx::query(
                        "UPDATE keys SET last_used = MAX(COALESCE(last_used, 0), $1) WHERE workspace = $2 AND id = $3",
                    )
                    .bind(millis(used.at))
                    .bind(used.workspace.as_str())
                    .bind(&used.id)
                    .execute(&mut *connection)
                    .await?;
                }
                Ok(())
            })
        });
        write.await
    }
}

/// `false` where the id is taken.
async fn insert(connection: &mut SqliteConnection, key: &KeyRecord) -> sqlx::Result<bool> {
    let models = key
        .models
        .as_ref()
        .map(|models| serde_json::json!(models).to_string());
    let done = sqlx::query(
        "INSERT INTO keys (workspace, id, digest, name, role, models, created, expires, last_used, revoked, replaced_by, overlap_until)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT DO NOTHING",
    )
    .bind(key.workspace.as_str())
    .bind(&key.id)
    .bind(&key.digest[..])
    .bind(&key.name)
    .bind(word(key.role))
    .bind(models)
    .bind(millis(key.created))
    .bind(key.expires.map(millis))
    .bind(key.last_used.map(millis))
    .bind(key.revoked.map(millis))
    .bind(&key.replaced_by)
    .bind(key.overlap_until.map(millis))
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

fn record(row: SqliteRow) -> sqlx::Result<KeyRecord> {
    let at = |column: &str| row.try_get::<Option<i64>, _>(column)?.map(time).transpose();
    let models: Option<String> = row.try_get("models")?;
    let models = models
        .map(|models| serde_json::from_str(&models))
        .transpose();
    let digest: Vec<u8> = row.try_get("digest")?;
    Ok(KeyRecord {
        id: row.try_get("id")?,
        digest: digest.try_into().map_err(|_| odd("digest"))?,
        name: row.try_get("name")?,
        workspace: Workspace::from(row.try_get::<String, _>("workspace")?),
        role: role(row.try_get("role")?)?,
        models: models.map_err(|_| odd("models"))?,
        created: time(row.try_get("created")?)?,
        expires: at("expires")?,
        last_used: at("last_used")?,
        revoked: at("revoked")?,
        replaced_by: row.try_get("replaced_by")?,
        overlap_until: at("overlap_until")?,
    })
}

fn odd(column: &str) -> sqlx::Error {
    sqlx::Error::Decode(format!("`{column}` of a key is not as it was written").into())
}

fn word(role: Role) -> &'static str {
    match role {
        Role::Viewer => "viewer",
        Role::User => "user",
        Role::Operator => "operator",
        Role::Admin => "admin",
    }
}

fn role(word: String) -> sqlx::Result<Role> {
    [Role::Viewer, Role::User, Role::Operator, Role::Admin]
        .into_iter()
        .find(|role| self::word(*role) == word)
        .ok_or_else(|| odd("role"))
}
