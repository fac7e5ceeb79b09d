//! `moltctl skill`.

use std::fs;
use std::io::{IsTerminal, stdin, stdout};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Context;
use crate::cli::Skill;
use crate::client::part;
use crate::failure::Failure;
use crate::output::{self, state};

/// A line of `skill list`.
#[derive(Serialize, Deserialize)]
struct Row {
    name: String,
    version: String,
    workspace: String,
    state: String,
    reason: Option<String>,
    triggers: Vec<String>,
    permissions: String,
    runs: u64,
    errors: u64,
    #[serde(flatten)]
    more: serde_json::Map<String, Value>,
}

#[derive(Serialize, Deserialize)]
struct Checked {
    name: String,
    ok: bool,
    problems: Vec<String>,
    warnings: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct Matched {
    skill: String,
    trigger: String,
    why: String,
}

#[derive(Serialize, Deserialize)]
struct Ran {
    answer: Option<String>,
    pass: bool,
    logs: Vec<Line>,
    error: Option<String>,
    cpu_ms: f64,
    wall_ms: f64,
}

#[derive(Serialize, Deserialize)]
struct Line {
    level: String,
    text: String,
}

pub(super) async fn run(context: &Context, command: Skill) -> Result<(), Failure> {
    match command {
        Skill::New { name } => new(context, &name),
        Skill::List => list(context).await,
        Skill::Validate { name } => validate(context, name.as_deref()).await,
        Skill::Match { text, channel } => {
            let asked = json!({ "text": text, "channel": channel });
            let path = "skills/match".to_owned();
            let rows: Vec<Matched> = context.client.post(&path, &asked).await?;
            if context.json() {
                return output::json(&rows);
            }
            let rows = rows
                .into_iter()
                .map(|row| [row.skill, row.trigger, row.why]);
            output::table(["SKILL", "TRIGGER", "WHY"], rows)
        }
        Skill::Run {
            name,
            text,
            args,
            sender,
            channel,
        } => {
            let args = args
                .map(|args| serde_json::from_str::<Value>(&args))
                .transpose();
            let args =
                args.map_err(|error| Failure::new(2, format!("--args is no JSON: {error}")))?;
            let asked = json!({ "text": text, "args": args, "sender": sender, "channel": channel });
            try_it(context, &name, asked).await
        }
        Skill::Install { path, force } => {
            let from = std::path::absolute(&path)?;
            let asked = json!({ "path": from, "force": force });
            let done: Value = context.client.post("skills", &asked).await?;
            told(context, &done)
        }
        Skill::Enable { name } => enable(context, &name).await,
        Skill::Disable { name } => {
            let path = format!("skills/{}/disable", part(&name));
            let done: Value = context.client.post(&path, &json!({})).await?;
            told(context, &done)
        }
    }
}

/// Says what was done, with all that is known of it.
fn told(context: &Context, done: &Value) -> Result<(), Failure> {
    match context.json() {
        true => output::json(done),
        false => context.done(done["detail"].as_str().unwrap_or("done")),
    }
}

async fn rows(context: &Context) -> Result<Vec<Row>, Failure> {
    context.client.get("skills").await
}

async fn list(context: &Context) -> Result<(), Failure> {
    let rows = rows(context).await?;
    if context.json() {
        return output::json(&rows);
    }
    let rows = rows.into_iter().map(|row| {
        [
            row.name,
            row.version,
            state(&row.state),
            row.triggers.join("; "),
            format!("{}/{}", row.runs, row.errors),
            row.reason.unwrap_or_default(),
        ]
    });
    output::table(
        [
            "SKILL",
            "VERSION",
            "STATE",
            "TRIGGERS",
            "RUNS/ERRORS",
            "WHY",
        ],
        rows,
    )
}

async fn validate(context: &Context, name: Option<&str>) -> Result<(), Failure> {
    let mut path = "skills/validate".to_owned();
    if let Some(name) = name {
        let joint = if path.contains('?') { '&' } else { '?' };
        path = format!("{path}{joint}name={}", part(name));
    }
    let rows: Vec<Checked> = context.client.get(&path).await?;
    let bad = rows.iter().filter(|row| !row.ok).count();
    if context.json() {
        output::json(&rows)?;
    } else {
        for row in &rows {
            let problems = row
                .problems
                .iter()
                .map(|problem| format!("error: {problem}"));
            let warnings = row
                .warnings
                .iter()
                .map(|warning| format!("warning: {warning}"));
            let mut lines: Vec<_> = problems.chain(warnings).collect();
            if lines.is_empty() {
                lines.push("good".to_owned());
            }
            for line in lines {
                output::line(&format!("{}: {line}", row.name))?;
            }
        }
    }
    match bad {
        0 => Ok(()),
        bad => Err(Failure::new(
            78,
            format!("{bad} of {} skills are broken", rows.len()),
        )),
    }
}

async fn try_it(context: &Context, name: &str, asked: Value) -> Result<(), Failure> {
    let path = format!("skills/{}/run", part(name));
    let ran: Ran = context.client.post(&path, &asked).await?;
    if context.json() {
        output::json(&ran)?;
    } else {
        for line in &ran.logs {
            eprintln!("{}: {}", line.level, line.text);
        }
        match (&ran.answer, ran.pass) {
            (Some(text), false) => output::line(text)?,
            (Some(text), true) => output::line(&format!("passes on: {text}"))?,
            (None, _) if ran.error.is_none() => output::line("says nothing; the turn goes on")?,
            (None, _) => {}
        }
    }
    match ran.error {
        Some(error) => Err(Failure::failed(format!("{name}/{error}"))),
        None => Ok(()),
    }
}

/// Shows what a skill asks for; a person at a terminal is asked, anybody else has decided.
async fn enable(context: &Context, name: &str) -> Result<(), Failure> {
    let known = rows(context).await?;
    let asks = known.into_iter().find(|row| row.name == name);
    let waits = asks.filter(|row| row.state == "waiting");
    if let Some(row) = waits
        && !context.json()
        && stdin().is_terminal()
        && stdout().is_terminal()
    {
        let prompt = format!("{name} asks for {}. Grant it?", row.permissions);
        let asked = dialoguer::Confirm::new().with_prompt(prompt).interact();
        if !asked.map_err(|error| Failure::failed(error.to_string()))? {
            return Err(Failure::failed("nothing was granted"));
        }
    }
    let path = format!("skills/{}/enable", part(name));
    let done: Value = context.client.post(&path, &json!({})).await?;
    told(context, &done)
}

const MANIFEST: &str = "\
name: NAME
version: 0.1.0
description: Greets whoever asks
entry: index.js
triggers:
  - command: /NAME
tool: true
parameters: { type: object, properties: { name: { type: string } } }
# what it may do beyond computing; whoever runs it approves with `moltctl skill enable NAME`
# permissions: { net: [\"api.example.com\"], secrets: [TOKEN], kv: true, model: [primary-model] }
";

const SCRIPT: &str = "\
// ctx has text, match, args, sender, channel, workspace, history, tool,
// fetch, kv, model.chat, secret, log. Return a text, { text, pass: true } or nothing.
export default async (ctx) => {
  const name = ctx.tool ? ctx.args.name : ctx.args;
  return `Hello ${name || \"there\"}!`;
};
";

fn new(context: &Context, name: &str) -> Result<(), Failure> {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() || name.len() > 64 || !name.chars().all(fits) {
        let words = "a skill's name is 1 to 64 letters, digits, `-` and `_`";
        return Err(Failure::new(2, words.to_owned()));
    }
    let home = context.client.home();
    let shelf: PathBuf = match context.client.workspace() {
        None | Some("default") => home.skills_dir(),
        Some(other) => home.workspace_skills_dir(other),
    };
    let folder = shelf.join(name);
    if folder.exists() {
        return Err(Failure::failed(format!(
            "{} is there already",
            folder.display()
        )));
    }
    // Hidden until it is whole.
    let new = shelf.join(format!(".{name}.new"));
    fs::create_dir_all(&new)?;
    fs::write(new.join("skill.yaml"), MANIFEST.replace("NAME", name))?;
    fs::write(new.join("index.js"), SCRIPT)?;
    fs::rename(&new, &folder)?;
    context.done(&format!(
        "{} is made; try `moltctl skill run {name} --text \"/{name} Ann\"`",
        folder.display()
    ))
}
