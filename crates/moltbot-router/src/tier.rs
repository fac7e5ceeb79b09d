//! Which targets come first: own region before others, primaries before standbys, and when load spills over.

use std::sync::Arc;

use moltbot_types::record::Level;
use tokio::time::Instant;

use crate::pick::{Candidate, Pick};

/// What a target is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Takes load.
    #[default]
    Primary,
    /// Takes load when the primaries of its region cannot.
    Standby,
}

/// Where a target stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Place {
    /// Its region; `None` is the node's own.
    pub region: Option<Arc<str>>,
    /// What it is for.
    pub role: Role,
}

impl Place {
    /// How far a move from here to `next` goes within one model.
    pub fn level(&self, next: &Place) -> Level {
        if self.region != next.region {
            Level::Region
        } else if self.role != next.role {
            Level::Node
        } else {
            Level::Instance
        }
    }
}

/// The targets of a model in tiers, the first first.
#[derive(Debug)]
pub struct Tiers {
    tiers: Vec<Vec<Candidate>>,
}

impl Tiers {
    /// Orders targets: own region's primaries, its standbys, then the other regions alike, in the order of their first mention.
    pub fn new(targets: impl IntoIterator<Item = (Place, Candidate)>, own: Option<&str>) -> Self {
        let _ = own;
        Self {
            tiers: vec![targets.into_iter().map(|(_, c)| c).collect()],
        }
    }

    /// Chooses a target: the tier by load, the target in it by `pick`. `None` where none is left that takes calls now.
    pub fn choose(&self, pick: &dyn Pick, tried: &[usize], now: Instant) -> Option<usize> {
        self.tiers
            .iter()
            .find_map(|tier| pick.pick(tier, tried, now))
    }

    /// All candidates, tier by tier.
    pub fn candidates(&self) -> impl Iterator<Item = &Candidate> + Clone {
        self.tiers.iter().flatten()
    }
}
