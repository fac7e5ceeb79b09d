//! `moltctl key`.

use moltbot_types::admin::{KeyStatus, NewKey};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Context;
use crate::cli::Key;
use crate::client::part;
use crate::failure::Failure;
use crate::output::{self, line, state};

#[derive(Deserialize)]
struct Changed {
    detail: String,
}

pub(super) async fn run(context: &Context, command: Key) -> Result<(), Failure> {
    match command {
        Key::Create {
            name,
            role,
            expires,
            models,
        } => {
            let wanted = json!({
                "name": name.unwrap_or_default(),
                "role": role,
                "expires": expires,
                "models": (!models.is_empty()).then_some(models),
            });
            show(context, context.client.post("keys", &wanted).await?)
        }
        Key::List => list(context, &context.client.get::<Vec<_>>("keys").await?),
        Key::Revoke { id } => {
            let path = format!("keys/{}", part(&id));
            let changed: Changed = context.client.delete(&path).await?;
            context.done(&changed.detail)
        }
        Key::Rotate { id, overlap } => {
            let path = format!("keys/{}/rotate", part(&id));
            let asked = json!({ "overlap": overlap });
            show(context, context.client.post(&path, &asked).await?)
        }
    }
}

/// Shows a new key, which nobody can show again.
fn show(context: &Context, answer: Value) -> Result<(), Failure> {
    if context.json() {
        return output::json(&answer);
    }
    let until = answer["overlap_until"].as_str().map(str::to_owned);
    let key: NewKey = serde_json::from_value(answer)
        .map_err(|error| Failure::failed(format!("the answer is not understood: {error}")))?;
    if context.global.quiet {
        return line(&key.key);
    }
    let expires = key.expires.as_deref().unwrap_or("never");
    line(&format!(
        "{} of the workspace {}, role {}, expires {expires}; it is shown this once:\n  {}",
        key.id, key.workspace, key.role, key.key
    ))?;
    match until {
        Some(until) => line(&format!("the key before it is good until {until}")),
        None => Ok(()),
    }
}

fn list(context: &Context, rows: &[KeyStatus]) -> Result<(), Failure> {
    if context.json() {
        return output::json(&rows);
    }
    let dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let rows = rows.iter().map(|row| {
        [
            row.id.clone(),
            row.name.clone(),
            row.role.clone(),
            state(&row.state),
            row.models
                .as_ref()
                .map_or("*".to_owned(), |models| models.join(",")),
            dash(&row.expires),
            dash(&row.last_used),
        ]
    });
    let head = [
        "ID",
        "NAME",
        "ROLE",
        "STATE",
        "MODELS",
        "EXPIRES",
        "LAST USED",
    ];
    output::table(head, rows)
}
