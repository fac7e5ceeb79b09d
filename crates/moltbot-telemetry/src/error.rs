//! What can go wrong when logs are set up or read.

use std::io;
use std::path::PathBuf;

/// Why logs can't be written, installed or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TelemetryError {
    /// A log file or its folder can't be made or opened.
    #[error("{path}: the log can't be written: {source}; check the folder's owner and free space", path = path.display())]
    Open {
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A log file or its folder can't be read.
    #[error("{path}: the log can't be read: {source}", path = path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The writer's thread can't be started.
    #[error("the log's writer can't be started: {0}")]
    Thread(io::Error),
    /// No such level.
    #[error("\"{0}\" is no level; take trace, debug, info, warn or error")]
    Level(String),
    /// No point in time.
    #[error(
        "\"{0}\" is no time; take a duration such as 30m, 1h or 7d, or a time such as 2026-01-31T12:00:00Z"
    )]
    Since(String),
    /// Histogram buckets that the recorder refuses.
    #[error("the metrics can't be set up: {0}")]
    Metrics(#[from] metrics_exporter_prometheus::BuildError),
    /// The archive can't be written or read.
    #[error("archive: {0}")]
    Archive(String),
    /// Someone else has installed a tracing subscriber or a metrics recorder in this process.
    #[error("this process already has a {0}; use `Telemetry::new`, which installs nothing")]
    Installed(&'static str),
}
