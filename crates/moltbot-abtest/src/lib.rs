#![doc = include_str!("../README.md")]

pub mod assign;
mod books;
pub mod experiment;
pub mod exposure;
mod history;
pub mod layer;
pub mod metric;
pub mod registry;
pub mod report;
pub mod settings;
pub mod stats;
pub mod verdict;

pub use assign::UnitId;
pub use experiment::{By, Error, Experiment, Pick, State};
pub use exposure::{Exposure, Exposures, Memory, Outcome, Row};
pub use layer::{Comparing, House, comparing};
pub use metric::Metric;
pub use registry::Tests;
pub use report::Report;
pub use settings::{Guard, Settings, UnitKind};
pub use verdict::Verdict;
