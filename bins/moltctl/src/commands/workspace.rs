//! `moltctl workspace`.

use std::io::{BufRead, IsTerminal, Write};

use moltbot_types::Workspace as Name;
use moltbot_types::admin::WorkspaceStatus;
use serde::Deserialize;
use serde_json::json;

use super::Context;
use crate::cli::Workspace;
use crate::client::part;
use crate::failure::Failure;
use crate::output::{self, WARN, line, state};

#[derive(Deserialize)]
struct Changed {
    detail: String,
}

pub(super) async fn run(context: &Context, command: Workspace) -> Result<(), Failure> {
    let client = &context.client;
    let changed: Changed = match command {
        Workspace::List => return list(context).await,
        Workspace::Show { name } => return show(context, name.as_deref()).await,
        Workspace::Create { name } => client.post("workspaces", &json!({ "name": name })).await?,
        Workspace::Use { name } => {
            let path = format!("workspaces/{}/use", part(&name));
            client.post(&path, &json!({})).await?
        }
        Workspace::Delete { name, yes } => {
            if !yes {
                agreed(&name)?;
            }
            client
                .delete(&format!("workspaces/{}", part(&name)))
                .await?
        }
    };
    context.done(&changed.detail)
}

/// Asks a person; a program has to say `--yes`.
fn agreed(name: &str) -> Result<(), Failure> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        let words = format!("deleting {name} takes its files and secrets away; say it with --yes");
        return Err(Failure::new(2, words));
    }
    anstream::print!("Delete the workspace {name} with its files and secrets? [y/N] ");
    std::io::stdout().flush()?;
    let mut answer = String::new();
    stdin.lock().read_line(&mut answer)?;
    match answer.trim() {
        "y" | "Y" | "yes" => Ok(()),
        _ => Err(Failure::failed("nothing was deleted")),
    }
}

async fn list(context: &Context) -> Result<(), Failure> {
    let workspaces: Vec<WorkspaceStatus> = context.client.get("workspaces").await?;
    if context.json() {
        return output::json(&workspaces);
    }
    let rows = workspaces.iter().map(|workspace| {
        let mark = if workspace.current { "*" } else { "" };
        [
            mark.to_owned(),
            workspace.name.clone(),
            state(&workspace.state),
            workspace.models.join(", "),
            workspace.shared_models.join(", "),
            workspace.channels.join(", "),
        ]
    });
    output::table(
        [
            "",
            "WORKSPACE",
            "STATE",
            "OWN MODELS",
            "SHARED MODELS",
            "CHANNELS",
        ],
        rows,
    )
}

async fn show(context: &Context, name: Option<&str>) -> Result<(), Failure> {
    let at_hand = context.client.workspace();
    let name = name.or(at_hand).unwrap_or(Name::DEFAULT);
    let path = format!("workspaces/{}", part(name));
    let workspace: WorkspaceStatus = context.client.get(&path).await?;
    if context.json() {
        return output::json(&workspace);
    }
    line(&format!("name      {}", workspace.name))?;
    line(&format!("state     {}", state(&workspace.state)))?;
    line(&format!("models    {}", workspace.models.join(", ")))?;
    line(&format!("shared    {}", workspace.shared_models.join(", ")))?;
    line(&format!("channels  {}", workspace.channels.join(", ")))?;
    line(&format!("members   {}", workspace.members))?;
    for problem in &workspace.problems {
        line(&format!("{WARN}  {problem}{WARN:#}"))?;
    }
    Ok(())
}
