//! The gateway's metrics: handles are kept, so that counting a call looks no label up.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use arc_swap::ArcSwap;
use metrics::{Counter, Gauge, Histogram, Key, Label, Recorder};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use moltbot_types::record::Level;
use moltbot_types::{CacheResult, CallRecord, ModelName, Outcome, TargetId, Workspace};

use crate::error::TelemetryError;
use crate::names::{self, BUCKETS, OVERHEAD_BUCKETS};

/// The label of what is not known, or may not become a label.
const NONE: &str = "-";

/// A workspace and the models that it sees, so that their series exist before the first call.
#[derive(Clone, Debug)]
pub struct Declared {
    /// The workspace.
    pub workspace: Workspace,
    /// Each model's name and its targets.
    pub models: Vec<(ModelName, Vec<TargetId>)>,
}

/// What came of a reload of the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reload {
    /// A new configuration is in force.
    Applied,
    /// Nothing had changed.
    Unchanged,
    /// The files are invalid; the last good configuration stays.
    Rejected,
}

impl Reload {
    /// Its word in the metric and in `status`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Unchanged => "unchanged",
            Self::Rejected => "rejected",
        }
    }
}

/// All metrics of one gateway, and their text for Prometheus.
///
/// No label grows without bound: models and targets are configured names, else `-`.
pub struct Metrics {
    recorder: Arc<PrometheusRecorder>,
    handle: PrometheusHandle,
    process: metrics_process::Collector,
    overhead: Histogram,
    inflight: Gauge,
    /// By level, then by whether the move led to an answer.
    failovers: [[Counter; 2]; 4],
    cached: [Counter; 4],
    reloads: [Counter; 3],
    lost_lines: Counter,
    panics: Counter,
    archive_failures: Counter,
    hears_panics: AtomicBool,
    /// Models of the configuration in force, and whether their credential works.
    credentials: ArcSwap<Vec<(ModelName, bool)>>,
    table: ArcSwap<Table>,
    /// Held while the table is replaced.
    changing: Mutex<()>,
}

/// Handles by name. A change replaces the whole, so that reading takes no lock.
#[derive(Clone, Default)]
struct Table {
    asked: HashMap<Workspace, HashMap<ModelName, Arc<Asked>>>,
    called: HashMap<ModelName, HashMap<TargetId, Arc<Called>>>,
}

/// What is counted of a model as callers of one workspace ask for it.
struct Asked {
    statuses: [OnceLock<Counter>; names::STATUSES.len()],
    duration: Histogram,
    first_token: Histogram,
    tokens_in: Counter,
    tokens_out: Counter,
    /// Billionths of a US dollar; the recorder's counters know whole numbers alone.
    cost_nano: AtomicU64,
}

/// What is counted of a target.
struct Called {
    outcomes: [Counter; OUTCOMES.len()],
    /// Whether the configuration in force has it.
    current: AtomicBool,
    up: AtomicBool,
}

const OUTCOMES: [Outcome; 6] = [
    Outcome::Ok,
    Outcome::Error,
    Outcome::RateLimited,
    Outcome::Timeout,
    Outcome::Cut,
    Outcome::Cancelled,
];
const LEVELS: [Level; 4] = [Level::Instance, Level::Node, Level::Region, Level::Model];
const RELOADS: [Reload; 3] = [Reload::Applied, Reload::Unchanged, Reload::Rejected];

impl Metrics {
    /// Metrics with a recorder of their own; nothing is installed in the process.
    ///
    /// # Errors
    /// The recorder refuses the histograms' buckets.
    pub fn new(version: &str) -> Result<Self, TelemetryError> {
        let recorder = PrometheusBuilder::new()
            .set_buckets(&BUCKETS)?
            .set_buckets_for_metric(
                metrics_exporter_prometheus::Matcher::Full(names::OVERHEAD.to_owned()),
                &OVERHEAD_BUCKETS,
            )?
            .build_recorder();
        let process = metrics_process::Collector::default();
        names::describe(&recorder);
        metrics::with_local_recorder(&recorder, || process.describe());
        gauge(&recorder, names::BUILD, &[("version", version)]).set(1.0);
        let failover = |level: Level, outcome| {
            let labels = [("level", level.word()), ("outcome", outcome)];
            counter(&recorder, names::FAILOVERS, &labels)
        };
        let metrics = Self {
            handle: recorder.handle(),
            process,
            overhead: histogram(&recorder, names::OVERHEAD, &[]),
            inflight: gauge(&recorder, names::INFLIGHT, &[]),
            failovers: LEVELS.map(|level| [failover(level, "failed"), failover(level, "ok")]),
            cached: CacheResult::ALL
                .map(|result| counter(&recorder, names::CACHED, &[("result", result.word())])),
            reloads: RELOADS
                .map(|reload| counter(&recorder, names::RELOADS, &[("result", reload.word())])),
            lost_lines: counter(&recorder, names::LOST_LINES, &[]),
            panics: counter(&recorder, names::PANICS, &[]),
            archive_failures: counter(&recorder, names::ARCHIVE_FAILURES, &[]),
            credentials: ArcSwap::default(),
            hears_panics: AtomicBool::new(false),
            table: ArcSwap::default(),
            changing: Mutex::new(()),
            recorder: Arc::new(recorder),
        };
        metrics.prepare(NONE, NONE, &names::REFUSALS);
        Ok(metrics)
    }

    /// Makes the series of a configuration exist, with 0 where nothing was counted yet. Targets that it
    /// does not have any more are left out of `moltbot_target_up`; counters stay, as counters must.
    pub fn declare(&self, declared: &[Declared]) {
        for called in self.table.load().called.values().flat_map(HashMap::values) {
            called.current.store(false, Ordering::Relaxed);
        }
        for Declared { workspace, models } in declared {
            let workspace = workspace.as_str();
            self.prepare(workspace, NONE, &names::REFUSALS);
            for (model, targets) in models {
                self.prepare(workspace, model.as_str(), &names::USUAL);
                for target in targets {
                    self.called(model, target)
                        .current
                        .store(true, Ordering::Relaxed);
                }
            }
        }
    }

    /// A target is up, or rests. One that was declared is up until something else is said.
    pub fn target_up(&self, model: &ModelName, target: &TargetId, up: bool) {
        self.called(model, target).up.store(up, Ordering::Relaxed);
    }

    /// Whether the credential of each model works; models that are not named any more are left out.
    pub fn credentials_up(&self, credentials: Vec<(ModelName, bool)>) {
        self.credentials.store(Arc::new(credentials));
    }

    /// A filter found something. All four are words of a small set.
    pub fn filtered(
        &self,
        filter: &'static str,
        direction: &'static str,
        what: &'static str,
        action: &'static str,
    ) {
        let labels = [
            ("filter", filter),
            ("direction", direction),
            ("kind", what),
            ("action", action),
        ];
        counter(&self.recorder, names::FILTERED, &labels).increment(1);
    }

    /// A day's log did not reach the object store.
    pub fn archive_failed(&self) {
        self.archive_failures.increment(1);
    }

    /// A skill ran; one that is named for the first time has all its series from then on.
    pub fn skill_ran(&self, skill: &str, outcome: &str) {
        self.skill(skill);
        counter(
            &self.recorder,
            names::SKILL_RUNS,
            &[("skill", skill), ("outcome", outcome)],
        )
        .increment(1);
    }

    /// Makes the series of a skill exist, with 0 where it never ran.
    pub fn skill(&self, skill: &str) {
        for outcome in names::SKILL_OUTCOMES {
            let labels = [("skill", skill), ("outcome", outcome)];
            counter(&self.recorder, names::SKILL_RUNS, &labels).increment(0);
        }
    }

    /// The configuration was loaded again.
    pub fn reloaded(&self, result: Reload) {
        self.reloads[result as usize].increment(1);
    }

    /// A call was over a limit of its workspace: `requests`, `tokens`, `cost`, `concurrency`.
    pub fn limited(&self, workspace: &Workspace, limit: &'static str, refused: bool) {
        let outcome = if refused { "refused" } else { "counted" };
        let labels = [
            ("workspace", workspace.as_str()),
            ("limit", limit),
            ("outcome", outcome),
        ];
        counter(&self.recorder, names::LIMITED, &labels).increment(1);
    }

    /// So many messages of a channel went that way with that outcome; 0 makes the series exist.
    pub fn channel_messages(&self, channel: &str, direction: &str, outcome: &str, count: u64) {
        let labels = [
            ("channel", channel),
            ("direction", direction),
            ("outcome", outcome),
        ];
        counter(&self.recorder, names::CHANNEL_MESSAGES, &labels).increment(count);
    }

    /// A panic was caught. Where the process's own panics are heard, it was counted already.
    pub fn panicked(&self) {
        if !self.hears_panics.load(Ordering::Relaxed) {
            self.panics.increment(1);
        }
    }

    /// Every panic of the process is heard from now on.
    pub(crate) fn hear_panics(&self) {
        self.hears_panics.store(true, Ordering::Relaxed);
    }

    /// A panic of the process was heard.
    pub(crate) fn heard_panic(&self) {
        self.panics.increment(1);
    }

    /// Moves collected samples into their histograms. To be called every few seconds, or they pile up.
    pub fn upkeep(&self) {
        self.handle.run_upkeep();
    }

    /// All metrics in Prometheus' text format; `lost_lines` is what [`crate::Log::dropped`] says.
    pub fn render(&self, lost_lines: u64) -> String {
        self.lost_lines.absolute(lost_lines);
        metrics::with_local_recorder(&self.recorder, || self.process.collect());
        let mut text = self.handle.render();
        self.render_targets(&mut text);
        self.render_credentials(&mut text);
        self.render_costs(&mut text);
        text
    }

    /// Written here, for the recorder can't forget the series of a target that is gone.
    fn render_targets(&self, text: &mut String) {
        let about = "Whether a target takes calls (1) or rests (0).";
        names::head(text, names::TARGET_UP, "gauge", about);
        for (model, targets) in &self.table.load().called {
            for (target, called) in targets {
                if called.current.load(Ordering::Relaxed) {
                    let up = u64::from(called.up.load(Ordering::Relaxed));
                    let labels = [("model", model.as_str()), ("target", target.as_str())];
                    names::sample(text, names::TARGET_UP, &labels, up);
                }
            }
        }
        text.push('\n');
    }

    fn render_credentials(&self, text: &mut String) {
        let about = "Whether the credential of a model works (1) or is dead or missing (0).";
        names::head(text, names::CREDENTIAL_UP, "gauge", about);
        for (model, up) in self.credentials.load().iter() {
            let labels = [("model", model.as_str())];
            names::sample(text, names::CREDENTIAL_UP, &labels, u64::from(*up));
        }
        text.push('\n');
    }

    fn render_costs(&self, text: &mut String) {
        let about = "What calls cost in US dollars, by the model that was asked for.";
        names::head(text, names::COST, "counter", about);
        for (workspace, models) in &self.table.load().asked {
            for (model, asked) in models.iter().filter(|(model, _)| model.as_str() != NONE) {
                let cost = asked.cost_nano.load(Ordering::Relaxed) as f64 / 1e9;
                let labels = [("workspace", workspace.as_str()), ("model", model.as_str())];
                names::sample(text, names::COST, &labels, cost);
            }
        }
        text.push('\n');
    }

    /// The recorder, for a process that installs it.
    pub(crate) fn recorder(&self) -> Arc<PrometheusRecorder> {
        Arc::clone(&self.recorder)
    }

    pub(crate) fn begin(&self) {
        self.inflight.increment(1.0);
    }

    pub(crate) fn end(&self, call: &CallRecord<'_>) {
        self.inflight.decrement(1.0);
        let workspace = call.caller.map_or(NONE, |caller| caller.workspace.as_str());
        let model = match call.model {
            Some(model) if call.known => model.as_str(),
            _ => NONE,
        };
        let asked = self.asked(workspace, model);
        asked.count(&self.recorder, (workspace, model), call.status, 1);
        asked.duration.record(call.latency.as_secs_f64());
        if let Some(first) = call.first_token {
            asked.first_token.record(first.as_secs_f64());
        }
        if let Some(overhead) = call.overhead {
            self.overhead.record(overhead.as_secs_f64());
        }
        if let Some(usage) = call.usage {
            asked.tokens_in.increment(usage.input);
            asked.tokens_out.increment(usage.output);
            asked.cost_nano.fetch_add(call.cost_nano, Ordering::Relaxed);
        }
        self.cached[call.tried.cache as usize].increment(1);
        for attempt in &call.tried.attempts {
            let called = self.called(&attempt.model, &attempt.target);
            called.outcomes[attempt.outcome as usize].increment(1);
            if let Some(level) = attempt.level {
                let ok = usize::from(attempt.outcome == Outcome::Ok);
                self.failovers[level as usize][ok].increment(1);
            }
        }
    }

    /// Makes the series of some statuses exist.
    fn prepare(&self, workspace: &str, model: &str, statuses: &[u16]) {
        let asked = self.asked(workspace, model);
        for status in statuses {
            asked.count(&self.recorder, (workspace, model), *status, 0);
        }
    }

    fn asked(&self, workspace: &str, model: &str) -> Arc<Asked> {
        let find = |table: &Table| table.asked.get(workspace)?.get(model).cloned();
        self.find(find, |table| {
            let asked = Arc::new(Asked::new(&self.recorder, workspace, model));
            table
                .asked
                .entry(workspace.into())
                .or_default()
                .insert(model.into(), Arc::clone(&asked));
            asked
        })
    }

    fn called(&self, model: &ModelName, target: &TargetId) -> Arc<Called> {
        let find = |table: &Table| table.called.get(model)?.get(target).cloned();
        self.find(find, |table| {
            let called = Arc::new(Called::new(&self.recorder, model, target));
            table
                .called
                .entry(model.clone())
                .or_default()
                .insert(target.clone(), Arc::clone(&called));
            called
        })
    }

    fn find<T>(&self, find: impl Fn(&Table) -> Option<T>, add: impl FnOnce(&mut Table) -> T) -> T {
        if let Some(found) = find(&self.table.load()) {
            return found;
        }
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut table = Table::clone(&self.table.load());
        if let Some(found) = find(&table) {
            return found;
        }
        let added = add(&mut table);
        self.table.store(Arc::new(table));
        added
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Asked {
    fn new(recorder: &PrometheusRecorder, workspace: &str, model: &str) -> Self {
        let both = [("workspace", workspace), ("model", model)];
        let tokens = |direction| {
            let labels = [both[0], both[1], ("direction", direction)];
            counter(recorder, names::TOKENS, &labels)
        };
        Self {
            statuses: [const { OnceLock::new() }; names::STATUSES.len()],
            duration: histogram(recorder, names::DURATION, &both),
            first_token: histogram(recorder, names::FIRST_TOKEN, &both[1..]),
            tokens_in: tokens("in"),
            tokens_out: tokens("out"),
            cost_nano: AtomicU64::new(0),
        }
    }

    /// Counts requests of one status. Its counter is made when it is first seen; those of unusual
    /// statuses are looked up each time.
    fn count(
        &self,
        recorder: &PrometheusRecorder,
        (workspace, model): (&str, &str),
        status: u16,
        requests: u64,
    ) {
        let make = || {
            let status = status.to_string();
            let labels = [
                ("workspace", workspace),
                ("model", model),
                ("status", &status),
            ];
            counter(recorder, names::REQUESTS, &labels)
        };
        match names::STATUSES.iter().position(|known| *known == status) {
            Some(index) => self.statuses[index].get_or_init(make).increment(requests),
            None => make().increment(requests),
        }
    }
}

impl Called {
    fn new(recorder: &PrometheusRecorder, model: &ModelName, target: &TargetId) -> Self {
        Self {
            outcomes: OUTCOMES.map(|outcome| {
                let labels = [
                    ("model", model.as_str()),
                    ("target", target.as_str()),
                    ("outcome", outcome.word()),
                ];
                counter(recorder, names::MODEL_CALLS, &labels)
            }),
            current: AtomicBool::new(false),
            up: AtomicBool::new(true),
        }
    }
}

fn key(name: &'static str, labels: &[(&'static str, &str)]) -> Key {
    let labels = labels
        .iter()
        .map(|(name, value)| Label::new(*name, (*value).to_owned()));
    Key::from_parts(name, labels.collect::<Vec<_>>())
}

const ABOUT: metrics::Metadata<'static> =
    metrics::Metadata::new(module_path!(), metrics::Level::INFO, None);

fn counter(
    to: &PrometheusRecorder,
    name: &'static str,
    labels: &[(&'static str, &str)],
) -> Counter {
    to.register_counter(&key(name, labels), &ABOUT)
}

fn gauge(to: &PrometheusRecorder, name: &'static str, labels: &[(&'static str, &str)]) -> Gauge {
    to.register_gauge(&key(name, labels), &ABOUT)
}

fn histogram(
    to: &PrometheusRecorder,
    name: &'static str,
    labels: &[(&'static str, &str)],
) -> Histogram {
    to.register_histogram(&key(name, labels), &ABOUT)
}
