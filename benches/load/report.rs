//! The figures, and the one table that shows them as ratios to the floor.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::servers::Kind;

/// What is measured of each server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Figure {
    SmallCpu,
    PromptCpu,
    PacedCpu,
    BurstCpu,
    SmallRate,
    CoreBusy,
    AddedP50,
    AddedP99,
    RssIdle,
    RssLoaded,
    ColdStart,
}

/// What a figure should keep to.
enum Goal {
    /// A multiple of the floor.
    Ratio(f64),
    /// A value.
    AtMost(f64),
}

impl Figure {
    fn name(self) -> &'static str {
        match self {
            Self::SmallCpu => "CPU per small request, µs",
            Self::PromptCpu => "CPU per 64 KB prompt, µs",
            Self::PacedCpu => "CPU per chunk, paced, µs",
            Self::BurstCpu => "CPU per chunk, burst, µs",
            Self::SmallRate => "small requests a second",
            Self::CoreBusy => "core busy with small ones, %",
            Self::AddedP50 => "added p50, open loop, µs",
            Self::AddedP99 => "added p99, open loop, µs",
            Self::RssIdle => "RSS idle, MiB",
            Self::RssLoaded => "RSS at its highest, MiB",
            Self::ColdStart => "cold start to ready, ms",
        }
    }

    fn goal(self) -> Option<Goal> {
        match self {
            Self::SmallCpu => Some(Goal::Ratio(1.6)),
            Self::PromptCpu | Self::PacedCpu | Self::BurstCpu => Some(Goal::Ratio(1.3)),
            Self::RssIdle => Some(Goal::AtMost(25.0)),
            Self::ColdStart => Some(Goal::AtMost(100.0)),
            _ => None,
        }
    }

    /// Whether it is the difference of two measurements.
    fn is_difference(self) -> bool {
        matches!(self, Self::AddedP50 | Self::AddedP99)
    }

    fn decimals(self) -> usize {
        match self {
            Self::SmallRate | Self::CoreBusy | Self::AddedP50 | Self::AddedP99 => 0,
            Self::PacedCpu | Self::BurstCpu => 2,
            _ => 1,
        }
    }
}

/// Every sample taken, one a round.
#[derive(Default)]
pub(crate) struct Report(BTreeMap<Figure, BTreeMap<Kind, Vec<f64>>>);

impl Report {
    /// Adds a sample. The n-th samples of two servers belong to the same round.
    pub(crate) fn add(&mut self, figure: Figure, kind: Kind, value: f64) {
        self.0
            .entry(figure)
            .or_default()
            .entry(kind)
            .or_default()
            .push(value);
    }

    /// The table in Markdown, with a column for each of `kinds`.
    pub(crate) fn table(&self, kinds: &[Kind]) -> String {
        let mut head = vec![String::new()];
        head.extend(kinds.iter().map(|kind| kind.name().to_owned()));
        head.push("goal of moltbotd".to_owned());
        let mut rows = vec![head];
        for (figure, samples) in &self.0 {
            let of = |kind| samples.get(&kind).map_or(&[][..], Vec::as_slice);
            let floor = of(Kind::Floor);
            let mut row = vec![figure.name().to_owned()];
            for kind in kinds {
                row.push(cell(
                    *figure,
                    of(*kind),
                    (*kind != Kind::Floor).then_some(floor),
                ));
            }
            row.push(figure.goal().map_or_else(String::new, |goal| {
                verdict(&goal, of(Kind::Moltbotd), floor)
            }));
            rows.push(row);
        }
        markdown(&rows)
    }
}

/// `median (lowest–highest)` for the floor; for others the median and, in bold, the ratio: `33.1: **1.23** (1.18–1.30)`.
fn cell(figure: Figure, own: &[f64], floor: Option<&[f64]>) -> String {
    let decimals = figure.decimals();
    let value = format!("{:.decimals$}", median(own));
    let Some(floor) = floor else {
        return value + &spread(own, decimals);
    };
    if figure.is_difference() {
        // It may be near 0 in a round, or below: only the medians make a ratio.
        let ratio = median(own) / median(floor);
        return format!("{value}{}: **{ratio:.2}**", spread(own, decimals));
    }
    let ratios = ratios(own, floor);
    format!("{value}: **{:.2}**{}", median(&ratios), spread(&ratios, 2))
}

/// ` (lowest–highest)` where there are several samples.
fn spread(values: &[f64], decimals: usize) -> String {
    if values.len() < 2 {
        return String::new();
    }
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    format!(" ({low:.decimals$}–{high:.decimals$})")
}

fn verdict(goal: &Goal, own: &[f64], floor: &[f64]) -> String {
    let (text, limit, value) = match goal {
        Goal::Ratio(limit) => (format!("≤ {limit} ×"), limit, median(&ratios(own, floor))),
        Goal::AtMost(limit) => (format!("≤ {limit}"), limit, median(own)),
    };
    if own.is_empty() {
        text
    } else if value <= *limit {
        format!("{text}, reached")
    } else {
        format!("{text}, **missed**")
    }
}

/// Each sample by the floor's of the same round.
fn ratios(own: &[f64], floor: &[f64]) -> Vec<f64> {
    own.iter()
        .zip(floor)
        .map(|(own, floor)| own / floor)
        .collect()
}

fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => values[n / 2],
        n => f64::midpoint(values[n / 2 - 1], values[n / 2]),
    }
}

/// A Markdown table of `rows`, the first of which is its head, with columns of equal width.
pub(crate) fn markdown(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let widths: Vec<usize> = (0..columns)
        .map(|column| {
            rows.iter()
                .map(|row| row[column].chars().count())
                .max()
                .unwrap_or(0)
        })
        .collect();
    let mut table = String::new();
    for (index, row) in rows.iter().enumerate() {
        for (text, width) in row.iter().zip(&widths) {
            write!(table, "| {text:width$} ").ok();
        }
        table.push_str("|\n");
        if index == 0 {
            for width in &widths {
                write!(table, "|{}", "-".repeat(width + 2)).ok();
            }
            table.push_str("|\n");
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_compare_samples_of_one_round() {
        let mut report = Report::default();
        for (floor, own) in [(20.0, 30.0), (40.0, 40.0), (30.0, 48.0)] {
            report.add(Figure::SmallCpu, Kind::Floor, floor);
            report.add(Figure::SmallCpu, Kind::Moltbotd, own);
        }
        let table = report.table(&[Kind::Floor, Kind::Moltbotd]);
        let row = table.lines().nth(2).expect("a row");
        assert_eq!(
            row.split('|').map(str::trim).collect::<Vec<_>>(),
            [
                "",
                "CPU per small request, µs",
                "30.0 (20.0–40.0)",
                "40.0: **1.50** (1.00–1.60)",
                "≤ 1.6 ×, reached",
                ""
            ]
        );
    }

    #[test]
    fn a_missed_goal_says_so() {
        let mut report = Report::default();
        report.add(Figure::RssIdle, Kind::Moltbotd, 30.0);
        assert!(report.table(&[Kind::Moltbotd]).contains("≤ 25, **missed**"));
    }

    #[test]
    fn differences_are_compared_by_their_medians() {
        let cell = cell(
            Figure::AddedP99,
            &[30.0, -5.0, 60.0],
            Some(&[20.0, 0.0, 25.0]),
        );
        assert_eq!(cell, "30 (-5–60): **1.50**");
    }
}
