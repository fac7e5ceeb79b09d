//! Events of `tracing` as lines of the log.

use std::fmt::{self, Write as _};
use std::io::Write as _;

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

use crate::install::filter;
use crate::level::Level;
use crate::line::Line;
use crate::log::Log;
use crate::redact::redact;

/// Crates whose events are written from the log's level on; others only from `warn` on.
const OURS: &str = "moltbot";

/// The layer that writes events, with the fields of the spans around them.
pub(crate) struct Events {
    log: Log,
    stderr: bool,
}

impl Events {
    pub(crate) fn new(log: Log, stderr: bool) -> Self {
        Self { log, stderr }
    }

    fn wants(&self, metadata: &Metadata<'_>) -> bool {
        let least = match metadata.target().starts_with(OURS) {
            true => self.log.level(),
            false => self.log.level().max(Level::Warn),
        };
        *metadata.level() <= filter(least)
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Events {
    /// Asked once a callsite, and again when the level changes.
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        match metadata.is_span() || self.wants(metadata) {
            true => Interest::always(),
            false => Interest::never(),
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        metadata.is_span() || self.wants(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(filter(self.log.level()))
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if let Some(span) = context.span(id) {
            let mut fields = Fields::default();
            attributes.record(&mut fields);
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(around) = span.extensions().get::<Fields>() {
                fields.inherit(around);
            }
        }
        let level = level_of(*event.metadata().level());
        let msg = redact(&fields.message);
        self.log.line(level, &msg, |line| {
            fields.write(line);
            line.text("module", event.metadata().target());
        });
        if self.stderr && level >= Level::Warn {
            // Nobody is left to hear that standard error is gone.
            let _ = writeln!(std::io::stderr(), "{level}: {}{fields}", printable(&msg));
        }
    }
}

fn level_of(level: tracing::Level) -> Level {
    match level {
        tracing::Level::TRACE => Level::Trace,
        tracing::Level::DEBUG => Level::Debug,
        tracing::Level::INFO => Level::Info,
        tracing::Level::WARN => Level::Warn,
        tracing::Level::ERROR => Level::Error,
    }
}

/// The fields of an event or a span. Invariant: no name stands twice, and none that each line has.
#[derive(Default)]
struct Fields {
    message: String,
    others: Vec<(&'static str, Value)>,
}

#[derive(Clone)]
enum Value {
    Text(String),
    Number(u64),
    Signed(i64),
    Float(f64),
    Flag(bool),
}

impl Fields {
    fn set(&mut self, name: &'static str, value: Value) {
        let name = match name {
            "message" => {
                self.message = value.to_string();
                return;
            }
            "ts" => "ts_",
            "level" => "level_",
            "msg" => "msg_",
            "module" => "module_",
            name => name.strip_prefix("r#").unwrap_or(name),
        };
        match self.others.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = value,
            None => self.others.push((name, value)),
        }
    }

    /// Takes what a span around adds; what is nearer stays.
    fn inherit(&mut self, around: &Self) {
        for (name, value) in &around.others {
            if self.others.iter().all(|(known, _)| known != name) {
                self.others.push((name, value.clone()));
            }
        }
    }

    fn write(&self, line: &mut Line<'_>) {
        for (name, value) in &self.others {
            match value {
                Value::Text(text) => line.text(name, text),
                Value::Number(number) => line.number(name, *number),
                Value::Signed(number) => line.signed(name, *number),
                Value::Float(number) => line.float(name, *number),
                Value::Flag(flag) => line.flag(name, *flag),
            };
        }
    }
}

/// For people: ` (name=value, …)`.
impl fmt::Display for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (name, value)) in self.others.iter().enumerate() {
            let before = if index == 0 { " (" } else { ", " };
            write!(f, "{before}{name}={}", printable(&value.to_string()))?;
        }
        if !self.others.is_empty() {
            f.write_char(')')?;
        }
        Ok(())
    }
}

/// Text that can't steer a terminal.
fn printable(text: &str) -> String {
    text.chars()
        .flat_map(|char| match char.is_control() {
            true => char.escape_default().collect::<Vec<_>>(),
            false => vec![char],
        })
        .collect()
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Number(number) => number.fmt(f),
            Self::Signed(number) => number.fmt(f),
            Self::Float(number) => number.fmt(f),
            Self::Flag(flag) => flag.fmt(f),
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        self.set(field.name(), Value::Text(redact(&text).into_owned()));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field.name(), Value::Text(redact(value).into_owned()));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        let mut text = value.to_string();
        let mut cause = value.source();
        while let Some(next) = cause {
            let _ = write!(text, ": {next}");
            cause = next.source();
        }
        self.set(field.name(), Value::Text(redact(&text).into_owned()));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field.name(), Value::Number(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field.name(), Value::Signed(value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.set(field.name(), Value::Float(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field.name(), Value::Flag(value));
    }
}

#[cfg(test)]
mod tests;
