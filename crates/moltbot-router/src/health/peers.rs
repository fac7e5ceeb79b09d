//! The targets of one model: what befalls all of them at once is no one's own fault.

use std::sync::Arc;

use super::breaker::Row;
use super::target::TargetHealth;

/// Targets among which calls of a model go round; cheap to clone.
///
/// A target is ejected for a row of failures when one of its peers answers meanwhile; when none does, the row
/// must last for a second. By default a target is judged by itself alone.
#[derive(Clone, Debug, Default)]
pub struct Peers(Option<Arc<[Arc<TargetHealth>]>>);

impl FromIterator<Arc<TargetHealth>> for Peers {
    fn from_iter<I: IntoIterator<Item = Arc<TargetHealth>>>(targets: I) -> Self {
        Self(Some(targets.into_iter().collect()))
    }
}

impl Peers {
    /// Whether one of them is well while `target` has this row; so it is taken to be where there is nobody to
    /// look at.
    pub(super) fn are_well(&self, target: &TargetHealth, row: Row) -> bool {
        let Some(peers) = &self.0 else {
            return true;
        };
        peers
            .iter()
            .filter(|peer| !std::ptr::eq(&***peer, target))
            .any(|peer| peer.is_well(row))
    }
}
