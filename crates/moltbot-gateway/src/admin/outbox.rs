//! Sendings of channels: what is open, what did not arrive, another try.

use std::time::Duration;

use jiff::Timestamp;
use moltbot_store::Store;
use moltbot_types::Workspace;
use moltbot_types::admin::{Done, OutboxRow};

use super::{Admin, Answer, Refusal, json};

/// Closed sendings are shown for a day.
const SHOWN: Duration = Duration::from_secs(24 * 3600);
/// How long another try may go on.
const ANOTHER_TRY: Duration = Duration::from_secs(600);

impl Admin {
    pub(super) async fn outbox(&self, scope: &Workspace) -> Answer {
        let store = self.store().await?;
        let now = Timestamp::now();
        let since = now.checked_sub(SHOWN).unwrap_or(Timestamp::UNIX_EPOCH);
        let rows = store.outbox.list(scope, since).await?;
        let rows = rows.into_iter().map(|row| OutboxRow {
            age_s: age(now, row.row.created),
            id: row.row.id,
            channel: row.channel,
            to: row.row.to,
            state: row.state.word().to_owned(),
            attempts: row.attempts,
            error: row.error,
        });
        json(&rows.collect::<Vec<_>>())
    }

    pub(super) async fn outbox_resend(&self, scope: &Workspace, id: &str) -> Answer {
        let store = self.store().await?;
        let now = Timestamp::now();
        let expires = now.checked_add(ANOTHER_TRY).unwrap_or(Timestamp::MAX);
        let outbox = &store.outbox;
        let row = outbox.resend(scope, id, now, expires).await?;
        let Some(row) = row else {
            return Err(self.not_so(&store, scope, id, "sent again").await);
        };
        let driver = self.daemon.as_ref();
        let driver = driver.and_then(|daemon| daemon.channels.driver(scope.as_str(), &row.channel));
        let detail = match driver {
            Some(driver) => {
                driver.resume_row(row);
                format!("{id} is being sent again")
            }
            None => format!("{id} is sent again once its channel runs"),
        };
        json(&Done { ok: true, detail })
    }

    pub(super) async fn outbox_drop(&self, scope: &Workspace, id: &str) -> Answer {
        let store = self.store().await?;
        let dropped = store.outbox.discard(scope, id, Timestamp::now()).await;
        if !dropped? {
            return Err(self.not_so(&store, scope, id, "dropped").await);
        }
        let detail = format!("{id} is dropped");
        json(&Done { ok: true, detail })
    }

    /// Why nothing was done about a row.
    async fn not_so(&self, store: &Store, scope: &Workspace, id: &str, what: &str) -> Refusal {
        let row = store.outbox.get(scope, id).await;
        match row {
            Ok(Some(row)) => {
                Refusal::failed(format!("{id} is {}, so it can't be {what}", row.state))
            }
            Ok(None) => Refusal::missing(format!(
                "there is no sending `{id}`; `moltctl outbox list` names those there are"
            )),
            Err(error) => error.into(),
        }
    }
}

fn age(now: Timestamp, then: Timestamp) -> u64 {
    Duration::try_from(now.duration_since(then)).map_or(0, |age| age.as_secs())
}
