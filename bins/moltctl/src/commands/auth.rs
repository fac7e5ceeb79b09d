//! `moltctl auth`.

use std::io::{IsTerminal, stdin};

use moltbot_types::admin::CredentialStatus;
use serde::Deserialize;
use serde_json::json;

use super::Context;
use crate::cli::{Auth, AuthSet};
use crate::client::part;
use crate::failure::Failure;
use crate::output::{self, state};

#[derive(Deserialize)]
struct Changed {
    detail: String,
}

pub(super) async fn run(context: &Context, command: Auth) -> Result<(), Failure> {
    match command {
        Auth::List => {
            let rows: Vec<CredentialStatus> = context.client.get("auth").await?;
            show(context, &rows)
        }
        Auth::Check { model } => {
            let asked = json!({ "model": model });
            let rows: Vec<CredentialStatus> = context.client.post("auth/check", &asked).await?;
            show(context, &rows)?;
            let bad = rows.iter().filter(|row| row.ok == Some(false)).count();
            match bad {
                0 => Ok(()),
                1 => Err(Failure::failed("1 model has no good credential")),
                bad => Err(Failure::failed(format!(
                    "{bad} models have no good credential"
                ))),
            }
        }
        Auth::Set(set) => {
            let body = json!({
                "secret": secret(&set)?,
                "refresh": set.refresh_token,
                "client_id": set.client_id,
                "token_url": set.token_url,
                "scope": set.scope,
            });
            let path = format!("auth/entries/{}", part(&set.model));
            let changed: Changed = context.client.put(&path, &body).await?;
            context.done(&changed.detail)
        }
        Auth::Remove { name } => {
            let path = format!("auth/entries/{}", part(&name));
            let changed: Changed = context.client.delete(&path).await?;
            context.done(&changed.detail)
        }
    }
}

fn show(context: &Context, rows: &[CredentialStatus]) -> Result<(), Failure> {
    if context.json() {
        return output::json(&rows);
    }
    let rows = rows.iter().map(|row| {
        [
            row.model.clone(),
            row.credential.clone().unwrap_or_else(|| "-".to_owned()),
            row.kind.clone(),
            match (row.ok, &row.cause) {
                (Some(true), _) => state("ok"),
                (Some(false), Some(cause)) => state(cause),
                (Some(false), None) => state("bad"),
                (None, _) => "-".to_owned(),
            },
            row.detail.clone().unwrap_or_default(),
        ]
    });
    output::table(["MODEL", "CREDENTIAL", "TYPE", "STATE", "WHY"], rows)
}

/// Asks a person without an echo; else the secret is what comes in.
fn secret(set: &AuthSet) -> Result<String, Failure> {
    if stdin().is_terminal() {
        let prompt = format!("Secret for {}", set.model);
        let asked = dialoguer::Password::new().with_prompt(prompt).interact();
        return asked.map_err(|error| Failure::failed(format!("no secret was read: {error}")));
    }
    Ok(std::io::read_to_string(stdin())?)
}
