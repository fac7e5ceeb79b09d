//! Who is calling.

use std::sync::Arc;

use crate::id::Workspace;

/// What a caller may do in its workspace; each role includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Reads models, usage and status.
    Viewer,
    /// Also calls models.
    User,
    /// Also runs channels, skills, tests and the outbox.
    Operator,
    /// Also changes policy, keys and files of the workspace.
    Admin,
}

/// The caller of a request, as authentication found it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Scope of everything that the call touches.
    pub workspace: Workspace,
    /// The id (never the secret) of the key that was shown; `None` where none was asked for.
    pub key: Option<Arc<str>>,
    /// What the caller may do.
    pub role: Role,
}

impl Caller {
    /// A caller of the default workspace that needed no key.
    pub fn anonymous() -> Self {
        Self {
            workspace: Workspace::default(),
            key: None,
            role: Role::User,
        }
    }
}
