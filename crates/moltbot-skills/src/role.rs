//! What scripts reach outside, as small roles that whoever embeds them fills.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, Method};
use moltbot_types::{Caller, Usage, Workspace};
use serde_json::Value;

use crate::manifest::Place;

/// Why a role could not do it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RoleError {
    /// It is not allowed.
    Denied(String),
    /// It failed, in words that a script may see.
    Failed(String),
}

/// Values that outlive a call: JSON texts by workspace, skill and key.
#[async_trait]
pub trait Kv: Send + Sync {
    /// The value, where there is one.
    async fn get(
        &self,
        workspace: &Workspace,
        skill: &str,
        key: &str,
    ) -> Result<Option<String>, RoleError>;

    /// Puts a value.
    async fn set(
        &self,
        workspace: &Workspace,
        skill: &str,
        key: &str,
        json: String,
    ) -> Result<(), RoleError>;

    /// Takes a value away.
    async fn delete(&self, workspace: &Workspace, skill: &str, key: &str) -> Result<(), RoleError>;
}

/// A request of a script.
#[derive(Clone, Debug)]
pub struct FetchRequest {
    /// The method.
    pub method: Method,
    /// The address.
    pub url: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// Whether redirects are followed.
    pub follow: bool,
}

/// The answer to it.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, at most 5 MiB.
    pub body: Bytes,
}

/// The guarded way to addresses that a script names.
#[async_trait]
pub trait Fetch: Send + Sync {
    /// Fetches from the given places alone, within 10 s and 5 MiB, with at most five redirects that stay
    /// in them; a private address only where a place is that address itself.
    async fn fetch(&self, request: FetchRequest, net: &[Place]) -> Result<Fetched, RoleError>;
}

/// Who asks a model.
#[derive(Clone, Debug)]
pub struct Asker {
    /// As whom.
    pub caller: Caller,
    /// The skill.
    pub skill: Arc<str>,
    /// How many calls of skills stand above, this one included.
    pub depth: u8,
}

/// What a model answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chat {
    /// The text.
    pub text: String,
    /// Tokens, where they are known.
    pub usage: Option<Usage>,
}

/// Models that a script asks.
#[async_trait]
pub trait Models: Send + Sync {
    /// Asks a model; `messages` is a list of `{role, content}`, `options` an object such as
    /// `{"max_tokens": 100}`.
    async fn chat(
        &self,
        asker: Asker,
        model: &str,
        messages: Value,
        options: Value,
    ) -> Result<Chat, RoleError>;
}

/// Secrets by name.
pub trait Secrets: Send + Sync {
    /// The secret of a skill; `own`: it belongs to the workspace, it is not a shared one.
    fn secret(&self, workspace: &Workspace, skill: &str, own: bool, name: &str) -> Option<String>;
}

/// All roles together.
#[derive(Clone)]
pub struct Roles {
    /// See [`Kv`].
    pub kv: Arc<dyn Kv>,
    /// See [`Fetch`].
    pub fetch: Arc<dyn Fetch>,
    /// See [`Models`].
    pub models: Arc<dyn Models>,
    /// See [`Secrets`].
    pub secrets: Arc<dyn Secrets>,
}

impl std::fmt::Debug for Roles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Roles")
    }
}
