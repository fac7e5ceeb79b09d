//! Long polling. Telegram forgets updates below the `offset` of a poll, so it moves only past what is on disk.

use std::sync::OnceLock;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::super::answer::text;
use super::api::Api;
use super::update::{self, Bot};
use crate::channel::{ChannelError, Host};

/// How long a poll waits for an update.
const WAIT: Duration = Duration::from_secs(25);
/// The least time between polls that find nothing, for servers that do not wait.
const PAUSE: Duration = Duration::from_millis(500);
/// The longest rest that we take where Telegram asks for one.
const REST: Duration = Duration::from_secs(300);

/// Polls until that fails.
pub(super) async fn poll(
    api: &Api,
    bot: &OnceLock<Bot>,
    host: &dyn Host,
) -> Result<(), ChannelError> {
    let mut offset = None;
    // The first poll does not wait: its answer tells whether we may poll.
    let mut wait = Duration::ZERO;
    loop {
        let asked = Instant::now();
        let updates = match updates(api, offset, wait).await? {
            Ok(updates) => updates,
            Err(rest) => {
                sleep(rest.min(REST)).await;
                continue;
            }
        };
        host.up();
        wait = WAIT;
        if updates.is_empty() {
            let spent = asked.elapsed();
            sleep(PAUSE.saturating_sub(spent)).await;
            continue;
        }
        let next = take(&updates, bot.get(), host).await?;
        offset = next.or(offset);
    }
}

/// Keeps what came; gives the offset of what did not come yet.
async fn take(
    updates: &[Value],
    bot: Option<&Bot>,
    host: &dyn Host,
) -> Result<Option<i64>, ChannelError> {
    let mut messages = Vec::new();
    for update in updates {
        match update::read(update, bot) {
            Ok(message) => messages.extend(message),
            // It would be the same when it comes again.
            Err(reason) => tracing::warn!(reason, "an update that makes no sense"),
        }
    }
    if !messages.is_empty() {
        let kept = host.accept(messages).await;
        kept.map_err(|error| ChannelError(error.to_string()))?;
    }
    let ids = updates
        .iter()
        .filter_map(|update| update["update_id"].as_i64());
    Ok(ids.max().map(|last| last + 1))
}

/// Updates, or how long Telegram wants to be left alone.
async fn updates(
    api: &Api,
    offset: Option<i64>,
    wait: Duration,
) -> Result<Result<Vec<Value>, Duration>, ChannelError> {
    let mut body = json!({ "timeout": wait.as_secs(), "allowed_updates": ["message"] });
    if let Some(offset) = offset {
        body["offset"] = json!(offset);
    }
    let answer = api.poll(&body, wait).await;
    let answer = answer.map_err(|error| ChannelError(format!("getUpdates: {error}")))?;
    let body = answer.body.unwrap_or_default();
    if let Value::Array(updates) = &body["result"]
        && body["ok"] == true
    {
        return Ok(Ok(updates.clone()));
    }
    let said = text(&body, "description");
    Err(ChannelError(match answer.status.as_u16() {
        429 => {
            let told = body["parameters"]["retry_after"].as_u64();
            let told = told.map(Duration::from_secs).or(answer.after);
            return Ok(Err(told.unwrap_or(Duration::from_secs(1))));
        }
        409 => {
            format!("another program takes this bot's messages, by polling or by a webhook: {said}")
        }
        401 | 404 => "Telegram does not know the bot_token".to_owned(),
        status => format!("getUpdates: Telegram answered {status} {said}"),
    }))
}
