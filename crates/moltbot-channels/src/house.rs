//! What a channel asks of the house it stands in.

use std::sync::Arc;

use moltbot_types::filter::Filter;
use moltbot_types::{CallError, ModelName, Workspace};

/// A model that may answer in a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    /// Its name.
    pub name: ModelName,
    /// It reads images.
    pub vision: bool,
}

/// Which way a message went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Way {
    /// From a person.
    In,
    /// To a person.
    Out,
}

impl Way {
    /// Its word in metrics.
    pub fn word(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Out => "out",
        }
    }
}

/// What a channel asks of the house it stands in: models, filters, and to be counted.
pub trait House: Send + Sync + 'static {
    /// The model of that name, or without a name the first one for chats that the workspace may use.
    ///
    /// # Errors
    /// `ModelNotFound` or `Forbidden`.
    fn model(&self, workspace: &Workspace, name: Option<&str>) -> Result<Model, CallError>;

    /// The models for chats that the workspace may use.
    fn models(&self, workspace: &Workspace) -> Vec<ModelName>;

    /// The filters of the workspace and those named, as one; `None` where there are none.
    fn filter(&self, workspace: &Workspace, names: &[String]) -> Option<Arc<dyn Filter>>;

    /// Counts a message by what became of it: `moltbot_channel_messages_total`.
    fn count(&self, workspace: &Workspace, channel: &str, way: Way, outcome: Outcome);
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It was answered; on its way out: delivered.
    Answered,
    /// Its sender had used up his limit.
    Limited,
    /// A filter blocked it or its answer.
    Filtered,
    /// It was not for the bot, or nothing that it answers.
    Ignored,
    /// The model or the platform failed.
    Failed,
    /// It was there already.
    Duplicate,
    /// It became too old.
    Expired,
}

impl Outcome {
    /// All of them, so that each series exists from the start.
    pub const ALL: [Self; 7] = [
        Self::Answered,
        Self::Limited,
        Self::Filtered,
        Self::Ignored,
        Self::Failed,
        Self::Duplicate,
        Self::Expired,
    ];

    /// Its word in metrics and in the store.
    pub fn word(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Limited => "limited",
            Self::Filtered => "filtered",
            Self::Ignored => "ignored",
            Self::Failed => "failed",
            Self::Duplicate => "duplicate",
            Self::Expired => "expired",
        }
    }
}
