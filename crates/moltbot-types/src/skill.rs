//! What skills may do for a call.

use std::sync::Arc;

/// What skills may do for a call. A call of a skill's own says how deep it is, so that a circle ends.
#[derive(Clone, Debug, Default)]
pub enum Skills {
    /// No skill runs: a plain call of the API.
    #[default]
    Off,
    /// No trigger fires: a skill asks, and this many calls of skills stand above.
    Within(u8),
    /// Triggers fire and tools are offered.
    Allow(Arc<Occasion>),
}

/// Where a message was said, as skills hear of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Occasion {
    /// Who said it, by the platform's id.
    pub sender: Option<Arc<str>>,
    /// The channel's name.
    pub channel: Option<Arc<str>>,
    /// Nothing that a skill writes is kept.
    pub dry: bool,
}

impl Skills {
    /// Most calls of skills, one within the other.
    pub const DEEPEST: u8 = 4;

    /// Allows them on an occasion.
    pub fn allow(occasion: Occasion) -> Self {
        Self::Allow(Arc::new(occasion))
    }

    /// How many calls of skills stand above.
    pub fn depth(&self) -> u8 {
        match self {
            Self::Within(depth) => *depth,
            Self::Off | Self::Allow(_) => 0,
        }
    }
}
