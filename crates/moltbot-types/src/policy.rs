//! What a workspace may use: the gateway knows, channels and skills ask.

use crate::id::{ModelName, Workspace};

/// Answers by the configuration that is in force now. An unknown workspace may use nothing.
pub trait Policy: Send + Sync + 'static {
    /// Whether callers of the workspace may use that model, a shared one or one of its own.
    fn may_use_model(&self, workspace: &Workspace, model: &ModelName) -> bool;

    /// Whether the workspace may use that shared skill. Its own are always allowed.
    fn may_use_skill(&self, workspace: &Workspace, skill: &str) -> bool;

    /// The first model for conversations that the workspace sees: who answers where nobody is named.
    fn first_chat_model(&self, workspace: &Workspace) -> Option<ModelName>;
}
