//! Names, descriptions and buckets of the metrics.

use std::fmt::Write;

use metrics::{Recorder, SharedString};

pub(crate) const REQUESTS: &str = "moltbot_requests_total";
pub(crate) const DURATION: &str = "moltbot_request_duration_seconds";
pub(crate) const FIRST_TOKEN: &str = "moltbot_first_token_seconds";
pub(crate) const OVERHEAD: &str = "moltbot_overhead_seconds";
pub(crate) const MODEL_CALLS: &str = "moltbot_model_calls_total";
pub(crate) const FAILOVERS: &str = "moltbot_failovers_total";
pub(crate) const TARGET_UP: &str = "moltbot_target_up";
pub(crate) const TOKENS: &str = "moltbot_tokens_total";
pub(crate) const COST: &str = "moltbot_cost_usd_total";
pub(crate) const RELOADS: &str = "moltbot_config_reload_total";
pub(crate) const INFLIGHT: &str = "moltbot_inflight_requests";
pub(crate) const BUILD: &str = "moltbot_build_info";
pub(crate) const LOST_LINES: &str = "moltbot_log_lines_dropped_total";
pub(crate) const CREDENTIAL_UP: &str = "moltbot_credential_up";
pub(crate) const ARCHIVE_FAILURES: &str = "moltbot_archive_failures_total";
pub(crate) const LIMITED: &str = "moltbot_limited_total";
pub(crate) const FILTERED: &str = "moltbot_filter_hits_total";
pub(crate) const CHANNEL_MESSAGES: &str = "moltbot_channel_messages_total";
pub(crate) const SKILL_RUNS: &str = "moltbot_skill_runs_total";
pub(crate) const SKILL_OUTCOMES: [&str; 5] = ["ok", "pass", "error", "limit", "denied"];
pub(crate) const CACHED: &str = "moltbot_cache_requests_total";
pub(crate) const PANICS: &str = "moltbot_panics_total";

/// Statuses whose counters are kept; others are looked up by their labels.
pub(crate) const STATUSES: [u16; 18] = [
    200, 400, 401, 403, 404, 405, 408, 409, 413, 415, 422, 429, 431, 499, 500, 502, 503, 504,
];
/// Statuses of a configured model whose series exist before the first call.
pub(crate) const USUAL: [u16; 7] = [200, 400, 429, 500, 502, 503, 504];
/// Statuses of requests that name no known model.
pub(crate) const REFUSALS: [u16; 3] = [400, 401, 404];

/// Seconds; a model answers in some milliseconds to some minutes.
pub(crate) const BUCKETS: [f64; 15] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0,
];
/// Seconds; the gateway's own part is measured in microseconds.
pub(crate) const OVERHEAD_BUCKETS: [f64; 13] = [
    0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1,
    1.0,
];

enum Form {
    Counter,
    Gauge,
    Histogram,
}

const ABOUT: [(&str, Form, &str); 18] = [
    (
        REQUESTS,
        Form::Counter,
        "Requests by the model that was asked for and the status that the caller saw.",
    ),
    (
        DURATION,
        Form::Histogram,
        "Time from a request's arrival to its last byte.",
    ),
    (
        FIRST_TOKEN,
        Form::Histogram,
        "Time from a streamed request's arrival to its first content.",
    ),
    (
        OVERHEAD,
        Form::Histogram,
        "Part of a request's time that was spent in the gateway itself.",
    ),
    (
        MODEL_CALLS,
        Form::Counter,
        "Attempts by the model and target that were called.",
    ),
    (
        FAILOVERS,
        Form::Counter,
        "Moves to another target or model, and whether they led to an answer.",
    ),
    (TOKENS, Form::Counter, "Tokens read (in) and written (out)."),
    (RELOADS, Form::Counter, "Reloads of the configuration."),
    (INFLIGHT, Form::Gauge, "Requests under way."),
    (BUILD, Form::Gauge, "Always 1; the label tells the version."),
    (
        LOST_LINES,
        Form::Counter,
        "Log lines lost because the buffer or the disk was full.",
    ),
    (
        LIMITED,
        Form::Counter,
        "Calls over a limit of their workspace: refused, or only counted.",
    ),
    (
        FILTERED,
        Form::Counter,
        "What filters found in calls (inbound) and answers (outbound), and what was done about it.",
    ),
    (
        CHANNEL_MESSAGES,
        Form::Counter,
        "Messages of channels by their way and what became of them.",
    ),
    (
        CACHED,
        Form::Counter,
        "Requests by what remembered answers had to do with them.",
    ),
    (PANICS, Form::Counter, "Panics that were caught."),
    (
        SKILL_RUNS,
        Form::Counter,
        "Runs of skills, by how they ended.",
    ),
    (
        ARCHIVE_FAILURES,
        Form::Counter,
        "Tries to archive a day's log that failed.",
    ),
];

/// Tells `recorder` what each metric means.
pub(crate) fn describe(recorder: &impl Recorder) {
    for (name, form, about) in ABOUT {
        let about = SharedString::const_str(about);
        match form {
            Form::Counter => recorder.describe_counter(name.into(), None, about),
            Form::Gauge => recorder.describe_gauge(name.into(), None, about),
            Form::Histogram => recorder.describe_histogram(name.into(), None, about),
        }
    }
}

/// Writes the head of a metric that no recorder holds; `form` is `gauge` or `counter`.
pub(crate) fn head(text: &mut String, name: &str, form: &str, about: &str) {
    let _ = writeln!(text, "# HELP {name} {about}\n# TYPE {name} {form}");
}

/// Writes one sample of a metric that no recorder holds.
pub(crate) fn sample(
    text: &mut String,
    name: &str,
    labels: &[(&str, &str)],
    value: impl std::fmt::Display,
) {
    text.push_str(name);
    for (index, (label, of)) in labels.iter().enumerate() {
        let of = of
            .replace('\\', "\\\\")
            .replace('"', "\\\"")
            .replace('\n', "\\n");
        let before = if index == 0 { '{' } else { ',' };
        let _ = write!(text, "{before}{label}=\"{of}\"");
    }
    let _ = writeln!(text, "}} {value}");
}
