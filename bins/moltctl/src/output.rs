//! What people and programs read.

use std::io::{self, IsTerminal};

use anstyle::{AnsiColor, Style};
use comfy_table::{ContentArrangement, Table};
use serde::Serialize;

use crate::failure::Failure;

/// What is well.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
/// What wants attention.
pub(crate) const WARN: Style = AnsiColor::Yellow.on_default();
/// What failed.
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
/// What stands back.
pub(crate) const DIM: Style = Style::new().dimmed();

/// Prints a value for programs.
pub(crate) fn json(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).map_err(|e| Failure::failed(e.to_string()))?;
    line(&text)
}

/// Prints one line.
pub(crate) fn line(text: &str) -> Result<(), Failure> {
    use std::io::Write;
    let mut out = anstream::stdout().lock();
    writeln!(out, "{text}")?;
    Ok(())
}

/// Prints rows under a head.
pub(crate) fn table<const N: usize>(
    head: [&str; N],
    table: impl IntoIterator<Item = [String; N]>,
) -> Result<(), Failure> {
    rows(head, table).iter().try_for_each(|text| line(text))
}

/// The lines of a table: rows under a head.
pub(crate) fn rows<const N: usize>(
    head: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> Vec<String> {
    let mut table = Table::new();
    table
        .load_style(comfy_table::presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(head);
    for row in rows {
        table.add_row(row);
    }
    let lines = table.lines();
    lines.map(|text| text.trim_end().to_owned()).collect()
}

/// A state in its colour.
pub(crate) fn state(text: &str) -> String {
    let style = match text {
        "up" | "running" | "applied" | "unchanged" | "ok" | "active" | "delivered" => GOOD,
        "degraded" | "resting" | "held" | "warn" | "overlap" | "last_good" | "skipped"
        | "prepared" | "sending" => WARN,
        _ => BAD,
    };
    format!("{style}{text}{style:#}")
}

/// Whether a person looks at standard output.
pub(crate) fn to_person() -> bool {
    io::stdout().is_terminal()
}

/// Prints bytes as they are.
pub(crate) fn raw(bytes: &[u8]) -> Result<(), Failure> {
    use std::io::Write;
    io::stdout().lock().write_all(bytes)?;
    Ok(())
}
