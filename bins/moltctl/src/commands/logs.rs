//! `moltctl logs`: lines of the home's log files, oldest first; they are read with the daemon up or down.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use moltbot_telemetry::{Entry, Lines, Query, since};
use regex::Regex;
use serde_json::{Map, Value};

use super::Context;
use crate::cli::Logs;
use crate::failure::Failure;
use crate::output::{BAD, DIM, GOOD, WARN, line};

pub(super) async fn run(context: &Context, logs: &Logs) -> Result<(), Failure> {
    let dir = context.client.home().logs_dir();
    let mut query = query(context, logs)?;
    let mut unread = None;
    // The folder is removed when `older` goes.
    let older = match query.since {
        Some(since) if !logs.follow => {
            let older = moltbot_gateway::older_logs(context.client.home(), Some(since)).await;
            older.unwrap_or_else(|error| {
                unread = Some(error.to_string());
                None
            })
        }
        _ => None,
    };
    query.older = older.as_ref().map(|folder| folder.path().to_owned());
    let failed = |error: moltbot_telemetry::TelemetryError| Failure::failed(error.to_string());
    let mut lines: Lines = if logs.follow {
        // Nothing stops a follower but its reader, or a signal.
        query.follow(&dir, Arc::new(AtomicBool::new(false)))
    } else {
        query.read(&dir)
    }
    .map_err(failed)?;
    for entry in &mut lines {
        let entry = entry.map_err(failed)?;
        if context.json() {
            line(entry.text())?;
        } else {
            line(&readable(&entry))?;
        }
    }
    if lines.skipped() > 0 && !context.global.quiet {
        anstream::eprintln!(
            "{DIM}{} broken line(s) are left out{DIM:#}",
            lines.skipped()
        );
    }
    match unread {
        Some(error) => Err(Failure::failed(format!("older lines are missing: {error}"))),
        None => Ok(()),
    }
}

fn query(context: &Context, logs: &Logs) -> Result<Query, Failure> {
    let wrong = |error: &dyn std::fmt::Display| Failure::new(2, error.to_string());
    Ok(Query {
        level: match &logs.level {
            Some(level) => Some(level.parse().map_err(|error| wrong(&error))?),
            None => None,
        },
        model: logs.model.clone(),
        workspace: context.client.workspace().map(str::to_owned),
        since: match &logs.since {
            Some(span) => {
                Some(since(span, std::time::SystemTime::now()).map_err(|error| wrong(&error))?)
            }
            None => None,
        },
        grep: match &logs.grep {
            Some(pattern) => Some(Regex::new(pattern).map_err(|error| wrong(&error))?),
            None => None,
        },
        ..Query::default()
    })
}

/// A line for people: time, level, words, and the fields that follow.
fn readable(entry: &Entry) -> String {
    let mut fields = entry.fields();
    let mut take = |name: &str| plain(fields.shift_remove(name).unwrap_or_default());
    let (time, level, msg) = (take("ts"), take("level"), take("msg"));
    let style = match level.as_str() {
        "error" => BAD,
        "warn" => WARN,
        "info" => GOOD,
        _ => DIM,
    };
    let rest = rest(&fields);
    format!("{DIM}{time}{DIM:#} {style}{level:<5}{style:#} {msg}{DIM}{rest}{DIM:#}")
}

fn rest(fields: &Map<String, Value>) -> String {
    fields
        .iter()
        .fold(String::new(), |mut text, (name, value)| {
            text.push(' ');
            text.push_str(name);
            text.push('=');
            text.push_str(&plain(value.clone()));
            text
        })
}

/// Texts without quotes, and without anything that could steer a terminal.
fn plain(value: Value) -> String {
    let text = match value {
        Value::String(text) => text,
        Value::Null => String::new(),
        other => other.to_string(),
    };
    text.chars().filter(|c| !c.is_control()).collect()
}
