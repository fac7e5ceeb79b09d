//! The admin service: what operators ask and change. `moltctl` speaks to nothing else.
//!
//! A running daemon serves it on its admin listener and on a socket; with the daemon down, `moltctl`
//! runs the same service in its own process over the locked home. What only a running daemon can
//! answer is then refused with exit code 3.

mod audit;
mod auth;
mod cache;
mod channels;
mod config;
mod doctor;
mod drill;
mod experiments;
mod keys;
mod listener;
mod models;
mod outbox;
mod probe;
mod seen;
mod skills;
mod status;
mod usage;
mod workspaces;

use std::sync::Arc;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use moltbot_config::{File, Home};
use moltbot_store::{Store, StoreError};
use moltbot_types::Workspace;
use moltbot_types::admin::Failure;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::Mutex;
use tokio::time::Instant;

pub(crate) use audit::Actor;
pub(crate) use listener::{AdminDoor, write_private, write_token};

use crate::audit::Audit;
use crate::channels::Channels;
use crate::live::Live;
use crate::runtime::Runtime;

/// The admin service over one home.
#[derive(Clone)]
pub struct Admin {
    home: Home,
    daemon: Option<Daemon>,
    /// With the daemon down: the store, while a request needs it.
    opened: Arc<Mutex<Option<Store>>>,
    /// Who changed what.
    audit: Audit,
}

/// What only a running daemon has.
#[derive(Clone)]
pub(crate) struct Daemon {
    pub(crate) live: Arc<Live>,
    pub(crate) rt: Arc<Runtime>,
    pub(crate) channels: Arc<Channels>,
    pub(crate) begun: Instant,
    /// One drill at a time.
    drill: Arc<Mutex<()>>,
}

/// Why an admin request failed: the status, the words, the exit code of `moltctl`.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    failure: Failure,
}

impl Refusal {
    fn new(status: StatusCode, exit: u8, error: impl Into<String>) -> Self {
        Self {
            status,
            failure: Failure {
                error: error.into(),
                exit,
            },
        }
    }

    /// It went wrong: exit 1.
    fn failed(error: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, 1, error)
    }

    /// The request makes no sense: exit 2.
    fn usage(error: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, 2, error)
    }

    /// There is no such thing: exit 4.
    fn missing(error: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, 4, error)
    }

    /// The configuration is or would be invalid: exit 78.
    fn invalid(error: impl ToString) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, 78, error.to_string())
    }

    /// Only a running daemon can answer: exit 3.
    fn needs_daemon() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            3,
            "the daemon is not running; start it with `moltbotd`",
        )
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::failed(error.to_string())
    }
}

type Answer = Result<Response<Bytes>, Refusal>;

impl Admin {
    /// The service with the daemon down: it works on the files of the home.
    pub fn offline(home: Home) -> Self {
        Self {
            audit: Audit::new(&home),
            home,
            daemon: None,
            opened: Arc::default(),
        }
    }

    /// The service within a running daemon.
    pub(crate) fn online(
        home: Home,
        live: Arc<Live>,
        rt: Arc<Runtime>,
        channels: Arc<Channels>,
        begun: Instant,
    ) -> Self {
        Self {
            audit: rt.audit.clone(),
            home,
            daemon: Some(Daemon {
                live,
                rt,
                channels,
                begun,
                drill: Arc::default(),
            }),
            opened: Arc::default(),
        }
    }

    /// The store: the daemon's own, or with the daemon down the home's, open until the request is answered.
    async fn store(&self) -> Result<Store, Refusal> {
        if let Some(daemon) = &self.daemon {
            return Ok(daemon.rt.store.clone());
        }
        let mut opened = self.opened.lock().await;
        if let Some(store) = &*opened {
            return Ok(store.clone());
        }
        let store = crate::store::open(&self.load()?.config).await?;
        Ok(opened.insert(store).clone())
    }

    fn daemon(&self) -> Result<&Daemon, Refusal> {
        self.daemon.as_ref().ok_or_else(Refusal::needs_daemon)
    }

    /// Answers one admin request below `/admin/v1`.
    pub async fn handle(&self, request: Request<Bytes>) -> Response<Bytes> {
        let begun = self.begun(&request);
        let mut answer = self.route(&request).await;
        if let Some(begun) = begun {
            self.ended(&request, begun, &answer);
        }
        if let Some(store) = self.opened.lock().await.take()
            && let Err(error) = store.close().await
        {
            answer = Err(error.into());
        }
        answer.unwrap_or_else(|refusal| {
            let body = serde_json::to_vec(&refusal.failure).unwrap_or_default();
            respond(refusal.status, body)
        })
    }

    /// The table of the admin API.
    async fn route(&self, request: &Request<Bytes>) -> Answer {
        let path = request.uri().path();
        let Some(path) = path.strip_prefix("/admin/v1/") else {
            return Err(Refusal::missing(format!("there is nothing at {path}")));
        };
        let parts: Vec<&str> = path.split('/').collect();
        let query = Query::of(request);
        let scope = query.workspace();
        if scope.as_str() != Workspace::DEFAULT && parts[0] != "workspaces" {
            seen::exists(&self.home, &scope)?;
        }
        match (request.method().as_str(), parts.as_slice()) {
            ("GET", ["status"]) => self.status(query.get("workspace").as_deref()),
            ("POST", ["reload"]) => self.reload().await,
            ("GET", ["config"]) => self.config_show(),
            ("GET", ["config", "schema"]) => schema(File::Gateway.word()),
            ("GET", ["config", "schema", file]) => schema(file),
            ("GET", ["config", "diff"]) => self.config_diff(),
            ("POST", ["config", "validate"]) => self.config_validate(),
            ("POST", ["config", "rollback"]) => self.config_rollback().await,
            ("GET", ["config", "values", key]) => self.config_get(&decode(key), query.has("file")),
            ("PUT", ["config", "values", key]) => {
                self.config_set(&decode(key), body(request)?).await
            }
            ("DELETE", ["config", "values", key]) => self.config_unset(&decode(key)).await,
            ("GET", ["audit"]) => self.audit(&query),
            ("GET", ["audit", "verify"]) => self.audit_verify(),
            ("GET", ["doctor"]) => self.doctor(&query).await,
            ("POST", ["doctor", "fix"]) => self.doctor_fix(),
            ("GET", ["auth"]) => self.auth_list(&scope),
            ("POST", ["auth", "check"]) => self.auth_check(&scope, body(request)?).await,
            ("PUT", ["auth", "entries", name]) => {
                self.auth_set(&scope, &decode(name), body(request)?).await
            }
            ("DELETE", ["auth", "entries", name]) => self.auth_remove(&scope, &decode(name)).await,
            ("GET", ["keys"]) => self.keys(&scope).await,
            ("POST", ["keys"]) => self.key_create(&scope, body(request)?).await,
            ("DELETE", ["keys", id]) => self.key_revoke(&scope, &decode(id)).await,
            ("POST", ["keys", id, "rotate"]) => {
                self.key_rotate(&scope, &decode(id), body(request)?).await
            }
            ("GET", ["models"]) => self.models(&scope),
            ("POST", ["models"]) => self.model_add(&scope, body(request)?).await,
            ("GET", ["models", name]) => self.model(&scope, &decode(name)),
            ("DELETE", ["models", name]) => self.model_remove(&scope, &decode(name)).await,
            ("POST", ["models", name, "test"]) => self.model_test(&scope, &decode(name)).await,
            ("POST", ["models", name, "switch"]) => {
                self.model_switch(&scope, &decode(name), body(request)?)
                    .await
            }
            ("GET", ["tests"]) => self.test_list(&scope).await,
            ("POST", ["tests"]) => self.test_create(&scope, body(request)?).await,
            ("GET", ["tests", name]) => self.test_report(&scope, &decode(name), &query).await,
            ("POST", ["tests", name, "stop"]) => self.test_stop(&scope, &decode(name)).await,
            ("POST", ["tests", name, "promote"]) => {
                self.test_promote(&scope, &decode(name), body(request)?)
                    .await
            }
            ("GET", ["skills"]) => self.skills(&scope).await,
            ("POST", ["skills"]) => self.skill_install(&scope, body(request)?).await,
            ("POST", ["skills", "match"]) => self.skills_match(&scope, body(request)?).await,
            ("GET", ["skills", "validate"]) => {
                let name = query.get("name");
                self.skills_validate(&scope, name.as_deref()).await
            }
            ("POST", ["skills", name, "run"]) => {
                self.skill_run(&scope, &decode(name), body(request)?).await
            }
            ("POST", ["skills", name, "enable"]) => self.skill_enable(&scope, &decode(name)).await,
            ("POST", ["skills", name, "disable"]) => {
                self.skill_disable(&scope, &decode(name)).await
            }
            ("GET", ["usage"]) => self.usage(&query).await,
            ("GET", ["workspaces"]) => self.workspaces(),
            ("POST", ["workspaces"]) => self.workspace_create(body(request)?).await,
            ("GET", ["workspaces", name]) => self.workspace(&decode(name)),
            ("DELETE", ["workspaces", name]) => self.workspace_delete(&decode(name)).await,
            ("POST", ["workspaces", name, "use"]) => self.workspace_use(&decode(name)),
            ("POST", ["drill"]) => self.drill(&scope, body(request)?).await,
            ("GET", ["channels"]) => self.channels(&scope),
            ("POST", ["channels", name, what]) => {
                let order = body(request)?;
                self.channel(&scope, &decode(name), what, order).await
            }
            ("GET", ["outbox"]) => self.outbox(&scope).await,
            ("POST", ["outbox", id, "resend"]) => self.outbox_resend(&scope, &decode(id)).await,
            ("POST", ["outbox", id, "drop"]) => self.outbox_drop(&scope, &decode(id)).await,
            ("GET", ["cache"]) => self.cache_stats().await,
            ("DELETE", ["cache"]) => {
                let named = query.has("workspace").then_some(&scope);
                self.cache_clear(named).await
            }
            ("GET", ["log-level"]) => self.log_level(),
            ("PUT", ["log-level"]) => self.set_log_level(body(request)?),
            (method, _) => Err(Refusal::missing(format!(
                "the admin API has no {method} {}",
                request.uri().path()
            ))),
        }
    }
}

fn schema(file: &str) -> Answer {
    let file = File::ALL.into_iter().find(|known| known.word() == file);
    let file = file.ok_or_else(|| {
        let known: Vec<_> = File::ALL.into_iter().map(File::word).collect();
        Refusal::usage(format!(
            "there is a schema for each of {}",
            known.join(", ")
        ))
    })?;
    json(&moltbot_config::schema(file))
}

/// The query of a request.
struct Query<'a>(&'a str);

impl<'a> Query<'a> {
    fn of(request: &'a Request<Bytes>) -> Self {
        Self(request.uri().query().unwrap_or(""))
    }

    /// The value of a parameter, where it is not empty.
    fn get(&self, name: &str) -> Option<String> {
        let (_, value) = self
            .pairs()
            .find(|(key, value)| *key == name && !value.is_empty())?;
        Some(decode(value))
    }

    /// Whether a flag is set: `?file` or `?file=1`.
    fn has(&self, name: &str) -> bool {
        self.pairs().any(|(key, _)| key == name)
    }

    /// The workspace that the request is for: `?workspace=NAME`, else `default`. What it names need not exist.
    fn workspace(&self) -> Workspace {
        let named = self.pairs().find(|(key, _)| *key == "workspace");
        named.map_or_else(Workspace::default, |(_, name)| decode(name).into())
    }

    fn pairs(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let pairs = self.0.split('&');
        pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")))
    }
}

fn decode(part: &str) -> String {
    percent_encoding::percent_decode_str(part)
        .decode_utf8_lossy()
        .into_owned()
}

fn body<T: DeserializeOwned>(request: &Request<Bytes>) -> Result<T, Refusal> {
    serde_json::from_slice(request.body())
        .map_err(|error| Refusal::usage(format!("the body of the request is wrong: {error}")))
}

fn json(value: &impl Serialize) -> Answer {
    let body = serde_json::to_vec(value).map_err(|error| Refusal::failed(error.to_string()))?;
    Ok(respond(StatusCode::OK, body))
}

fn respond(status: StatusCode, body: Vec<u8>) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// The request of an admin path: `moltctl` builds it the same way for the socket and in its process.
pub fn request(method: Method, path: &str, body: impl Into<Bytes>) -> Request<Bytes> {
    let mut request = Request::new(body.into());
    *request.method_mut() = method;
    *request.uri_mut() = path.parse().unwrap_or_default();
    request
}
