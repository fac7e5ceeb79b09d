//! What scripts reach: the store, the guard for untrusted addresses, models by the way of every call, secrets.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock, Weak};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use bytes::Bytes;
use http::HeaderMap;
use moltbot_auth::edge::{EdgeError, EdgeRequest, Place as EdgePlace};
use moltbot_auth::{Edge, EdgeSettings};
use moltbot_config::Config;
use moltbot_skills::Place;
use moltbot_skills::role::{
    Asker, Chat, Fetch, FetchRequest, Fetched, Kv, Models, RoleError, Roles, Secrets,
};
use moltbot_store::{Store, StoreError};
use moltbot_types::call::CallParts;
use moltbot_types::{
    Body, Call, CallError, Dialect, Ending, Next, Operation, Remembered, RequestId, Skills, Trail,
    Workspace,
};
use moltbot_wire::openai::OPENAI;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};
use tokio::time::Instant;

use crate::record::Recording;
use crate::runtime::Runtime;
use crate::snapshot::Snapshot;

/// Redirects that a `fetch` follows.
const REDIRECTS: usize = 5;

/// Gives the snapshot in force, as long as there is one.
pub(crate) type Snapshots = Box<dyn Fn() -> Option<Arc<Snapshot>> + Send + Sync>;

/// The roles of skills, filled by the gateway.
pub(super) struct Outside {
    kv: Arc<dyn moltbot_store::Kv>,
    edge: Edge,
    secrets: ArcSwap<BTreeMap<String, BTreeMap<String, SecretString>>>,
    inside: OnceLock<(Snapshots, Weak<Runtime>)>,
}

impl Outside {
    pub(super) fn new(store: &Store, config: &Config) -> Result<Self, EdgeError> {
        let outside = Self {
            kv: Arc::clone(&store.kv),
            edge: Edge::new(EdgeSettings::default())?,
            secrets: ArcSwap::default(),
            inside: OnceLock::new(),
        };
        outside.configure(config);
        Ok(outside)
    }

    pub(super) fn configure(&self, config: &Config) {
        self.secrets.store(Arc::new(config.skill_secrets.clone()));
    }

    pub(super) fn connect(&self, snapshots: Snapshots, rt: &Arc<Runtime>) {
        // the first one is the only one
        let _ = self.inside.set((snapshots, Arc::downgrade(rt)));
    }

    pub(super) fn roles(self: &Arc<Self>) -> Roles {
        Roles {
            kv: Arc::clone(self) as _,
            fetch: Arc::clone(self) as _,
            models: Arc::clone(self) as _,
            secrets: Arc::clone(self) as _,
        }
    }

    fn inside(&self) -> Option<(Arc<Snapshot>, Arc<Runtime>)> {
        let (snapshots, rt) = self.inside.get()?;
        snapshots().zip(rt.upgrade())
    }
}

fn unkept(error: StoreError) -> RoleError {
    match error {
        StoreError::TooLarge { .. } => RoleError::Failed(format!("kv: {error}")),
        error => {
            tracing::error!(%error, "a skill's value can't be kept");
            RoleError::Failed("kv: the store does not answer".to_owned())
        }
    }
}

#[async_trait]
impl Kv for Outside {
    async fn get(
        &self,
        workspace: &Workspace,
        skill: &str,
        key: &str,
    ) -> Result<Option<String>, RoleError> {
        self.kv.get(workspace, skill, key).await.map_err(unkept)
    }

    async fn set(
        &self,
        workspace: &Workspace,
        skill: &str,
        key: &str,
        json: String,
    ) -> Result<(), RoleError> {
        let kept = self.kv.set(workspace, skill, key, json).await;
        kept.map_err(unkept)
    }

    async fn delete(&self, workspace: &Workspace, skill: &str, key: &str) -> Result<(), RoleError> {
        let gone = self.kv.delete(workspace, skill, key).await;
        gone.map(drop).map_err(unkept)
    }
}

#[async_trait]
impl Fetch for Outside {
    async fn fetch(&self, request: FetchRequest, net: &[Place]) -> Result<Fetched, RoleError> {
        let places: Result<Vec<EdgePlace>, _> =
            net.iter().map(|place| place.to_string().parse()).collect();
        let failed = |error: EdgeError| match error {
            EdgeError::Refused => RoleError::Denied(format!("fetch: {error}")),
            error => RoleError::Failed(format!("fetch: {error}")),
        };
        let settings = EdgeSettings {
            redirects: if request.follow { REDIRECTS } else { 0 },
            ..EdgeSettings::only(places.map_err(failed)?)
        };
        let request = EdgeRequest {
            method: request.method,
            url: request.url,
            headers: request.headers,
            body: request.body,
        };
        let answer = self.edge.with(settings).fetch(request).await;
        let answer = answer.map_err(failed)?;
        Ok(Fetched {
            status: answer.status.as_u16(),
            headers: answer.headers,
            body: answer.body,
        })
    }
}

#[async_trait]
impl Models for Outside {
    async fn chat(
        &self,
        asker: Asker,
        model: &str,
        messages: Value,
        options: Value,
    ) -> Result<Chat, RoleError> {
        let failed = |error: CallError| RoleError::Failed(format!("model.chat: {error}"));
        let Some((snapshot, rt)) = self.inside() else {
            let words = "model.chat: the gateway does not run";
            return Err(RoleError::Failed(words.to_owned()));
        };
        let mut body = match options {
            Value::Object(options) => options,
            _ => Map::new(),
        };
        body.insert("model".into(), model.into());
        body.insert("messages".into(), messages);
        body.remove("stream");
        let body = Bytes::from(Value::Object(body).to_string());
        let (id, begun, trail) = (RequestId::new(), Instant::now(), Arc::<Trail>::default());
        let mut recording = Recording::begin(&rt, id, begun, Arc::clone(&trail));
        recording.caller(&asker.caller);
        let answer = async {
            let workspace = snapshot.workspace(&asker.caller.workspace)?;
            let head = OPENAI.peek(Operation::Chat, &body)?;
            recording.model(&head, workspace.knows(model), workspace.prices());
            let call = Call::new(CallParts {
                id,
                caller: asker.caller,
                head,
                body,
                dialect: &OPENAI,
                headers: HeaderMap::new(),
                query: None,
                filtered: false,
                remembered: Remembered::default(),
                begun,
                deadline: None,
                skills: Skills::Within(asker.depth),
                trail,
            });
            workspace.path().call(call).await
        };
        let answer = match Box::pin(answer).await {
            Ok(answer) => answer,
            Err(error) => {
                recording.failed(&error);
                return Err(failed(error));
            }
        };
        let mut answer = answer;
        recording.answered(answer.status.as_u16());
        if let (None, Body::Whole(bytes)) = (answer.usage, &answer.body) {
            answer.usage = Some(recording.estimate(bytes.len()));
        }
        answer.hold(recording);
        let usage = answer.usage;
        let (_, _, body, mut holds) = answer.into_parts();
        holds.end(&Ending::Complete);
        let Body::Whole(body) = body else {
            let words = "model.chat: the answer is no whole one";
            return Err(RoleError::Failed(words.to_owned()));
        };
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        let text = body["choices"][0]["message"]["content"].as_str();
        Ok(Chat {
            text: text.unwrap_or_default().to_owned(),
            usage,
        })
    }
}

impl Secrets for Outside {
    /// From `auth.json`: the entry `skill.NAME` of the skill, or of the secret with its `key`; else from the
    /// environment, where the skill of a workspace sees its own names alone.
    fn secret(&self, workspace: &Workspace, skill: &str, own: bool, name: &str) -> Option<String> {
        let scope = match own && workspace.as_str() != Workspace::DEFAULT {
            true => format!("{workspace}/"),
            false => String::new(),
        };
        let secrets = self.secrets.load();
        let entry = |entry: &str, key: &str| {
            let secret = secrets.get(&format!("{scope}skill.{entry}"))?.get(key)?;
            Some(secret.expose_secret().to_owned())
        };
        let mine = format!(
            "MOLTBOT_{}_",
            workspace.as_str().to_uppercase().replace('-', "_")
        );
        let may_see = scope.is_empty() || name.starts_with(&mine);
        // What drives the daemon is no secret of a skill.
        let variable = || {
            let value = std::env::var(name).ok().filter(|_| may_see)?;
            Some(
                value
                    .trim_matches(['\u{feff}', ' ', '\n', '\r', '\t'])
                    .to_owned(),
            )
        };
        entry(skill, name)
            .or_else(|| entry(name, "key"))
            .or_else(variable)
    }
}
