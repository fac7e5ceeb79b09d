//! `moltctl audit`.

use moltbot_types::admin::{AuditEntry, AuditVerdict};

use super::Context;
use crate::cli::Audit;
use crate::failure::Failure;
use crate::output;

pub(super) async fn run(context: &Context, command: Option<Audit>) -> Result<(), Failure> {
    match command {
        None => {
            let entries: Vec<AuditEntry> = context.client.get("audit").await?;
            list(context, &entries)
        }
        Some(Audit::Verify) => verify(context, &context.client.get("audit/verify").await?),
    }
}

fn list(context: &Context, entries: &[AuditEntry]) -> Result<(), Failure> {
    if context.json() {
        return output::json(&entries);
    }
    let rows = entries.iter().map(|entry| {
        let change = match (&entry.before, &entry.after) {
            (None, None) => entry.subject.clone().unwrap_or_default(),
            (before, after) => {
                let text = |value: &Option<serde_json::Value>| {
                    value.as_ref().map_or("-".to_owned(), ToString::to_string)
                };
                format!("{} -> {}", text(before), text(after))
            }
        };
        [
            entry.ts.clone(),
            entry.actor.clone(),
            entry.workspace.clone(),
            entry.action.clone(),
            entry.outcome.clone(),
            change,
        ]
    });
    output::table(
        ["WHEN", "BY", "WORKSPACE", "WHAT", "OUTCOME", "CHANGE"],
        rows,
    )
}

fn verify(context: &Context, verdict: &AuditVerdict) -> Result<(), Failure> {
    if context.json() {
        output::json(verdict)?;
    }
    match verdict.broken {
        Some(line) => Err(Failure::failed(format!(
            "line {line} of data/audit.jsonl is not what was written"
        ))),
        None if context.json() => Ok(()),
        None => context.done(&format!("{} lines, as they were written", verdict.lines)),
    }
}
