//! `moltctl model`.

use moltbot_types::admin::ModelStatus;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{Context, pull};
use crate::cli::Model;
use crate::client::part;
use crate::failure::Failure;
use crate::output::{self, line, state};

/// A model as configured, and its state where a daemon runs.
#[derive(Deserialize, Serialize)]
struct Listed {
    name: String,
    workspace: String,
    kind: String,
    provider: String,
    model: String,
    targets: Vec<String>,
    fallback: Vec<String>,
    switch_to: Option<String>,
    status: Option<ModelStatus>,
}

/// The answer to a model's test.
#[derive(Deserialize, Serialize)]
struct Tested {
    ok: bool,
    served: String,
    target: String,
    attempts: usize,
    ms: u64,
    answer: String,
}

#[derive(Deserialize)]
struct Changed {
    detail: String,
}

pub(super) async fn run(context: &Context, command: Model) -> Result<(), Failure> {
    match command {
        Model::List => list(context).await,
        Model::Pull(pull) => pull::run(context, pull).await,
        Model::Verify { file } => pull::verify(context, file.as_deref()),
        Model::Show { name } => show(context, &name).await,
        Model::Add {
            name,
            endpoint,
            provider,
            model,
            kind,
            fallback,
            key_env,
        } => {
            let mut entry = Map::new();
            entry.insert("name".to_owned(), name.into());
            entry.insert("provider".to_owned(), provider.into());
            for (key, value) in [
                ("endpoint", endpoint),
                ("model", model),
                ("kind", kind),
                ("fallback", fallback),
            ] {
                if let Some(value) = value {
                    entry.insert(key.to_owned(), value.into());
                }
            }
            if let Some(variable) = key_env {
                let key = format!("${{env:{variable}}}");
                entry.insert("auth".to_owned(), json!({ "type": "api_key", "key": key }));
            }
            let changed: Changed = context.client.post("models", &Value::Object(entry)).await?;
            context.done(&changed.detail)
        }
        Model::Remove { name } => {
            let changed: Changed = context
                .client
                .delete(&format!("models/{}", part(&name)))
                .await?;
            context.done(&changed.detail)
        }
        Model::Test { name } => {
            let path = format!("models/{}/test", part(&name));
            let tested: Tested = context.client.post(&path, &json!({})).await?;
            if context.json() {
                return output::json(&tested);
            }
            line(&format!(
                "{} answered in {} ms from {} after {} attempt(s): {}",
                tested.served, tested.ms, tested.target, tested.attempts, tested.answer
            ))
        }
        Model::Switch { name, to } => {
            let path = format!("models/{}/switch", part(&name));
            let changed: Changed = context.client.post(&path, &json!({ "to": to })).await?;
            context.done(&changed.detail)
        }
    }
}

async fn list(context: &Context) -> Result<(), Failure> {
    let models: Vec<Listed> = context.client.get("models").await?;
    if context.json() {
        return output::json(&models);
    }
    let rows = models.iter().map(|model| {
        [
            model.name.clone(),
            model.kind.clone(),
            model.provider.clone(),
            state_of(model),
            model.targets.len().to_string(),
            match &model.switch_to {
                Some(other) => format!("switched to {other}"),
                None => model.fallback.join(", "),
            },
        ]
    });
    output::table(
        ["MODEL", "KIND", "PROVIDER", "STATE", "TARGETS", "FALLBACK"],
        rows,
    )
}

async fn show(context: &Context, name: &str) -> Result<(), Failure> {
    let model: Listed = context
        .client
        .get(&format!("models/{}", part(name)))
        .await?;
    if context.json() {
        return output::json(&model);
    }
    line(&format!("name      {}", model.name))?;
    line(&format!("kind      {}", model.kind))?;
    line(&format!("provider  {} ({})", model.provider, model.model))?;
    line(&format!("state     {}", state_of(&model)))?;
    if !model.fallback.is_empty() {
        line(&format!("fallback  {}", model.fallback.join(", ")))?;
    }
    if let Some(other) = &model.switch_to {
        line(&format!("switched  to {other}"))?;
    }
    for target in &model.targets {
        line(&format!("target    {target}"))?;
    }
    Ok(())
}

/// Without a daemon nobody knows.
fn state_of(model: &Listed) -> String {
    model
        .status
        .as_ref()
        .map_or_else(|| "-".to_owned(), |status| state(&status.state))
}
