//! Credentials of upstreams: listed, tried, set, removed.

use std::collections::HashMap;

use moltbot_auth::credential::{Fault, try_at};
use moltbot_config::config::{Auth, Model};
use moltbot_providers::http::list_of_models;
use moltbot_types::Workspace;
use moltbot_types::admin::CredentialStatus;
use moltbot_wire::openai::OPENAI;
use serde::Deserialize;

use super::seen::{self, Seen};
use super::{Admin, Answer, Refusal, json};
use crate::runtime::{LAST_TOKEN, Runtime};

/// The body of `POST auth/check`.
#[derive(Deserialize)]
pub(super) struct Asked {
    model: Option<String>,
}

/// The body of `PUT auth/entries/MODEL`.
#[derive(Deserialize)]
pub(super) struct Wanted {
    secret: String,
    /// The secret is a refresh token.
    #[serde(default)]
    refresh: bool,
    client_id: Option<String>,
    token_url: Option<String>,
    scope: Option<String>,
}

impl Admin {
    pub(super) fn auth_list(&self, scope: &Workspace) -> Answer {
        let loaded = self.load()?;
        let models = Seen::of(&loaded, scope)?.models();
        let rows = models.map(|model| {
            let mut row = row(model);
            if let Some(daemon) = &self.daemon
                && let Auth::OAuth(oauth) = &model.auth
                && let Some(credential) = daemon.rt.credentials.find(oauth)
            {
                let state = credential.state();
                let state = state.borrow();
                row.lives_s = state.lives().map(|lives| lives.as_secs());
                row.skew_s = state.skew_s();
                row.ok = (state.is_good() || state.is_dead()).then(|| state.is_good());
                blame(&mut row, state.fault());
            }
            row
        });
        json(&rows.collect::<Vec<_>>())
    }

    /// Logs in as each model, or the one that was asked for.
    pub(super) async fn auth_check(&self, scope: &Workspace, asked: Asked) -> Answer {
        let loaded = self.load()?;
        let seen = Seen::of(&loaded, scope)?;
        let models: Vec<&Model> = match &asked.model {
            Some(name) => vec![seen.model(name)?],
            None => seen.models().collect(),
        };
        let rows = match &self.daemon {
            Some(daemon) => check_all(&models, &daemon.rt).await,
            None => {
                let rt = self.runtime(&loaded.config)?;
                let rows = check_all(&models, &rt).await;
                // A refresh token that came meanwhile is kept first.
                rt.end(LAST_TOKEN).await;
                rows
            }
        };
        json(&rows?)
    }

    /// Writes a secret into the entry that the model reads.
    pub(super) async fn auth_set(&self, scope: &Workspace, name: &str, wanted: Wanted) -> Answer {
        let loaded = self.load()?;
        let seen = Seen::of(&loaded, scope)?;
        let model = seen.model(name)?;
        seen.owner(scope, name)?;
        let secret = wanted.secret.trim();
        if secret.is_empty() {
            return Err(Refusal::usage("the secret is empty; nothing was written"));
        }
        let is_client = wanted.client_id.is_some() || wanted.token_url.is_some() || wanted.refresh;
        let is_oauth = is_client
            || matches!(
                model.auth,
                Auth::OAuth(_) | Auth::Missing { oauth: true, .. }
            );
        let (kind, key) = match (is_oauth, wanted.refresh) {
            (true, true) => ("oauth", "refresh_token"),
            (true, false) => ("oauth", "client_secret"),
            (false, _) => ("api_key", "key"),
        };
        let mut keys = vec![("type", kind)];
        let client = [
            ("client_id", &wanted.client_id),
            ("token_url", &wanted.token_url),
            ("scope", &wanted.scope),
        ];
        let client = client.iter().filter(|_| is_oauth);
        keys.extend(client.filter_map(|(key, value)| Some((*key, value.as_deref()?))));
        keys.push((key, secret));
        let entry = entry_of(model);
        self.edit(|editor| editor.set_credential(entry, &keys))?;
        let mut words = format!("the {key} of \"{entry}\" is written to models/auth.json");
        let loaded = self.load()?;
        if let Auth::Missing { what, .. } = &Seen::of(&loaded, scope)?.model(name)?.auth {
            words = format!("{words}; still missing: {what}");
        }
        self.changed(&words).await
    }

    /// Takes an entry out; that of a workspace is named without its workspace.
    pub(super) async fn auth_remove(&self, scope: &Workspace, name: &str) -> Answer {
        seen::workspace(&self.load()?.config, scope)?;
        let name = match scope.as_str() {
            Workspace::DEFAULT => name.to_owned(),
            scope => format!("{scope}/{name}"),
        };
        self.edit(|editor| editor.remove_credential(&name))?;
        let words = format!("\"{name}\" is taken out of models/auth.json");
        self.changed(&words).await
    }
}

/// The entry of `auth.json` that a model reads.
fn entry_of(model: &Model) -> &str {
    let id = model.auth.id();
    let entry = id.and_then(|id| id.split_once('/'));
    entry.map_or(&model.name, |(_, entry)| entry)
}

/// What the configuration says.
fn row(model: &Model) -> CredentialStatus {
    let mut row = CredentialStatus {
        model: model.name.clone(),
        credential: model.auth.id().map(str::to_owned),
        kind: match &model.auth {
            Auth::None => "none",
            Auth::ApiKey { .. } => "api_key",
            Auth::OAuth(_) => "oauth",
            Auth::Missing { .. } => "missing",
        }
        .to_owned(),
        ..CredentialStatus::default()
    };
    if let Auth::Missing { what, .. } = &model.auth {
        row.ok = Some(false);
        row.cause = Some("secret".to_owned());
        row.detail = Some(what.clone());
    }
    row
}

fn unusable(error: moltbot_auth::AuthError) -> Refusal {
    Refusal::failed(error.to_string())
}

fn blame(row: &mut CredentialStatus, fault: Option<&Fault>) {
    row.cause = fault.map(|fault| fault.cause.word().to_owned());
    row.detail = fault.map(|fault| fault.words.clone());
}

async fn check_all(models: &[&Model], rt: &Runtime) -> Result<Vec<CredentialStatus>, Refusal> {
    let mut rows = Vec::with_capacity(models.len());
    let mut tried = HashMap::new();
    for model in models {
        rows.push(check(model, rt, &mut tried).await?);
    }
    Ok(rows)
}

/// Logs in as one model. What several models share is tried once.
async fn check(
    model: &Model,
    rt: &Runtime,
    tried: &mut HashMap<String, Result<(), Fault>>,
) -> Result<CredentialStatus, Refusal> {
    let mut row = row(model);
    let outcome = match &model.auth {
        Auth::None | Auth::Missing { .. } => return Ok(row),
        Auth::OAuth(oauth) => {
            let credential = rt.credentials.oauth(oauth, rt).map_err(unusable)?;
            let outcome = match tried.get(&oauth.id) {
                Some(outcome) => outcome.clone(),
                None => credential.log_in().await,
            };
            tried.insert(oauth.id.clone(), outcome.clone());
            let state = credential.state();
            row.lives_s = state.borrow().lives().map(|lives| lives.as_secs());
            row.skew_s = state.borrow().skew_s();
            outcome
        }
        Auth::ApiKey { .. } => {
            let credential = rt.credentials.of(&model.auth, rt).map_err(unusable)?;
            let mut outcome = Ok(());
            for target in &model.targets {
                let list = list_of_models(&target.url, &OPENAI);
                outcome = try_at(&list, &*credential, rt.credentials.client()).await;
                if outcome.is_err() {
                    break;
                }
            }
            outcome
        }
    };
    row.ok = Some(outcome.is_ok());
    blame(&mut row, outcome.as_ref().err());
    Ok(row)
}
