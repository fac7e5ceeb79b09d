//! The scenarios, each a file.

mod abort;
mod chaos;
mod corpus;
mod down;
mod malformed;
mod outage;
mod reload;
mod slow;
mod switch;

use std::fmt;

use clap::ValueEnum;

use crate::figures::Row;
use crate::lab::{Failure, Lab};

/// What can be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scenario {
    /// Uniform chaos: three targets, a fifth of all requests fails
    R1,
    /// Hard down: the primary dies under load and comes back
    R3,
    /// Model switch, by hand and by fallback, under load
    R4,
    /// All down, then recovery
    R5,
    /// Reloads, valid and invalid, under load and beside live streams
    R8,
    /// Slow connections beside honest load
    R15,
    /// Callers that leave at random points
    R17,
    /// Malformed and ambiguous requests
    R18,
}

impl Scenario {
    /// All, in the order of a run.
    pub(crate) const ALL: &[Self] = &[
        Self::R1,
        Self::R3,
        Self::R4,
        Self::R5,
        Self::R8,
        Self::R15,
        Self::R17,
        Self::R18,
    ];

    /// Runs it: a row for each gateway and variant.
    pub(crate) async fn run(self, lab: &Lab) -> Result<Vec<Row>, Failure> {
        match self {
            Self::R1 => chaos::run(lab).await,
            Self::R3 => down::run(lab).await,
            Self::R4 => switch::run(lab).await,
            Self::R5 => outage::run(lab).await,
            Self::R8 => reload::run(lab).await,
            Self::R15 => slow::run(lab).await,
            Self::R17 => abort::run(lab).await,
            Self::R18 => malformed::run(lab).await,
        }
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}
