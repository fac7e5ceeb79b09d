//! Keys of callers: made, listed, revoked, replaced.

use std::time::Duration;

use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use moltbot_auth::CallerKey;
use moltbot_store::Store;
use moltbot_store::keys::KeyRecord;
use moltbot_types::admin::{KeyStatus, NewKey};
use moltbot_types::{Role, Workspace};
use serde::Deserialize;
use serde_json::json;

use super::{Admin, Answer, Refusal, json};
use crate::caller;

/// How long a replaced key stays good.
const OVERLAP: Duration = Duration::from_secs(3600);
/// The name under which the key in the home's file is listed.
const OF_THE_HOME: &str = "config/key";

/// The body of `POST keys`.
#[derive(Deserialize)]
pub(super) struct Wanted {
    #[serde(default)]
    name: String,
    role: Option<String>,
    /// From now, such as `90d`.
    expires: Option<String>,
    models: Option<Vec<String>>,
}

/// The body of `POST keys/ID/rotate`.
#[derive(Deserialize)]
pub(super) struct Rotation {
    overlap: Option<String>,
}

impl Admin {
    pub(super) async fn keys(&self, scope: &Workspace) -> Answer {
        self.known(scope)?;
        let stored = self.store().await?.keys.list(scope).await?;
        let now = Timestamp::now();
        let mut rows: Vec<_> = stored.iter().map(|record| row(record, now)).collect();
        if *scope == Workspace::default()
            && let Some(key) = self.home_key()?
        {
            rows.insert(0, home_row(&key));
        }
        json(&rows)
    }

    pub(super) async fn key_create(&self, scope: &Workspace, wanted: Wanted) -> Answer {
        self.known(scope)?;
        let role = match &wanted.role {
            None => Role::User,
            Some(word) => Role::of(word).ok_or_else(|| {
                Refusal::usage(format!(
                    "`{word}` is no role: choose viewer, user, operator or admin"
                ))
            })?,
        };
        if wanted.name.chars().any(char::is_control) || wanted.name.len() > 128 {
            return Err(Refusal::usage(
                "a key's name has at most 128 bytes and no control characters",
            ));
        }
        let now = Timestamp::now();
        let lives = wanted.expires.as_deref().map(time).transpose()?;
        let record = KeyRecord {
            id: String::new(),
            digest: [0; 32],
            name: wanted.name,
            workspace: scope.clone(),
            role,
            models: wanted.models.filter(|models| !models.is_empty()),
            created: now,
            expires: lives.map(|lives| after(now, lives)).transpose()?,
            last_used: None,
            revoked: None,
            replaced_by: None,
            overlap_until: None,
        };
        let (key, record) = self.make(record)?;
        self.store().await?.keys.insert(record.clone()).await?;
        self.in_force().await?;
        json(&shown(&key, &record))
    }

    pub(super) async fn key_revoke(&self, scope: &Workspace, id: &str) -> Answer {
        let is_home = |key: &CallerKey| *scope == Workspace::default() && *key.id() == *id;
        if self.home_key()?.as_ref().is_some_and(is_home) {
            let path = self.home.key_file();
            std::fs::remove_file(&path)
                .map_err(|error| Refusal::failed(format!("{}: {error}", path.display())))?;
            return self
                .changed(&format!("{id} is revoked: {OF_THE_HOME} is gone"))
                .await;
        }
        let keys = self.store().await?.keys;
        if !keys.revoke(scope, id, Timestamp::now()).await? {
            return Err(no_key(id));
        }
        self.in_force().await?;
        json(&json!({ "id": id, "detail": format!("{id} is revoked") }))
    }

    /// Revokes all keys of a workspace, so that one of that name that comes later does not let them in.
    pub(super) async fn revoke_all(&self, scope: &Workspace) -> Result<(), Refusal> {
        let keys = self.store().await?.keys;
        let now = Timestamp::now();
        for key in keys.list(scope).await? {
            keys.revoke(scope, &key.id, now).await?;
        }
        self.in_force().await
    }

    /// Makes a key in the place of another, which stays good for a while.
    pub(super) async fn key_rotate(&self, scope: &Workspace, id: &str, asked: Rotation) -> Answer {
        let overlap = asked.overlap.as_deref().map_or(Ok(OVERLAP), time)?;
        if self.home_key()?.is_some_and(|key| *key.id() == *id) {
            return Err(Refusal::new(
                StatusCode::CONFLICT,
                1,
                format!(
                    "{id} stands in {OF_THE_HOME}: make another with `moltctl key create`, then revoke this one"
                ),
            ));
        }
        let store = self.store().await?;
        let (key, record, until) = self.rotate(&store, scope, id, overlap).await?;
        self.in_force().await?;
        let mut answer = serde_json::to_value(shown(&key, &record))
            .map_err(|error| Refusal::failed(error.to_string()))?;
        answer["replaces"] = id.into();
        answer["overlap_until"] = until.to_string().into();
        json(&answer)
    }

    async fn rotate(
        &self,
        store: &Store,
        scope: &Workspace,
        id: &str,
        overlap: Duration,
    ) -> Result<(CallerKey, KeyRecord, Timestamp), Refusal> {
        let old = store.keys.get(scope, id).await?;
        let old = old.ok_or_else(|| no_key(id))?;
        let now = Timestamp::now();
        // The new one lives as long as the old one was meant to.
        let lives = old
            .expires
            .map(|expires| expires.duration_since(old.created));
        let next = KeyRecord {
            created: now,
            expires: lives.and_then(|lives| now.checked_add(lives).ok()),
            last_used: None,
            ..old
        };
        let (key, next) = self.make(next)?;
        let until = after(now, overlap)?;
        match store.keys.rotate(id, next.clone(), until).await? {
            true => Ok((key, next, until)),
            false => Err(Refusal::failed(format!(
                "{id} is revoked or replaced already; `moltctl key list` shows by which"
            ))),
        }
    }

    /// A new key with what is stored of it.
    fn make(&self, record: KeyRecord) -> Result<(CallerKey, KeyRecord), Refusal> {
        let failed = |error: &dyn std::fmt::Display| Refusal::failed(error.to_string());
        let key = CallerKey::generate().map_err(|error| failed(&error))?;
        let digest = match &self.daemon {
            Some(daemon) => daemon.rt.keys.pepper().digest_of(&key),
            None => {
                let pepper = caller::pepper(&self.home).map_err(|error| failed(&error))?;
                pepper.digest_of(&key)
            }
        };
        let id = key.id().to_string();
        Ok((
            key,
            KeyRecord {
                id,
                digest,
                ..record
            },
        ))
    }

    /// Lets the keys of the store count from the next request on.
    async fn in_force(&self) -> Result<(), Refusal> {
        match &self.daemon {
            Some(daemon) => Ok(caller::refresh(&daemon.rt).await?),
            None => Ok(()),
        }
    }

    /// The key in the home's file.
    pub(super) fn home_key(&self) -> Result<Option<CallerKey>, Refusal> {
        let text = self.home.key();
        let text = text.map_err(|error| Refusal::failed(format!("{OF_THE_HOME}: {error}")))?;
        // A file that holds none is told by `config validate`.
        Ok(text.and_then(|text| caller::parse(&text).ok()))
    }

    fn known(&self, scope: &Workspace) -> Result<(), Refusal> {
        let config = self.load()?.config;
        match *scope == Workspace::default() || config.workspace(scope.as_str()).is_some() {
            true => Ok(()),
            false => Err(Refusal::missing(format!("there is no workspace `{scope}`"))),
        }
    }
}

fn no_key(id: &str) -> Refusal {
    Refusal::missing(format!(
        "there is no key `{id}` in this workspace; `moltctl key list` names those there are"
    ))
}

fn time(text: &str) -> Result<Duration, Refusal> {
    moltbot_config::time_of(&text.into()).ok_or_else(|| {
        Refusal::usage(format!(
            "`{text}` is no time: write it like 90d, 12h or 30m"
        ))
    })
}

fn after(now: Timestamp, time: Duration) -> Result<Timestamp, Refusal> {
    let time = SignedDuration::try_from(time).ok();
    time.and_then(|time| now.checked_add(time).ok())
        .ok_or_else(|| Refusal::usage("that is too far away"))
}

fn shown(key: &CallerKey, record: &KeyRecord) -> NewKey {
    NewKey {
        id: record.id.clone(),
        key: key.expose().to_owned(),
        workspace: record.workspace.to_string(),
        role: record.role.word().to_owned(),
        expires: record.expires.map(|at| at.to_string()),
        name: record.name.clone(),
        models: record.models.clone(),
    }
}

fn row(record: &KeyRecord, now: Timestamp) -> KeyStatus {
    let passed = |at: Option<Timestamp>| at.is_some_and(|at| at <= now);
    let state = match record {
        _ if passed(record.revoked) => "revoked",
        _ if passed(record.overlap_until) => "replaced",
        _ if passed(record.expires) => "expired",
        _ if record.replaced_by.is_some() => "overlap",
        _ => "active",
    };
    let text = |at: Option<Timestamp>| at.map(|at| at.to_string());
    KeyStatus {
        id: record.id.clone(),
        name: record.name.clone(),
        workspace: record.workspace.to_string(),
        role: record.role.word().to_owned(),
        state: state.to_owned(),
        models: record.models.clone(),
        created: text(Some(record.created)),
        expires: text(record.expires),
        last_used: text(record.last_used),
        replaced_by: record.replaced_by.clone(),
    }
}

fn home_row(key: &CallerKey) -> KeyStatus {
    KeyStatus {
        id: key.id().to_string(),
        name: OF_THE_HOME.to_owned(),
        workspace: Workspace::DEFAULT.to_owned(),
        role: Role::User.word().to_owned(),
        state: "active".to_owned(),
        ..KeyStatus::default()
    }
}
