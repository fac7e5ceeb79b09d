//! The counts of one test: kept up to date row by row, so that a report is a look and not a computation.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use moltbot_types::RequestId;

use crate::assign::{Split, UnitId};
use crate::experiment::State;
use crate::exposure::{Exposure, Outcome, Row};
use crate::metric::{self, Metric};
use crate::settings::Settings;
use crate::stats::cluster::{Cluster, Unit};
use crate::stats::histogram::Histogram;
use crate::stats::{p_value, ratio};

/// What is told of one arm's calls.
#[derive(Clone, Debug, Default)]
pub(crate) struct Totals {
    pub(crate) units: u64,
    pub(crate) calls: u64,
    pub(crate) successes: u64,
    pub(crate) latency: Histogram,
    pub(crate) first_token: Histogram,
    pub(crate) tokens_in: u64,
    pub(crate) tokens_out: u64,
    pub(crate) cost: f64,
    /// Feedback by metric.
    pub(crate) scores: BTreeMap<String, Unit>,
}

/// A stretch of a test with one set of weights.
#[derive(Clone, Debug)]
struct Epoch {
    split: Split,
    /// Units of each arm.
    units: Vec<f64>,
    /// One for each arm and metric.
    clusters: Vec<Cluster>,
}

/// The counts of one test.
///
/// Invariant: applying a row twice is applying it once.
#[derive(Clone, Debug)]
pub(crate) struct Books {
    /// The metrics that are compared: the test's own, then those of its guards.
    pub(crate) metrics: Vec<Arc<dyn Metric>>,
    pub(crate) state: State,
    pub(crate) winner: Option<u16>,
    pub(crate) arms: Vec<Totals>,
    /// Which guards had stopped the test when it was stopped: (guard, arm).
    pub(crate) tripped: Vec<(usize, usize)>,
    sample_size: u64,
    units: HashMap<UnitId, u32>,
    exposures: Vec<Exposure>,
    /// What each unit showed, one for each metric.
    shown: Vec<Unit>,
    calls: HashMap<RequestId, u32>,
    scores: HashMap<(RequestId, String), f64>,
    epochs: Vec<Epoch>,
    /// Evidence against the shares of epochs that are over, and the most there ever was of all.
    shares_before: f64,
    shares_most: f64,
}

impl Books {
    pub(crate) fn new(settings: &Settings) -> Self {
        let names = std::iter::once(&settings.metric);
        let names = names.chain(settings.guards.iter().map(|guard| &guard.metric));
        let mut metrics: Vec<Arc<dyn Metric>> = Vec::new();
        for name in names {
            if !metrics.iter().any(|metric| metric.name() == name) {
                metrics.push(metric::named(name));
            }
        }
        let mut books = Self {
            metrics,
            state: State::Running,
            winner: None,
            arms: vec![Totals::default(); settings.models.len()],
            tripped: Vec::new(),
            sample_size: settings.sample_size,
            units: HashMap::new(),
            exposures: Vec::new(),
            shown: Vec::new(),
            calls: HashMap::new(),
            scores: HashMap::new(),
            epochs: Vec::new(),
            shares_before: 0.0,
            shares_most: 0.0,
        };
        books.begin(&settings.shares());
        books
    }

    /// Puts a row in. False: it was there already, or has no place here.
    pub(crate) fn apply(&mut self, row: &Row) -> bool {
        match row {
            Row::Exposure(exposure) => self.expose(*exposure),
            Row::Outcome(outcome) => self.outcome(outcome),
            Row::Feedback {
                request,
                metric,
                value,
            } => self.feedback(*request, metric, *value),
            Row::Weights { epoch, weights } => {
                let next = usize::from(*epoch) == self.epochs.len();
                let fits = next && weights.len() == self.arms.len();
                if fits {
                    self.begin(weights);
                }
                fits
            }
            Row::State { state, winner } => {
                self.state = *state;
                self.winner = winner.or(self.winner);
                true
            }
        }
    }

    /// The epoch that other weights would begin.
    pub(crate) fn next_epoch(&self) -> u16 {
        self.epochs.len() as u16
    }

    /// Units over all arms.
    pub(crate) fn count(&self) -> u64 {
        self.exposures.len() as u64
    }

    /// The arm that a unit keeps, if it has one.
    pub(crate) fn arm(&self, unit: UnitId) -> Option<u16> {
        let index = self.units.get(&unit)?;
        let exposure = self.exposures.get(*index as usize)?;
        Some(exposure.arm)
    }

    /// The exposure of a unit that is new now.
    pub(crate) fn assign(&self, unit: UnitId) -> Exposure {
        let epoch = self.epochs.len().saturating_sub(1);
        let split = self.epochs.last().map(|epoch| &epoch.split);
        Exposure {
            unit,
            arm: split.map_or(0, |split| split.arm(unit) as u16),
            epoch: epoch as u16,
        }
    }

    /// Whether a request is one of this test's calls.
    pub(crate) fn knows(&self, request: RequestId) -> bool {
        self.calls.contains_key(&request)
    }

    /// What is seen of an arm beside the baseline, epoch by epoch.
    pub(crate) fn strata(&self, metric: usize, arm: usize) -> Vec<(Cluster, Cluster)> {
        let at = |epoch: &Epoch, arm: usize| epoch.clusters[arm * self.metrics.len() + metric];
        let epochs = self.epochs.iter();
        epochs.map(|epoch| (at(epoch, 0), at(epoch, arm))).collect()
    }

    /// The p-value of "units fell by their weights", the least there ever was, and whether the alarm sounds.
    pub(crate) fn shares(&self) -> (f64, bool) {
        (p_value(self.shares_most), self.shares_most >= ratio::ALARM)
    }

    fn begin(&mut self, weights: &[f64]) {
        if let Some(last) = self.epochs.last() {
            self.shares_before += ratio::ln_e(&last.units, last.split.weights());
        }
        self.epochs.push(Epoch {
            split: Split::new(weights),
            units: vec![0.0; self.arms.len()],
            clusters: vec![Cluster::default(); self.arms.len() * self.metrics.len()],
        });
    }

    fn expose(&mut self, exposure: Exposure) -> bool {
        let arm = usize::from(exposure.arm);
        let last = usize::from(exposure.epoch) + 1 == self.epochs.len();
        if self.units.contains_key(&exposure.unit) || arm >= self.arms.len() || !last {
            return false;
        }
        self.units
            .insert(exposure.unit, self.exposures.len() as u32);
        self.exposures.push(exposure);
        let cells = self.shown.len() + self.metrics.len();
        self.shown.resize(cells, Unit::default());
        self.arms[arm].units += 1;
        if let Some(epoch) = self.epochs.last_mut() {
            epoch.units[arm] += 1.0;
            let now = self.shares_before + ratio::ln_e(&epoch.units, epoch.split.weights());
            self.shares_most = self.shares_most.max(now);
        }
        if self.state == State::Running && self.count() >= self.sample_size {
            self.state = State::Complete;
        }
        true
    }

    fn outcome(&mut self, outcome: &Outcome) -> bool {
        let Some(index) = self.units.get(&outcome.unit).copied() else {
            return false;
        };
        if self.calls.contains_key(&outcome.request) {
            return false;
        }
        self.calls.insert(outcome.request, index);
        for metric in 0..self.metrics.len() {
            let value = self.metrics[metric].value(outcome);
            // one value that is no number would spoil all sums
            if let Some(value) = value.filter(|value| value.is_finite()) {
                self.show(index, metric, 1.0, value);
            }
        }
        let arm = usize::from(self.exposures[index as usize].arm);
        let totals = &mut self.arms[arm];
        totals.calls += 1;
        totals.successes += u64::from(outcome.success);
        totals.latency.record(outcome.latency.as_secs_f64() * 1e3);
        if let Some(time) = outcome.first_token {
            totals.first_token.record(time.as_secs_f64() * 1e3);
        }
        totals.tokens_in += outcome.usage.input;
        totals.tokens_out += outcome.usage.output;
        if outcome.cost.is_finite() {
            totals.cost += outcome.cost;
        }
        true
    }

    fn feedback(&mut self, request: RequestId, metric: &str, value: f64) -> bool {
        let Some(index) = self.calls.get(&request).copied() else {
            return false;
        };
        let before = self.scores.insert((request, metric.to_owned()), value);
        let count = f64::from(u8::from(before.is_none()));
        let change = value - before.unwrap_or_default();
        if let Some(metric) = self.metrics.iter().position(|own| own.name() == metric) {
            self.show(index, metric, count, change);
        }
        let arm = usize::from(self.exposures[index as usize].arm);
        let score = self.arms[arm].scores.entry(metric.to_owned()).or_default();
        score.count += count;
        score.sum += change;
        true
    }

    /// A unit shows `count` more values that make its sum larger by `change`.
    fn show(&mut self, index: u32, metric: usize, count: f64, change: f64) {
        let Exposure { arm, epoch, .. } = self.exposures[index as usize];
        let shown = &mut self.shown[index as usize * self.metrics.len() + metric];
        let old = *shown;
        shown.count += count;
        shown.sum += change;
        let cluster = usize::from(arm) * self.metrics.len() + metric;
        self.epochs[usize::from(epoch)].clusters[cluster].replace(old, *shown);
    }
}
