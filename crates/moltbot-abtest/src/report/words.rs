//! What a report says in words.

use super::{Comparison, Report, Verdict, Watch, winner};
use crate::experiment::State;
use crate::metric::Metric;

/// What came of the test, in a few words. `promoted` is the arm that was made the winner.
pub(super) fn verdict(report: &Report, promoted: Option<usize>) -> String {
    if report.srm.alarm {
        return "no winner: the arms did not get their shares of units".to_owned();
    }
    if let Some(arm) = promoted {
        return format!("{} was promoted", report.arms[arm].model);
    }
    if report.state == State::Harmed {
        let stopped = report.guards.iter().find(|row| row.state == Watch::Stopped);
        let arm = stopped.map_or("an arm", |row| &row.arm);
        return format!("{arm} does harm");
    }
    let all = |verdict| report.comparisons.iter().all(|row| row.verdict == verdict);
    match winner(report) {
        Some(0) => format!("{} is better", report.baseline),
        Some(arm) => format!("{} is better", report.arms[arm].model),
        None if all(Verdict::Equivalent) => "equivalent".to_owned(),
        None => "undecided".to_owned(),
    }
}

/// What was seen and what to do.
pub(super) fn advice(
    report: &Report,
    metric: &dyn Metric,
    mde: Option<f64>,
    promoted: Option<usize>,
) -> String {
    let rows = report.comparisons.iter();
    let mut parts: Vec<String> = rows.map(|row| seen(report, row, metric, mde)).collect();
    parts.push(next(report, promoted));
    parts.join(" ")
}

fn seen(report: &Report, row: &Comparison, metric: &dyn Metric, mde: Option<f64>) -> String {
    let (arm, baseline) = (&row.arm, &report.baseline);
    let Some((low, high)) = row.interval else {
        return format!("{arm} and {baseline} can't be compared yet: there is too little data.");
    };
    if row.verdict == Verdict::Equivalent {
        let most = mde.unwrap_or(high);
        let most = metric.words(most, most);
        return format!(
            "{arm} and {baseline} are equivalent: {arm} {most}, at most, or as much the other way."
        );
    }
    if low <= 0.0 && high >= 0.0 {
        let (less, more) = (metric.words(low, low), metric.words(high, high));
        return format!(
            "Not decided: {arm} {less} than {baseline} at one end of the interval, and {more} at the other."
        );
    }
    format!("{arm} {} than {baseline}.", metric.words(low, high))
}

fn next(report: &Report, promoted: Option<usize>) -> String {
    let name = &report.name;
    if report.srm.alarm {
        return "Units are missing from an arm (sample-ratio alarm), so none of this can be trusted: find where calls are lost, then start a new test.".to_owned();
    }
    if let Some(arm) = promoted {
        return format!("{} answers all calls now.", report.arms[arm].model);
    }
    match (report.state, winner(report)) {
        (State::Harmed, _) => format!(
            "A guard stopped the test, and {} answers: keep it.",
            report.baseline
        ),
        (State::Running, Some(_)) => format!(
            "This holds at every look: `moltctl test promote {name}` lets {} answer all calls; waiting narrows the interval.",
            told(report)
        ),
        (_, Some(_)) => format!(
            "`moltctl test promote {name}` lets {} answer all calls.",
            told(report)
        ),
        (State::Running, None) => format!(
            "{} of {} units are in: let it run.",
            report.units, report.sample_size
        ),
        (_, None) => {
            let equal = report.comparisons.iter();
            let equal = equal.clone().all(|row| row.verdict == Verdict::Equivalent);
            match equal {
                true => "Take the cheaper or the faster one, with --to MODEL.".to_owned(),
                false => "The sample was too small to tell: take a larger one, or choose for other reasons with --to MODEL.".to_owned(),
            }
        }
    }
}

fn told(report: &Report) -> &str {
    winner(report).map_or("it", |arm| &report.arms[arm].model)
}
