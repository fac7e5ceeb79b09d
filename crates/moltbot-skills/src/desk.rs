//! The desk between a script and the roles: what the manifest does not grant, nobody hears of.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use moltbot_types::Skills;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Duration, timeout};
use url::Url;

use crate::manifest::Permissions;
use crate::role::{Asker, FetchRequest, RoleError, Roles};
use crate::skill::{LogLine, Said};
use crate::worker::{Asked, Failure};

/// Bytes of a value that a script keeps.
const LARGEST_VALUE: usize = 64 << 10;
/// Bytes of a body that a script sends.
const LARGEST_BODY: usize = 1 << 20;
/// A `fetch` that takes longer has failed, whoever does it.
const FETCH_WITHIN: Duration = Duration::from_secs(10);
/// Headers that belong to the connection.
const NOT_SENT: [&str; 7] = [
    "host",
    "content-length",
    "connection",
    "transfer-encoding",
    "upgrade",
    "te",
    "proxy-authorization",
];

/// The desk for one run.
pub(crate) struct Desk<'a> {
    pub(crate) skill: &'a str,
    /// The skill belongs to the workspace.
    pub(crate) own: bool,
    pub(crate) permissions: &'a Permissions,
    pub(crate) roles: &'a Roles,
    pub(crate) said: &'a Said,
    heard: Mutex<Heard>,
}

#[derive(Default)]
struct Heard {
    logs: Vec<LogLine>,
    /// Secrets that were handed out: they reach no log and no error.
    secrets: Vec<String>,
}

impl<'a> Desk<'a> {
    pub(crate) fn new(
        skill: &'a str,
        own: bool,
        permissions: &'a Permissions,
        roles: &'a Roles,
        said: &'a Said,
    ) -> Self {
        Self {
            skill,
            own,
            permissions,
            roles,
            said,
            heard: Mutex::default(),
        }
    }

    /// What was logged, taken out.
    pub(crate) fn logs(&self) -> Vec<LogLine> {
        std::mem::take(&mut self.heard().logs)
    }

    /// A text without the secrets that were handed out.
    pub(crate) fn masked(&self, mut text: String) -> String {
        for secret in &self.heard().secrets {
            if text.contains(secret.as_str()) {
                text = text.replace(secret.as_str(), "[secret]");
            }
        }
        text
    }

    fn heard(&self) -> std::sync::MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn kv(&self, what: &str, with: Value) -> Result<Value, RoleError> {
        #[derive(Deserialize)]
        struct With {
            key: String,
            #[serde(default)]
            value: Value,
        }
        if !self.permissions.kv || self.said.ungranted {
            return Err(denied("kv", "kv: true"));
        }
        let With { key, value } = read(with)?;
        let (kv, workspace) = (&self.roles.kv, &self.said.caller.workspace);
        match what {
            "kv.get" => {
                let json = kv.get(workspace, self.skill, &key).await?;
                Ok(json.map_or(Value::Null, |json| {
                    serde_json::from_str(&json).unwrap_or(Value::Null)
                }))
            }
            _ if self.said.dry => Ok(Value::Null),
            "kv.set" => {
                let json = value.to_string();
                if json.len() > LARGEST_VALUE {
                    let words = format!("kv: the value of {key} is larger than 64 KiB");
                    return Err(RoleError::Failed(words));
                }
                kv.set(workspace, self.skill, &key, json).await?;
                Ok(Value::Null)
            }
            _ => {
                kv.delete(workspace, self.skill, &key).await?;
                Ok(Value::Null)
            }
        }
    }

    async fn fetch(&self, with: Value) -> Result<Value, RoleError> {
        #[derive(Deserialize)]
        struct With {
            url: String,
            method: String,
            headers: Vec<(String, String)>,
            body: Option<String>,
            follow: bool,
        }
        let With {
            url,
            method,
            headers,
            body,
            follow,
        } = read(with)?;
        let failed = |words: String| RoleError::Failed(words);
        let parsed = Url::parse(&url).map_err(|error| failed(format!("fetch: {url}: {error}")))?;
        if !matches!(parsed.scheme(), "http" | "https") {
            return Err(failed(format!("fetch: {url} is neither http nor https")));
        }
        let place = parsed.host().zip(parsed.port_or_known_default());
        let may = place.is_some_and(|(host, port)| {
            self.permissions.may_reach(&host.to_owned(), port) && !self.said.ungranted
        });
        if !may {
            let host = parsed.host_str().unwrap_or_default();
            let port = parsed.port_or_known_default().unwrap_or_default();
            return Err(denied("fetch", &format!("net: [\"{host}:{port}\"]")));
        }
        let body = Bytes::from(body.unwrap_or_default());
        if body.len() > LARGEST_BODY {
            return Err(failed("fetch: the body is larger than 1 MiB".to_owned()));
        }
        let request = FetchRequest {
            method: Method::from_bytes(method.as_bytes())
                .map_err(|_| failed(format!("fetch: {method} is no method")))?,
            url,
            headers: header_map(headers)?,
            body,
            follow,
        };
        let fetching = self.roles.fetch.fetch(request, &self.permissions.net);
        let answer = timeout(FETCH_WITHIN, fetching)
            .await
            .unwrap_or_else(|_| Err(failed("fetch: no answer within 10 s".to_owned())))?;
        let headers: Vec<_> = answer
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), String::from_utf8_lossy(value.as_bytes())))
            .collect();
        Ok(json!({
            "status": answer.status,
            "url": parsed.as_str(),
            "headers": headers,
            "body": String::from_utf8_lossy(&answer.body),
        }))
    }

    async fn chat(&self, with: Value) -> Result<Value, RoleError> {
        #[derive(Deserialize)]
        struct With {
            messages: Value,
            options: Value,
        }
        let With {
            messages,
            mut options,
        } = read(with)?;
        let Some(options_map) = options.as_object_mut() else {
            let words = "model.chat: the options are no object";
            return Err(RoleError::Failed(words.to_owned()));
        };
        let asked = match options_map.remove("model") {
            Some(Value::String(model)) => Some(model),
            _ => None,
        };
        let first = || {
            self.permissions
                .model
                .iter()
                .find(|name| !name.contains('*'))
        };
        let model = asked.or_else(|| first().cloned());
        let model = model.filter(|model| self.permissions.may_ask(model) && !self.said.ungranted);
        let Some(model) = model else {
            return Err(denied("model.chat", "model: [NAME]"));
        };
        let depth = self.said.depth.saturating_add(1);
        if depth > Skills::DEEPEST {
            let words = format!(
                "model.chat: more than {} calls within each other",
                Skills::DEEPEST
            );
            return Err(RoleError::Failed(words));
        }
        let asker = Asker {
            caller: self.said.caller.clone(),
            skill: self.skill.into(),
            depth,
        };
        let chat = self
            .roles
            .models
            .chat(asker, &model, messages, options)
            .await?;
        let usage = chat
            .usage
            .map(|usage| json!({ "tokens_in": usage.input, "tokens_out": usage.output }));
        Ok(json!({ "text": chat.text, "usage": usage }))
    }

    fn secret(&self, with: Value) -> Result<Value, RoleError> {
        #[derive(Deserialize)]
        struct With {
            name: String,
        }
        let With { name } = read(with)?;
        if !self.permissions.secrets.contains(&name) || self.said.ungranted {
            return Err(denied("secret", &format!("secrets: [{name}]")));
        }
        let workspace = &self.said.caller.workspace;
        let secret = self
            .roles
            .secrets
            .secret(workspace, self.skill, self.own, &name);
        if let Some(secret) = secret.as_ref().filter(|secret| !secret.is_empty()) {
            self.heard().secrets.push(secret.clone());
        }
        Ok(secret.map_or(Value::Null, Value::String))
    }
}

#[async_trait]
impl Asked for Desk<'_> {
    async fn ask(&self, what: &str, with: Value) -> Result<Value, Failure> {
        let answer = match what {
            "kv.get" | "kv.set" | "kv.delete" => self.kv(what, with).await,
            "fetch" => self.fetch(with).await,
            "model.chat" => self.chat(with).await,
            "secret" => self.secret(with),
            other => Err(RoleError::Failed(format!("there is no {other}"))),
        };
        answer.map_err(|error| match error {
            RoleError::Denied(message) => Failure {
                denied: true,
                message,
            },
            RoleError::Failed(message) => Failure {
                denied: false,
                message,
            },
        })
    }

    fn log(&self, level: String, text: String) {
        let text = self.masked(text);
        match level.as_str() {
            "error" => tracing::error!(skill = self.skill, "{text}"),
            "warn" => tracing::warn!(skill = self.skill, "{text}"),
            _ => tracing::info!(skill = self.skill, "{text}"),
        }
        self.heard().logs.push(LogLine { level, text });
    }
}

fn read<T: for<'de> Deserialize<'de>>(with: Value) -> Result<T, RoleError> {
    serde_json::from_value(with).map_err(|error| RoleError::Failed(error.to_string()))
}

fn denied(what: &str, grant: &str) -> RoleError {
    RoleError::Denied(format!(
        "{what} is not permitted: `permissions: {{ {grant} }}` in skill.yaml would ask for it"
    ))
}

fn header_map(headers: Vec<(String, String)>) -> Result<HeaderMap, RoleError> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        if NOT_SENT.contains(&name.as_str()) {
            continue;
        }
        let pair = HeaderName::from_bytes(name.as_bytes())
            .ok()
            .zip(HeaderValue::from_str(&value).ok());
        let (key, value) = pair
            .ok_or_else(|| RoleError::Failed(format!("fetch: the header {name} can't be sent")))?;
        map.append(key, value);
    }
    Ok(map)
}
