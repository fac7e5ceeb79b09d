#![doc = include_str!("../README.md")]

pub mod archive;
mod error;
mod events;
mod install;
mod level;
mod line;
mod log;
mod logfile;
mod metrics;
pub mod monitor;
mod names;
mod query;
mod record;
mod redact;
mod since;
mod stamp;
mod tail;

pub use error::TelemetryError;
pub use install::{LevelHandle, Telemetry, TelemetrySettings};
pub use level::Level;
pub use line::Line;
pub use log::Log;
pub use logfile::{LogSettings, LogWriter};
pub use metrics::{Declared, Metrics, Reload};
pub use query::{Entry, Lines, Query};
pub use record::Calls;
pub use redact::redact;
pub use since::since;
