#![doc = include_str!("../README.md")]

mod error;
mod events;
mod install;
mod level;
mod line;
mod log;
mod logfile;
mod metrics;
mod names;
mod record;
mod redact;
mod stamp;

pub use error::TelemetryError;
pub use install::{LevelHandle, Telemetry, TelemetrySettings};
pub use level::Level;
pub use line::Line;
pub use log::Log;
pub use logfile::{LogSettings, LogWriter};
pub use metrics::{Declared, Metrics, Reload};
pub use record::Calls;
pub use redact::redact;
