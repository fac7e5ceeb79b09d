//! `moltctl channel`.

use moltbot_types::admin::{ChannelOrder, ChannelStatus, Done};
use serde::{Deserialize, Serialize};

use super::Context;
use crate::cli::Channel;
use crate::client::part;
use crate::failure::Failure;
use crate::output::{self, line, state};

/// What a message would go through.
#[derive(Deserialize, Serialize)]
struct Simulation {
    steps: Vec<Step>,
    answer: Option<String>,
    chunks: Vec<String>,
}

#[derive(Deserialize, Serialize)]
struct Step {
    step: String,
    outcome: String,
    reason: Option<String>,
    ms: f64,
}

pub(super) async fn run(context: &Context, command: Channel) -> Result<(), Failure> {
    let plain = ChannelOrder::default();
    match command {
        Channel::List => list(context).await,
        Channel::Enable { name } => order(context, &name, "enable", &plain).await,
        Channel::Disable { name } => order(context, &name, "disable", &plain).await,
        Channel::Test { name } => order(context, &name, "test", &plain).await,
        Channel::Send { name, to, text } => {
            let sending = ChannelOrder {
                room: Some(to),
                text,
                ..plain
            };
            order(context, &name, "send", &sending).await
        }
        Channel::Simulate {
            name,
            sender,
            text,
            room,
            deliver,
        } => {
            let trial = ChannelOrder {
                sender,
                room,
                text,
                deliver,
            };
            simulate(context, &name, &trial).await
        }
    }
}

async fn list(context: &Context) -> Result<(), Failure> {
    let channels: Vec<ChannelStatus> = context.client.get("channels").await?;
    if context.json() {
        return output::json(&channels);
    }
    let rows = channels.iter().map(|channel| {
        [
            channel.name.clone(),
            channel.kind.clone(),
            state(&channel.state),
            channel.received.to_string(),
            channel.answered.to_string(),
            channel.failed.to_string(),
            channel.queued.to_string(),
            channel.reason.clone().unwrap_or_default(),
        ]
    });
    let head = [
        "CHANNEL", "KIND", "STATE", "RECEIVED", "ANSWERED", "FAILED", "QUEUED", "WHY",
    ];
    output::table(head, rows)?;
    for channel in &channels {
        if let Some(snippet) = &channel.snippet {
            line(&format!("\nTo embed {}:\n{snippet}", channel.name))?;
        }
    }
    Ok(())
}

async fn order(
    context: &Context,
    name: &str,
    what: &str,
    order: &ChannelOrder,
) -> Result<(), Failure> {
    let path = format!("channels/{}/{what}", part(name));
    match context.client.post::<Done>(&path, order).await {
        Ok(done) => context.done(&done.detail),
        // What went wrong is printed in the same form, and the exit code tells it too.
        Err(failure) if context.json() => {
            output::json(&Done {
                ok: false,
                detail: failure.message.clone(),
            })?;
            Err(failure)
        }
        Err(failure) => Err(failure),
    }
}

async fn simulate(context: &Context, name: &str, order: &ChannelOrder) -> Result<(), Failure> {
    let path = format!("channels/{}/simulate", part(name));
    let trial: Simulation = context.client.post(&path, order).await?;
    if context.json() {
        return output::json(&trial);
    }
    let rows = trial.steps.iter().map(|step| {
        [
            step.step.clone(),
            state(&step.outcome),
            format!("{:.1} ms", step.ms),
            step.reason.clone().unwrap_or_default(),
        ]
    });
    output::table(["STEP", "OUTCOME", "TOOK", "WHY"], rows)?;
    for chunk in &trial.chunks {
        line(&format!("\n{chunk}"))?;
    }
    Ok(())
}
