//! `cache`: remembered answers.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::unit::{self, PositiveTime, Size};

/// Answers that are remembered and given again to equal calls of the same workspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Cache {
    /// Whether any are.
    pub enabled: bool,
    /// How long an answer lives.
    #[serde(with = "unit::time")]
    #[schemars(with = "PositiveTime")]
    pub ttl: Duration,
    /// Most memory of all answers together.
    #[serde(with = "unit::size")]
    #[schemars(with = "Size")]
    pub capacity: u64,
    /// Which calls: those with a temperature of zero or none, or all.
    pub temperature: CacheTemperature,
}

impl Default for Cache {
    fn default() -> Self {
        Self {
            enabled: false,
            ttl: Duration::from_secs(3600),
            capacity: 256 << 20,
            temperature: CacheTemperature::Zero,
        }
    }
}

/// Calls whose answers are remembered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CacheTemperature {
    /// Those with a temperature of zero or none.
    #[default]
    Zero,
    /// All.
    Any,
}
