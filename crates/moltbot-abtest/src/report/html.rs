//! The report as one HTML file: words, tables, and charts drawn as SVG.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::Report;
use super::table::{number, p, size};
use crate::books::Totals;
use crate::history::History;

mod chart;

const STYLE: &str = "
:root { color-scheme: light dark; --ink: #1c2430; --paper: #fff; --faint: #8893a2; --line: #d5dae1;
  --arm0: #6b7684; --arm1: #2563eb; --arm2: #d9480f; --arm3: #2b8a3e; --arm4: #862e9c; --arm5: #c2255c; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ee; --paper: #14181f; --faint: #8893a2; --line: #39424f;
  --arm0: #9aa5b3; --arm1: #74a0ff; --arm2: #ff9a66; --arm3: #69db7c; --arm4: #da77f2; --arm5: #f783ac; } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin: 0; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
p.facts { color: var(--faint); margin: 0 0 1rem; } p.verdict { font-size: 1.2rem; font-weight: 600; margin: 0; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th { text-align: right; color: var(--faint); font-weight: 500; } td { text-align: right; }
th:first-child, td:first-child { text-align: left; }
th, td { padding: .3rem .5rem; border-bottom: 1px solid var(--line); }
svg { width: 100%; height: auto; } svg text { font-size: 12px; fill: var(--faint); }
.axis { stroke: var(--line); } .zero { stroke: var(--faint); stroke-dasharray: 4 3; }
.a0 { --c: var(--arm0); } .a1 { --c: var(--arm1); } .a2 { --c: var(--arm2); }
.a3 { --c: var(--arm3); } .a4 { --c: var(--arm4); } .a5 { --c: var(--arm5); }
.curve { stroke: var(--c); fill: none; stroke-width: 2; } .area { fill: var(--c); opacity: .18; } .bar { fill: var(--c); }
.key { color: var(--c); font-weight: 600; margin-right: 1rem; }
";

pub(crate) fn page(report: &Report, totals: &[Totals], history: &History) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (report.name) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { (report.name) }
                p.facts {
                    (report.state.word()) " · metric " (report.metric) " · "
                    (report.units) " of " (report.sample_size) " units · baseline " (report.baseline)
                }
                p.verdict { (report.verdict) }
                p { (report.advice) }
                h2 { "Arms" }
                (arms(report))
                h2 { "Difference to the baseline" }
                (comparisons(report))
                (legend(report, 1))
                (chart::intervals(history))
                h2 { "Latency" }
                (legend(report, 0))
                (chart::distributions(totals))
                (quantiles(report, totals))
                h2 { "Cost a call" }
                (chart::costs(report))
                @if !report.guards.is_empty() {
                    h2 { "Guards" }
                    (guards(report))
                }
                p.facts {
                    "Intervals and p-values hold at every look. Sample ratio: p " (p(report.srm.p))
                    @if report.srm.alarm { ", alarm" } "."
                }
            }
        }
    };
    page.into_string()
}

/// The class that colours an arm.
fn class(arm: usize) -> String {
    format!("a{}", arm % 6)
}

fn legend(report: &Report, from: usize) -> Markup {
    html! {
        p {
            @for (index, arm) in report.arms.iter().enumerate().skip(from) {
                span class=(format!("key {}", class(index))) { "■ " (arm.model) }
            }
        }
    }
}

fn arms(report: &Report) -> Markup {
    html! {
        table {
            tr { th { "Model" } th { "Units" } th { "Calls" } th { "Success" } th { "Mean" } th { "P50" } th { "P95" }
                th { "P99" } th { "Tokens" } th { "USD" } }
            @for arm in &report.arms {
                tr {
                    td { (arm.model) }
                    td { (arm.units) }
                    td { (arm.calls) }
                    td { @match arm.success { Some(share) => (format!("{:.1} %", share * 100.0)), None => "–" } }
                    @match arm.latency_ms {
                        Some(time) => {
                            @for value in [time.mean, time.p50, time.p95, time.p99] { td { (format!("{value:.0} ms")) } }
                        }
                        None => { @for _ in 0..4 { td { "–" } } }
                    }
                    td { (arm.tokens_in + arm.tokens_out) }
                    td { (format!("{:.4}", arm.cost_usd)) }
                }
            }
        }
    }
}

fn comparisons(report: &Report) -> Markup {
    html! {
        table {
            tr { th { "Arm" } th { "Difference" } th { "Interval" } th { "p" } th { "Verdict" } }
            @for row in &report.comparisons {
                tr {
                    td { (row.arm) }
                    td { @match row.difference { Some(value) => (number(value, size(row))), None => "–" } }
                    td {
                        @match row.interval {
                            Some((low, high)) => { (number(low, size(row))) " to " (number(high, size(row))) }
                            None => "too little data"
                        }
                    }
                    td { (p(row.p)) }
                    td { (format!("{:?}", row.verdict).to_lowercase()) }
                }
            }
        }
    }
}

fn quantiles(report: &Report, totals: &[Totals]) -> Markup {
    let alpha = crate::verdict::ALPHA;
    let half_time = (report.sample_size as f64 / 2.0).max(1.0);
    let text = |(low, high): (Option<f64>, Option<f64>)| match (low, high) {
        (Some(low), Some(high)) => format!("{low:.0} to {high:.0} ms"),
        (Some(low), None) => format!("above {low:.0} ms"),
        (None, Some(high)) => format!("below {high:.0} ms"),
        (None, None) => "too little data".to_owned(),
    };
    html! {
        table {
            tr { th { "Model" } th { "P95 lies at" } th { "P99 lies at" } }
            @for (arm, totals) in report.arms.iter().zip(totals) {
                tr {
                    td { (arm.model) }
                    @for p in [0.95, 0.99] { td { (text(totals.latency.interval(p, half_time, alpha))) } }
                }
            }
        }
    }
}

fn guards(report: &Report) -> Markup {
    html! {
        table {
            tr { th { "Guard" } th { "Arm" } th { "State" } }
            @for row in &report.guards {
                tr { td { (row.metric) ":" (row.margin) } td { (row.arm) } td { (format!("{:?}", row.state).to_lowercase()) } }
            }
        }
    }
}
