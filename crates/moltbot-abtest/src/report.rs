//! What is known of a test, for programs and people.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::books::{Books, Totals};
use crate::experiment::State;
use crate::metric::Metric;
use crate::settings::Settings;
use crate::stats::histogram::Histogram;
use crate::verdict::{ALPHA, Estimate, Judge, Verdict};

pub(crate) mod html;
mod table;
mod words;

/// The report of a test.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The test.
    pub name: String,
    /// How far it is.
    pub state: State,
    /// The metric that decides.
    pub metric: String,
    /// Units that the test wants.
    pub sample_size: u64,
    /// Units that have an arm.
    pub units: u64,
    /// The model that the others are compared with.
    pub baseline: String,
    /// The arms, the baseline first.
    pub arms: Vec<Arm>,
    /// One row for each arm but the baseline.
    pub comparisons: Vec<Comparison>,
    /// Whether the arms got their shares of units.
    pub srm: SampleRatio,
    /// One row for each guard and arm but the baseline.
    pub guards: Vec<GuardState>,
    /// What came of it, in a few words.
    pub verdict: String,
    /// What was seen and what to do, in words.
    pub advice: String,
}

/// One arm, its calls counted as assigned: also where a fallback answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Arm {
    /// Its model.
    pub model: String,
    /// Units that have the arm.
    pub units: u64,
    /// Their calls that have ended.
    pub calls: u64,
    /// The share of calls that got a whole answer of a status below 400.
    pub success: Option<f64>,
    /// To the last byte.
    pub latency_ms: Option<Spread>,
    /// To the first content, of streamed calls.
    pub first_token_ms: Option<Spread>,
    /// Tokens read.
    pub tokens_in: u64,
    /// Tokens written.
    pub tokens_out: u64,
    /// What the calls cost.
    pub cost_usd: f64,
    /// What people fed back, by metric.
    pub metrics: BTreeMap<String, Score>,
}

/// A distribution in four numbers; percentiles are nearest rank, within 1 %.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// The mean.
    pub mean: f64,
    /// The median.
    pub p50: f64,
    /// 95 % lie at or below it.
    pub p95: f64,
    /// 99 % lie at or below it.
    pub p99: f64,
}

/// Feedback of one metric.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// The mean, between 0 and 1.
    pub mean: f64,
    /// How many calls were judged.
    pub count: u64,
}

/// One arm beside the baseline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// The metric.
    pub metric: String,
    /// The arm's model.
    pub arm: String,
    /// Arm minus baseline, in the metric's unit; `null` where one has no value yet.
    pub difference: Option<f64>,
    /// Where the difference lies, valid at every look; `null` with too little data.
    pub interval: Option<(f64, f64)>,
    /// The p-value of "there is no difference", valid at every look and shared by the comparisons; 1 with too little data.
    pub p: f64,
    /// What it came to.
    pub verdict: Verdict,
}

/// The sample-ratio test.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SampleRatio {
    /// The p-value of "units fell by their weights", valid at every look.
    pub p: f64,
    /// Units were lost: no arm wins.
    pub alarm: bool,
}

/// One guard of one arm.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GuardState {
    /// The metric.
    pub metric: String,
    /// How much worse is borne, in the metric's unit.
    pub margin: f64,
    /// The arm's model.
    pub arm: String,
    /// Whether it stopped the test.
    pub state: Watch,
}

/// The state of a guard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Watch {
    /// The arm is borne.
    Ok,
    /// The arm stopped the test.
    Stopped,
}

impl Report {
    /// The report as JSON text.
    pub fn to_json(&self) -> String {
        // plain data: there is nothing that could fail to be written
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// The report for a terminal.
    pub fn to_text(&self) -> String {
        table::text(self)
    }
}

/// The arm that won: the best of those that are better, the baseline where all others are worse.
pub(crate) fn winner(report: &Report) -> Option<usize> {
    if report.srm.alarm || report.state == State::Harmed {
        return None;
    }
    let rows = || report.comparisons.iter().enumerate();
    let size = |row: &Comparison| row.difference.unwrap_or_default().abs();
    let best = rows()
        .filter(|(_, row)| row.verdict == Verdict::Better)
        .max_by(|(_, a), (_, b)| size(a).total_cmp(&size(b)));
    match best {
        Some((index, _)) => Some(index + 1),
        None if rows().all(|(_, row)| row.verdict == Verdict::Worse) => Some(0),
        None => None,
    }
}

pub(crate) fn of(settings: &Settings, books: &Books, judges: &[Judge]) -> Report {
    let models: Vec<String> = settings.models.iter().map(ToString::to_string).collect();
    let (p, alarm) = books.shares();
    let metric = &books.metrics[0];
    let arms = books.arms.iter().zip(&models);
    let others = || models.iter().enumerate().skip(1);
    let guards = settings.guards.iter().enumerate();
    let guards = guards.flat_map(|(index, guard)| {
        others().map(move |(arm, model)| GuardState {
            metric: guard.metric.clone(),
            margin: guard.margin,
            arm: model.clone(),
            state: match books.tripped.contains(&(index, arm)) {
                true => Watch::Stopped,
                false => Watch::Ok,
            },
        })
    });
    let alpha = ALPHA / (models.len() - 1) as f64;
    let comparisons = others().map(|(arm, model)| {
        let estimate = judges[0].estimate(&books.strata(0, arm), alpha);
        compare(&**metric, model, estimate, settings, alarm)
    });
    let mut report = Report {
        name: settings.name.clone(),
        state: books.state,
        metric: metric.name().to_owned(),
        sample_size: settings.sample_size,
        units: books.count(),
        baseline: models[0].clone(),
        arms: arms.map(|(totals, model)| arm(totals, model)).collect(),
        comparisons: comparisons.collect(),
        srm: SampleRatio { p, alarm },
        guards: guards.collect(),
        verdict: String::new(),
        advice: String::new(),
    };
    let winner = books.winner.map(usize::from);
    report.verdict = words::verdict(&report, winner);
    report.advice = words::advice(&report, &**metric, settings.mde, winner);
    report
}

fn compare(
    metric: &dyn Metric,
    model: &str,
    estimate: Estimate,
    settings: &Settings,
    alarm: bool,
) -> Comparison {
    let comparisons = settings.models.len() - 1;
    Comparison {
        metric: metric.name().to_owned(),
        arm: model.to_owned(),
        difference: estimate.difference,
        interval: estimate.interval,
        p: (estimate.p * comparisons as f64).min(1.0),
        verdict: match alarm {
            true => Verdict::Undecided,
            false => estimate.verdict(metric.better(), settings.mde),
        },
    }
}

fn arm(totals: &Totals, model: &str) -> Arm {
    let scores = totals.scores.iter().map(|(name, score)| {
        let count = score.count;
        let mean = score.sum / count.max(1.0);
        let count = count as u64;
        (name.clone(), Score { mean, count })
    });
    let calls = totals.calls;
    Arm {
        model: model.to_owned(),
        units: totals.units,
        calls,
        success: (calls > 0).then(|| totals.successes as f64 / calls as f64),
        latency_ms: spread(&totals.latency),
        first_token_ms: spread(&totals.first_token),
        tokens_in: totals.tokens_in,
        tokens_out: totals.tokens_out,
        cost_usd: totals.cost,
        metrics: scores.collect(),
    }
}

fn spread(histogram: &Histogram) -> Option<Spread> {
    (histogram.count() > 0).then(|| Spread {
        mean: histogram.mean(),
        p50: histogram.percentile(0.50),
        p95: histogram.percentile(0.95),
        p99: histogram.percentile(0.99),
    })
}
