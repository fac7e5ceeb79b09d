//! What channels ask of the gateway: models that their workspace may use, filters, and to be counted.

use std::sync::Arc;

use moltbot_channels::{House, Model, Outcome, Way};
use moltbot_config::config::{FilterName, ModelKind};
use moltbot_types::filter::{Direction, Filter};
use moltbot_types::{CallError, Kind, ModelName, Workspace};

use crate::live::Live;
use crate::runtime::Runtime;
use crate::snapshot::Snapshot;

/// The filters that a channel can name.
const FILTERS: [FilterName; 4] = [
    FilterName::Pii,
    FilterName::Secrets,
    FilterName::Words,
    FilterName::Safety,
];

/// The gateway as channels see it.
pub(super) struct Rooms {
    live: Arc<Live>,
    rt: Arc<Runtime>,
}

impl Rooms {
    pub(super) fn new(live: Arc<Live>, rt: Arc<Runtime>) -> Self {
        Self { live, rt }
    }
}

impl House for Rooms {
    fn model(&self, workspace: &Workspace, name: Option<&str>) -> Result<Model, CallError> {
        model(&self.live.snapshot(), workspace, name)
    }

    fn models(&self, workspace: &Workspace) -> Vec<ModelName> {
        let snapshot = self.live.snapshot();
        let Ok(workspace) = snapshot.workspace(workspace) else {
            return Vec::new();
        };
        let chat = workspace.models();
        let chat = chat.filter(|model| model.kind == ModelKind::Chat);
        chat.map(|model| model.name.as_str().into()).collect()
    }

    fn filter(&self, workspace: &Workspace, names: &[String]) -> Option<Arc<dyn Filter>> {
        let snapshot = self.live.snapshot();
        let path = snapshot.workspace(workspace).ok()?;
        let names = names.iter().filter_map(|name| {
            let mut all = FILTERS.into_iter();
            all.find(|filter| filter.word() == name)
        });
        let names: Vec<_> = names.collect();
        let chain = snapshot.filters().of(&path.rules.policy.filters, &names);
        let looks = [Direction::Inbound, Direction::Outbound];
        let looks = looks.into_iter().any(|direction| chain.looks(direction));
        looks.then(|| Arc::new(chain) as Arc<dyn Filter>)
    }

    fn count(&self, _: &Workspace, channel: &str, way: Way, outcome: Outcome) {
        let metrics = self.rt.calls.metrics();
        metrics.channel_messages(channel, way.word(), outcome.word(), 1);
    }
}

/// A model that a workspace may use, or the first one for conversations.
pub(super) fn model(
    snapshot: &Snapshot,
    workspace: &Workspace,
    name: Option<&str>,
) -> Result<Model, CallError> {
    let path = snapshot.workspace(workspace)?;
    let found = match name {
        Some(name) => path.model(name).map(|model| model.name.as_str().into()),
        None => path.first_chat_model(),
    };
    let name = found.ok_or_else(|| {
        let message = match name {
            Some(name) => format!("no model `{name}` may be used in the workspace"),
            None => "no model for chats may be used in the workspace".to_owned(),
        };
        CallError::new(Kind::ModelNotFound, message)
    })?;
    Ok(Model {
        name,
        vision: false,
    })
}
