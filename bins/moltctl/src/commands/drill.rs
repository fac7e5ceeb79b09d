//! `moltctl drill`: the daemon takes a part away and puts it back; this tells what callers felt.

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use moltbot_types::admin::{DrillOrder, DrillPart, DrillPhase, DrillReport};

use super::Context;
use crate::cli::Drill;
use crate::failure::Failure;
use crate::output::{self, BAD, DIM, GOOD, line};

/// A drill of slow models takes its time.
const ENDS_WITHIN: Duration = Duration::from_secs(300);

pub(super) async fn run(context: &Context, drill: Drill) -> Result<(), Failure> {
    let (take, args) = match drill {
        Drill::Instance(args) => (DrillPart::Instance, args),
        Drill::Node(args) => (DrillPart::Node, args),
        Drill::Region(args) => (DrillPart::Region, args),
    };
    let order = DrillOrder {
        take,
        model: args.model,
        calls: args.calls.into(),
    };
    let drill = context.client.post_within(ENDS_WITHIN, "drill", &order);
    let report: DrillReport = tokio::select! {
        report = drill => report?,
        // The daemon puts everything back when the request is taken back.
        _ = tokio::signal::ctrl_c() => {
            return Err(Failure::failed("interrupted; what was taken away is put back"));
        }
    };
    if let Some(path) = &args.report {
        write(path, &report)?;
    }
    match context.json() {
        true => output::json(&report)?,
        false => show(context, &report, args.report.as_deref())?,
    }
    let (calls, lost) = totals(&report);
    match lost {
        0 => Ok(()),
        _ => Err(Failure::failed(format!("{lost} of {calls} calls failed"))),
    }
}

fn show(context: &Context, report: &DrillReport, written: Option<&Path>) -> Result<(), Failure> {
    line(&what(report))?;
    line(&taken(report))?;
    line("")?;
    output::table(HEAD, report.phases.iter().map(row))?;
    line("")?;
    for text in facts(report) {
        line(&text)?;
    }
    let (style, verdict) = match totals(report) {
        (calls, 0) => (GOOD, format!("none of {calls} callers noticed")),
        (calls, lost) => (BAD, format!("{lost} of {calls} callers got an error")),
    };
    line(&format!("{style}{verdict}{style:#}"))?;
    match written {
        Some(path) if !context.global.quiet => line(&format!(
            "{DIM}the report lies in {}{DIM:#}",
            path.display()
        )),
        _ => Ok(()),
    }
}

fn write(path: &Path, report: &DrillReport) -> Result<(), Failure> {
    let json = path
        .extension()
        .is_some_and(|extension| extension == "json");
    let text = match json {
        true => serde_json::to_string_pretty(report).map_err(|e| Failure::failed(e.to_string()))?,
        false => markdown(report),
    };
    std::fs::write(path, text)
        .map_err(|error| Failure::failed(format!("{} can't be written: {error}", path.display())))
}

fn markdown(report: &DrillReport) -> String {
    let cells = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let (what, now, taken) = (what(report), Timestamp::now(), taken(report));
    let mut text = format!("# Drill: {what}\n\n{now:.0}; {taken}\n\n");
    text += &cells(&HEAD.map(str::to_owned));
    text += &format!("|{}\n", "---|".repeat(HEAD.len()));
    for phase in &report.phases {
        text += &cells(&row(phase));
    }
    text.push('\n');
    for fact in facts(report) {
        // Writing to a text can't fail.
        let _ = writeln!(text, "- {fact}");
    }
    let (calls, lost) = totals(report);
    let _ = writeln!(text, "- {lost} of {calls} calls failed");
    text
}

const HEAD: [&str; 7] = [
    "PHASE",
    "CALLS",
    "FAILED",
    "ATTEMPTS",
    "P50",
    "P99",
    "ANSWERED BY",
];

fn row(phase: &DrillPhase) -> [String; 7] {
    let served = phase.served.iter();
    let served: Vec<_> = served
        .map(|by| format!("{} {}", by.target, by.calls))
        .collect();
    [
        phase.phase.clone(),
        phase.calls.to_string(),
        phase.errors.to_string(),
        phase.attempts.to_string(),
        time(phase.p50_ms),
        time(phase.p99_ms),
        served.join(", "),
    ]
}

/// What the drill is about.
fn what(report: &DrillReport) -> String {
    let part = match report.take {
        DrillPart::Instance => "an instance",
        DrillPart::Node => "the primaries",
        DrillPart::Region => "a region",
    };
    format!("{part} of model {}", report.model)
}

fn taken(report: &DrillReport) -> String {
    let how = match report.killed {
        true => "its process was killed",
        false => "no call went there",
    };
    format!("taken away: {} ({how})", report.taken.join(", "))
}

fn facts(report: &DrillReport) -> Vec<String> {
    let elsewhere = match report.elsewhere_ms {
        Some(_) => format!("answered elsewhere after {}", time(report.elsewhere_ms)),
        None => "not answered elsewhere".to_owned(),
    };
    let since = match report.killed {
        true => "its end",
        false => "its release",
    };
    let back = match report.back_ms {
        Some(_) => format!("back {} after {since}", time(report.back_ms)),
        None => "not back yet; see `moltctl status`".to_owned(),
    };
    let errors = report.phases.iter().filter_map(|phase| {
        let error = phase.error.as_ref()?;
        Some(format!("first failure {}: {error}", phase.phase))
    });
    [elsewhere, back].into_iter().chain(errors).collect()
}

/// Calls, and those that failed.
fn totals(report: &DrillReport) -> (usize, usize) {
    let phases = report.phases.iter();
    phases.fold((0, 0), |(calls, lost), phase| {
        (calls + phase.calls, lost + phase.errors)
    })
}

fn time(ms: Option<f64>) -> String {
    ms.map_or_else(|| "-".to_owned(), |ms| format!("{ms} ms"))
}
