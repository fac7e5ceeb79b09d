//! The charts: a frame, and curves in it.

use maud::{Markup, html};

use super::class;
use crate::books::Totals;
use crate::history::History;
use crate::report::Report;
use crate::report::table::number;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 260.0;
/// Room for the words at the axes.
const LEFT: f64 = 70.0;
const BOTTOM: f64 = 30.0;

/// Where values stand on the paper.
struct Frame {
    x: (f64, f64),
    y: (f64, f64),
}

impl Frame {
    fn x(&self, value: f64) -> f64 {
        LEFT + (value - self.x.0) / (self.x.1 - self.x.0).max(f64::MIN_POSITIVE) * (WIDTH - LEFT)
    }

    fn y(&self, value: f64) -> f64 {
        let part = (value - self.y.0) / (self.y.1 - self.y.0).max(f64::MIN_POSITIVE);
        (1.0 - part) * (HEIGHT - BOTTOM - 10.0) + 10.0
    }

    fn points(&self, points: impl Iterator<Item = (f64, f64)>) -> String {
        let texts = points.map(|(x, y)| format!("{:.1},{:.1}", self.x(x), self.y(y)));
        texts.collect::<Vec<_>>().join(" ")
    }
}

fn nothing() -> Markup {
    html! { p.facts { "Too little data for a chart." } }
}

/// How each interval narrowed over calls.
pub(super) fn intervals(history: &History) -> Markup {
    let looks = history.looks();
    let known = |arm: usize| {
        looks.iter().filter_map(move |look| {
            let estimate = look.arms.get(arm)?;
            let (low, high) = estimate.interval?;
            Some((look.calls as f64, low, estimate.difference?, high))
        })
    };
    let arms = looks.last().map_or(0, |look| look.arms.len());
    let all: Vec<_> = (0..arms).flat_map(known).collect();
    if all.len() < 2 {
        return nothing();
    }
    // the first, widest intervals would leave no room for the rest
    let widths = all.iter().map(|(_, low, _, high)| high - low);
    let least = widths.fold(f64::INFINITY, f64::min).max(1e-9);
    let middle = all.last().map_or(0.0, |(_, _, difference, _)| *difference);
    let reach = (middle.abs() + 4.0 * least).max(1e-9);
    let frame = Frame {
        x: (
            all[0].0,
            all.iter().map(|point| point.0).fold(all[0].0, f64::max),
        ),
        y: (-reach, reach),
    };
    let clip = |value: f64| value.clamp(-reach, reach);
    html! {
        svg viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img" aria-label="intervals over calls" {
            (axes(&frame, &[-reach, 0.0, reach].map(|value| (value, number(value, reach)))))
            line.zero x1=(LEFT) x2=(WIDTH) y1=(frame.y(0.0)) y2=(frame.y(0.0)) {}
            @for arm in 0..arms {
                @let upper = known(arm).map(|(x, _, _, high)| (x, clip(high)));
                @let lower: Vec<_> = known(arm).map(|(x, low, _, _)| (x, clip(low))).collect();
                g class=(class(arm + 1)) {
                    polygon.area points=(frame.points(upper.chain(lower.into_iter().rev()))) {}
                    polyline.curve points=(frame.points(known(arm).map(|(x, _, middle, _)| (x, clip(middle))))) {}
                }
            }
            text x=(LEFT) y=(HEIGHT - 8.0) { (frame.x.0) " calls" }
            text x=(WIDTH) y=(HEIGHT - 8.0) text-anchor="end" { (frame.x.1) " calls" }
        }
    }
}

/// The arms' latencies: the share of calls by milliseconds, on a logarithmic scale.
pub(super) fn distributions(totals: &[Totals]) -> Markup {
    let buckets = || totals.iter().flat_map(|arm| arm.latency.buckets());
    let low = buckets()
        .map(|(end, _)| end.ln())
        .fold(f64::INFINITY, f64::min);
    let high = buckets()
        .map(|(end, _)| end.ln())
        .fold(f64::NEG_INFINITY, f64::max);
    if !low.is_finite() {
        return nothing();
    }
    let (low, high) = (low - 0.1, high + 0.1);
    // a bar is at least two buckets of the histogram wide, or the curve would be a comb
    let bars = (((high - low) / 0.04) as usize).clamp(5, 60);
    let width = bars as f64;
    let shares: Vec<Vec<f64>> = totals
        .iter()
        .map(|arm| {
            let mut shares = vec![0.0; bars];
            for (end, count) in arm.latency.buckets() {
                let bar = ((end.ln() - low) / (high - low) * width) as usize;
                shares[bar.min(bars - 1)] += count as f64 / arm.latency.count() as f64;
            }
            shares
        })
        .collect();
    let most = shares.iter().flatten().copied().fold(0.0, f64::max);
    let frame = Frame {
        x: (0.0, width),
        y: (0.0, most),
    };
    let at = |bar: f64| (low + bar / width * (high - low)).exp();
    html! {
        svg viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img" aria-label="distribution of latency" {
            (axes(&frame, &[0.0, most].map(|value| (value, format!("{:.0} %", value * 100.0)))))
            @for (arm, bars) in shares.iter().enumerate() {
                @let top = bars.iter().enumerate().map(|(bar, share)| (bar as f64 + 0.5, *share));
                g class=(class(arm)) { polyline.curve points=(frame.points(top)) {} }
            }
            @for part in [0.0, 0.25, 0.5, 0.75, 1.0] {
                @let bar = part * width;
                text x=(frame.x(bar)) y=(HEIGHT - 8.0) text-anchor=(if part == 1.0 { "end" } else { "middle" }) {
                    (format!("{:.0} ms", at(bar)))
                }
            }
        }
    }
}

/// What a call of each arm costs.
pub(super) fn costs(report: &Report) -> Markup {
    const ROW: f64 = 28.0;
    let cost = |arm: usize| {
        let arm = &report.arms[arm];
        arm.cost_usd / arm.calls.max(1) as f64
    };
    let most = (0..report.arms.len()).map(cost).fold(0.0, f64::max);
    let height = ROW * report.arms.len() as f64;
    html! {
        svg viewBox=(format!("0 0 {WIDTH} {height}")) role="img" aria-label="cost of a call" {
            @for (index, arm) in report.arms.iter().enumerate() {
                @let y = ROW * index as f64;
                @let part = if most > 0.0 { cost(index) / most } else { 0.0 };
                g class=(class(index)) {
                    text x="0" y=(y + 17.0) { (arm.model) }
                    rect.bar x="200" y=(y + 4.0) width=(format!("{:.1}", part * 380.0)) height=(ROW - 10.0) {}
                    text x=(format!("{:.1}", 206.0 + part * 380.0)) y=(y + 17.0) { (format!("{:.6} USD", cost(index))) }
                }
            }
        }
    }
}

fn axes(frame: &Frame, ticks: &[(f64, String)]) -> Markup {
    html! {
        line.axis x1=(LEFT) x2=(WIDTH) y1=(HEIGHT - BOTTOM) y2=(HEIGHT - BOTTOM) {}
        line.axis x1=(LEFT) x2=(LEFT) y1="10" y2=(HEIGHT - BOTTOM) {}
        @for (value, words) in ticks {
            text x=(LEFT - 6.0) y=(frame.y(*value) + 4.0) text-anchor="end" { (words) }
        }
    }
}
