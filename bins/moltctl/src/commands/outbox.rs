//! `moltctl outbox`.

use moltbot_types::admin::{Done, OutboxRow};
use serde_json::json;

use super::Context;
use super::status::span;
use crate::cli::Outbox;
use crate::client::part;
use crate::failure::Failure;
use crate::output::{self, state};

pub(super) async fn run(context: &Context, command: Outbox) -> Result<(), Failure> {
    match command {
        Outbox::List => list(context).await,
        Outbox::Resend { id } => order(context, &id, "resend").await,
        Outbox::Drop { id } => order(context, &id, "drop").await,
    }
}

async fn list(context: &Context) -> Result<(), Failure> {
    let rows: Vec<OutboxRow> = context.client.get("outbox").await?;
    if context.json() {
        return output::json(&rows);
    }
    let rows = rows.iter().map(|row| {
        [
            row.id.clone(),
            row.channel.clone(),
            row.to.clone(),
            state(&row.state),
            row.attempts.to_string(),
            span(row.age_s),
            row.error.clone().unwrap_or_default(),
        ]
    });
    output::table(
        ["ID", "CHANNEL", "TO", "STATE", "TRIES", "AGE", "WHY"],
        rows,
    )
}

async fn order(context: &Context, id: &str, what: &str) -> Result<(), Failure> {
    let path = format!("outbox/{}/{what}", part(id));
    let done: Done = context.client.post(&path, &json!({})).await?;
    context.done(&done.detail)
}
