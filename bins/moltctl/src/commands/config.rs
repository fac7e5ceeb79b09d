//! `moltctl config`.

use serde::Deserialize;
use serde_json::{Value, json};

use super::Context;
use crate::cli::Config;
use crate::client::part;
use crate::failure::Failure;
use crate::output::{self, DIM, line};

/// One value in force, as the admin service tells it.
#[derive(Deserialize, serde::Serialize)]
struct Entry {
    key: String,
    value: Value,
    layer: String,
    file: Option<String>,
    line: Option<u64>,
}

/// What a change did.
#[derive(Deserialize)]
struct Changed {
    detail: String,
}

pub(super) async fn run(context: &Context, command: Config) -> Result<(), Failure> {
    let client = &context.client;
    match command {
        Config::Get { key, file } => {
            let query = if file { "?file" } else { "" };
            let value: Value = client
                .get(&format!("config/values/{}{query}", part(&key)))
                .await?;
            if context.json() {
                return output::json(&value);
            }
            line(&plain(&value))
        }
        Config::Set { key, value } => {
            let path = format!("config/values/{}", part(&key));
            let changed: Changed = client.put(&path, &json!({ "value": value })).await?;
            context.done(&changed.detail)
        }
        Config::Unset { key } => {
            let changed: Changed = client
                .delete(&format!("config/values/{}", part(&key)))
                .await?;
            context.done(&changed.detail)
        }
        Config::Show { origin } => show(context, origin).await,
        Config::Validate => {
            let changed: Changed = client.post("config/validate", &json!({})).await?;
            context.done(&changed.detail)
        }
        Config::Schema { file } => {
            let path = format!("config/schema/{}", part(&file));
            output::json(&client.get::<Value>(&path).await?)
        }
        Config::Diff => {
            let diff: String = client.get("config/diff").await?;
            if context.json() {
                return output::json(&diff);
            }
            output::raw(diff.as_bytes())
        }
        Config::Reload => {
            let changed: Changed = client.post("reload", &json!({})).await?;
            context.done(&changed.detail)
        }
        Config::Rollback => {
            let changed: Changed = client.post("config/rollback", &json!({})).await?;
            context.done(&changed.detail)
        }
    }
}

async fn show(context: &Context, origin: bool) -> Result<(), Failure> {
    let entries: Vec<Entry> = context.client.get("config").await?;
    if context.json() {
        return output::json(&entries);
    }
    for entry in entries {
        let text = format!("{} = {}", entry.key, plain(&entry.value));
        if !origin {
            line(&text)?;
            continue;
        }
        let place = match (&entry.file, entry.line) {
            (Some(file), Some(number)) => format!("{}: {file}:{number}", entry.layer),
            (Some(file), None) => format!("{}: {file}", entry.layer),
            _ => entry.layer,
        };
        line(&format!("{text}  {DIM}# {place}{DIM:#}"))?;
    }
    Ok(())
}

/// A value as a person writes it: texts without quotes, the rest as JSON.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
