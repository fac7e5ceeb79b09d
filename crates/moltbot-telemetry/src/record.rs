//! One call as its log line and its metrics.

use std::sync::Arc;
use std::time::Duration;

use moltbot_types::{CallRecord, Outcome};

use crate::level::Level;
use crate::line::Line;
use crate::log::Log;
use crate::metrics::Metrics;
use crate::redact::redact;

/// Longest name that a caller gave which is written, in bytes.
const LONGEST_NAME: usize = 256;

/// Where every call is told of: once when it begins, once when it ended.
#[derive(Clone, Debug)]
pub struct Calls {
    log: Log,
    metrics: Arc<Metrics>,
}

impl Calls {
    /// Calls go to that log and those metrics.
    pub fn new(log: Log, metrics: Arc<Metrics>) -> Self {
        Self { log, metrics }
    }

    /// The log.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// The metrics.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// All metrics in Prometheus' text format.
    pub fn render(&self) -> String {
        self.metrics.render(self.log.dropped())
    }

    /// A call began: it is under way until it is recorded.
    pub fn begin(&self) {
        self.metrics.begin();
    }

    /// A call ended: writes its line and counts it. Each [`Calls::begin`] is followed by exactly one.
    pub fn record(&self, call: &CallRecord<'_>) {
        self.metrics.end(call);
        let (level, msg) = judge(call);
        self.log.line(level, msg, |line| write(line, call));
    }
}

/// A caller that leaves is no error: nobody was refused anything.
fn judge(call: &CallRecord<'_>) -> (Level, &'static str) {
    let failed_before = call
        .tried
        .attempts
        .iter()
        .any(|attempt| attempt.outcome != Outcome::Ok);
    match &call.error {
        Some(("cancelled", _)) => (Level::Info, "the caller left"),
        Some(_) => (Level::Error, "the call failed"),
        None if failed_before => (Level::Warn, "the call was answered after a failure"),
        None => (Level::Info, "the call was answered"),
    }
}

fn write(line: &mut Line<'_>, call: &CallRecord<'_>) {
    line.text("request_id", call.id.encode(&mut [0; 36]));
    if let Some(caller) = call.caller {
        line.text("workspace", caller.workspace.as_str());
    }
    if let Some(model) = call.model {
        let model = model.as_str();
        line.text("model", &model[..model.floor_char_boundary(LONGEST_NAME)]);
    }
    if let Some(served) = &call.tried.served {
        line.text("served", served.model.as_str());
        line.text("target", served.target.as_str());
    }
    if let Some(experiment) = call.experiment {
        line.text("experiment", experiment);
    }
    if let Some(skill) = call.skill {
        line.text("skill", skill);
    }
    line.number("status", call.status.into());
    line.number("latency_ms", millis(call.latency));
    if let Some(first) = call.first_token {
        line.number("first_token_ms", millis(first));
    }
    line.number("attempts", call.tried.attempts.len() as u64);
    if let Some(usage) = call.usage {
        line.number("tokens_in", usage.input);
        line.number("tokens_out", usage.output);
        if usage.estimated {
            line.flag("estimated", true);
        }
    }
    if call.cost_nano > 0 {
        line.float("cost_usd", call.cost_nano as f64 / 1e9);
    }
    line.text("cache", call.tried.cache.word());
    if !call.tried.filters.is_empty() {
        line.text("filters", &call.tried.filters.join(","));
    }
    if let Some((word, words)) = &call.error {
        line.text("error", &redact(words));
        line.text("code", word);
    }
    let attempts = &call.tried.attempts;
    if attempts.len() > 1 || call.error.is_some() && !attempts.is_empty() {
        line.list("tried", attempts, |item, attempt| {
            item.text("model", attempt.model.as_str())
                .text("target", attempt.target.as_str())
                .text("outcome", attempt.outcome.word());
            if let Some(reason) = attempt.reason {
                item.text("reason", reason);
            }
            if let Some(level) = attempt.level {
                item.text("move", level.word());
            }
            // It was left at work: nobody knows whether it went on and asks for its price.
            if attempt.outcome == Outcome::Timeout {
                item.flag("maybe_billed", true);
            }
            item.number("ms", millis(attempt.took));
        });
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
