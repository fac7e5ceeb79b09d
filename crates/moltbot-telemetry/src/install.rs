//! Sets everything up: the log's file, the metrics, and the process-wide hooks that feed them.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic;
use std::sync::Arc;
use std::thread;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;

use crate::error::TelemetryError;
use crate::events::Events;
use crate::level::Level;
use crate::log::Log;
use crate::logfile::{LogSettings, LogWriter};
use crate::metrics::Metrics;
use crate::record::Calls;
use crate::redact::redact;

/// How telemetry is set up.
#[derive(Clone, Debug)]
pub struct TelemetrySettings {
    /// The log.
    pub log: LogSettings,
    /// Whether warnings and errors also go to standard error, for people.
    pub stderr: bool,
    /// The version that `moltbot_build_info` tells.
    pub version: String,
}

impl Default for TelemetrySettings {
    fn default() -> Self {
        Self {
            log: LogSettings::default(),
            stderr: false,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}

/// The log, the metrics and the thread that writes.
///
/// It is kept until after the drain: dropping it writes the last lines and ends the log.
#[derive(Debug)]
pub struct Telemetry {
    calls: Arc<Calls>,
    _writer: LogWriter,
}

impl Telemetry {
    /// Sets up log and metrics and installs nothing in the process: for tests and embedding.
    ///
    /// # Errors
    /// The log's file can't be written, or its thread not started.
    pub fn new(settings: &TelemetrySettings) -> Result<Self, TelemetryError> {
        let metrics = Arc::new(Metrics::new(&settings.version)?);
        let (log, writer) = LogWriter::start(settings.log.clone())?;
        Ok(Self {
            calls: Arc::new(Calls::new(log, metrics)),
            _writer: writer,
        })
    }

    /// Sets up log and metrics, and makes them the process's own: events of `tracing` become lines,
    /// `metrics` macros reach the recorder, a panic is logged and counted.
    ///
    /// # Errors
    /// As [`Telemetry::new`], or something else is installed already.
    pub fn install(settings: &TelemetrySettings) -> Result<Self, TelemetryError> {
        let telemetry = Self::new(settings)?;
        let events = Events::new(telemetry.log().clone(), settings.stderr);
        tracing::subscriber::set_global_default(tracing_subscriber::registry().with(events))
            .map_err(|_| TelemetryError::Installed("tracing subscriber"))?;
        metrics::set_global_recorder(telemetry.metrics().recorder())
            .map_err(|_| TelemetryError::Installed("metrics recorder"))?;
        hear_panics(&telemetry.calls, settings.stderr);
        Ok(telemetry)
    }

    /// Where calls are told of.
    pub fn calls(&self) -> &Arc<Calls> {
        &self.calls
    }

    /// The log.
    pub fn log(&self) -> &Log {
        self.calls.log()
    }

    /// The metrics.
    pub fn metrics(&self) -> &Arc<Metrics> {
        self.calls.metrics()
    }

    /// Sets the level at run time.
    pub fn level(&self) -> LevelHandle {
        LevelHandle(self.log().clone())
    }
}

/// Sets the level at run time.
#[derive(Clone, Debug)]
pub struct LevelHandle(pub(crate) Log);

impl LevelHandle {
    /// The least level that is written.
    pub fn get(&self) -> Level {
        self.0.level()
    }

    /// Sets the least level that is written, from the next line on.
    pub fn set(&self, level: Level) {
        self.0.set_level(level);
        // Callsites remember whether anyone listens.
        tracing::callsite::rebuild_interest_cache();
    }
}

/// The filter that lets lines of `level` and worse through.
pub(crate) fn filter(level: Level) -> LevelFilter {
    match level {
        Level::Trace => LevelFilter::TRACE,
        Level::Debug => LevelFilter::DEBUG,
        Level::Info => LevelFilter::INFO,
        Level::Warn => LevelFilter::WARN,
        Level::Error => LevelFilter::ERROR,
    }
}

/// A caught panic must not vanish: it becomes a line and a count. Without `stderr` nothing is printed.
fn hear_panics(calls: &Arc<Calls>, stderr: bool) {
    let calls = Arc::clone(calls);
    calls.metrics().hear_panics();
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        calls.metrics().heard_panic();
        let words = info.payload_as_str().unwrap_or("no words");
        calls.log().line(Level::Error, "a task panicked", |line| {
            line.text("error", &redact(words));
            if let Some(place) = info.location() {
                line.text("at", &place.to_string());
            }
            if let Some(name) = thread::current().name() {
                line.text("thread", name);
            }
            let trace = Backtrace::capture();
            if trace.status() == BacktraceStatus::Captured {
                line.text("backtrace", &trace.to_string());
            }
        });
        if stderr {
            before(info);
        }
    }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::Query;

    #[test]
    fn once_installed_events_panics_and_metric_macros_are_heard() {
        let dir = tempfile::tempdir().unwrap();
        let settings = TelemetrySettings {
            log: LogSettings {
                dir: dir.path().to_owned(),
                ..LogSettings::default()
            },
            ..TelemetrySettings::default()
        };
        let telemetry = Telemetry::install(&settings).unwrap();
        tracing::info!(target: "moltbot", port = 18_789, "listening");
        let task = thread::Builder::new().name("task".to_owned());
        let task = task.spawn(|| panic!("boom with sk-abcdef123456")).unwrap();
        assert!(task.join().is_err());
        // whoever catches a panic tells of it, too
        telemetry.metrics().panicked();
        metrics::counter!("someone_elses_total").increment(3);

        let text = telemetry.calls().render();
        assert!(text.contains("moltbot_panics_total 1\n"));
        assert!(text.contains("someone_elses_total 3\n"));
        let again = Telemetry::install(&settings).unwrap_err().to_string();
        assert!(
            again.contains("already has a tracing subscriber"),
            "{again}"
        );
        drop(telemetry);

        let lines = Query::default().read(dir.path()).unwrap();
        let lines: Vec<_> = lines.map(|line| line.unwrap().fields()).collect();
        assert_eq!(lines[0]["msg"], "listening");
        assert_eq!(lines[0]["port"], 18_789);
        assert_eq!(lines[1]["level"], "error");
        assert_eq!(lines[1]["error"], "boom with sk-[redacted]");
        assert_eq!(lines[1]["thread"], "task");
        assert!(lines[1]["at"].as_str().unwrap().contains("install.rs:"));
    }
}
