//! The report for a terminal.

use comfy_table::{ContentArrangement, Table, presets};

use super::{Comparison, Report, Spread, Watch};

pub(super) fn text(report: &Report) -> String {
    let mut lines = vec![
        format!(
            "{}  {}  metric {}  {} of {} units",
            report.name,
            report.state.word(),
            report.metric,
            report.units,
            report.sample_size
        ),
        String::new(),
        arms(report),
        String::new(),
        comparisons(report),
    ];
    if !report.guards.is_empty() {
        lines.push(String::new());
        lines.push(guards(report));
    }
    lines.push(String::new());
    lines.push(format!("Verdict: {}", report.verdict));
    lines.push(report.advice.clone());
    lines.join("\n")
}

fn arms(report: &Report) -> String {
    let head = [
        "MODEL",
        "UNITS",
        "CALLS",
        "SUCCESS",
        "MEAN",
        "P50",
        "P95",
        "P99",
        "FIRST P50",
        "TOKENS",
        "USD",
    ];
    let rows = report.arms.iter().map(|arm| {
        let ms = |spread: Option<Spread>, pick: fn(Spread) -> f64| {
            spread.map_or("-".to_owned(), |spread| format!("{:.0} ms", pick(spread)))
        };
        [
            arm.model.clone(),
            arm.units.to_string(),
            arm.calls.to_string(),
            arm.success
                .map_or("-".to_owned(), |share| format!("{:.1} %", share * 100.0)),
            ms(arm.latency_ms, |spread| spread.mean),
            ms(arm.latency_ms, |spread| spread.p50),
            ms(arm.latency_ms, |spread| spread.p95),
            ms(arm.latency_ms, |spread| spread.p99),
            ms(arm.first_token_ms, |spread| spread.p50),
            (arm.tokens_in + arm.tokens_out).to_string(),
            format!("{:.4}", arm.cost_usd),
        ]
    });
    table(head, rows)
}

fn comparisons(report: &Report) -> String {
    let head = ["ARM", "METRIC", "DIFFERENCE", "INTERVAL", "P", "VERDICT"];
    let rows = report.comparisons.iter().map(|row| {
        let size = size(row);
        let number = |value| number(value, size);
        let difference = row.difference.map_or("-".to_owned(), number);
        let interval = row
            .interval
            .map_or("too little data".to_owned(), |(low, high)| {
                format!("{} to {}", number(low), number(high))
            });
        let verdict = format!("{:?}", row.verdict).to_lowercase();
        let p = p(row.p);
        [
            row.arm.clone(),
            row.metric.clone(),
            difference,
            interval,
            p,
            verdict,
        ]
    });
    table(head, rows)
}

fn guards(report: &Report) -> String {
    let rows = report.guards.iter().map(|row| {
        let state = match row.state {
            Watch::Ok => "ok",
            Watch::Stopped => "stopped",
        };
        [
            format!("{}:{}", row.metric, row.margin),
            row.arm.clone(),
            state.to_owned(),
        ]
    });
    table(["GUARD", "ARM", "STATE"], rows)
}

/// A signed number beside others of about `size`, with the digits that tell something.
pub(super) fn number(value: f64, size: f64) -> String {
    let digits = match size.abs() {
        size if size >= 100.0 => 0,
        size if size >= 1.0 => 2,
        size if size >= 0.001 || size == 0.0 => 4,
        _ => 8,
    };
    format!("{value:+.digits$}")
}

/// How large the numbers of a comparison are.
pub(super) fn size(row: &Comparison) -> f64 {
    match row.interval {
        Some((low, high)) => low.abs().max(high.abs()),
        None => row.difference.unwrap_or_default(),
    }
}

/// A p-value; the smallest ones are not told to be 0.
pub(super) fn p(value: f64) -> String {
    match value < 0.0001 {
        true => "<0.0001".to_owned(),
        false => format!("{value:.4}"),
    }
}

fn table<const N: usize>(head: [&str; N], rows: impl Iterator<Item = [String; N]>) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(head);
    for row in rows {
        table.add_row(row);
    }
    let lines: Vec<String> = table
        .lines()
        .map(|line| line.trim_end().to_owned())
        .collect();
    lines.join("\n")
}
