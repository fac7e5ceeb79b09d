//! `moltctl test`: compares models on real calls.

use std::path::Path;

use moltbot_types::admin::{TestOrder, TestStatus};
use serde_json::{Value, json};

use super::Context;
use crate::cli::{Test, TestCreate};
use crate::client::part;
use crate::failure::Failure;
use crate::output;

pub(super) async fn run(context: &Context, command: Test) -> Result<(), Failure> {
    match command {
        Test::Create(create) => self::create(context, create).await,
        Test::List => list(context).await,
        Test::Report { name, html } => report(context, &name, html.as_deref()).await,
        Test::Stop { name } => {
            let path = scoped(context, &format!("tests/{}/stop", part(&name)), &[]);
            done(context, context.client.post(&path, &json!({})).await?)
        }
        Test::Promote { name, to } => {
            let path = scoped(context, &format!("tests/{}/promote", part(&name)), &[]);
            let answer = context.client.post(&path, &json!({ "to": to })).await?;
            done(context, answer)
        }
    }
}

async fn create(context: &Context, create: TestCreate) -> Result<(), Failure> {
    let models: Vec<String> = serde_json::from_str(&create.models).map_err(|_| {
        let words = format!(
            "--models `{}` is no list: write '[\"a\",\"b\"]'",
            create.models
        );
        Failure::new(2, words)
    })?;
    let order = TestOrder {
        name: create.name,
        models,
        sample_size: create.sample_size,
        unit: create.unit,
        weights: create.weights,
        metric: create.metric,
        mde: create.mde,
        guards: create.guard,
        model: create.model,
    };
    let made: TestStatus = context
        .client
        .post(&scoped(context, "tests", &[]), &order)
        .await?;
    if context.json() {
        return output::json(&made);
    }
    let name = &made.name;
    context.done(&format!(
        "the test `{name}` runs: calls that name `experiment:{name}` as their model take part; see `moltctl test report {name}`"
    ))
}

async fn list(context: &Context) -> Result<(), Failure> {
    let tests: Vec<TestStatus> = context.client.get(&scoped(context, "tests", &[])).await?;
    if context.json() {
        return output::json(&tests);
    }
    output::table(
        ["NAME", "STATE", "METRIC", "UNITS", "OF", "ARMS"],
        tests.into_iter().map(|test| {
            let counts = [test.units, test.sample_size].map(|count| count.to_string());
            let [units, of] = counts;
            [
                test.name,
                test.state,
                test.metric,
                units,
                of,
                test.arms.join(", "),
            ]
        }),
    )
}

async fn report(context: &Context, name: &str, html: Option<&Path>) -> Result<(), Failure> {
    let path = format!("tests/{}", part(name));
    let ask = async |form: &str| -> Result<Value, Failure> {
        context
            .client
            .get(&scoped(context, &path, &[("as", form)]))
            .await
    };
    let mut written = Ok(());
    if let Some(file) = html {
        let page = ask("html").await?;
        let page = page["html"].as_str().unwrap_or_default();
        // A page that can't be written takes the report below with it nowhere.
        written = std::fs::write(file, page).map_err(|error| {
            Failure::failed(format!("{} is not written: {error}", file.display()))
        });
    }
    if context.json() {
        output::json(&ask("json").await?)?;
    } else {
        output::line(
            ask("text").await?["text"]
                .as_str()
                .unwrap_or_default()
                .trim_end(),
        )?;
    }
    written
}

fn done(context: &Context, answer: Value) -> Result<(), Failure> {
    context.done(answer["detail"].as_str().unwrap_or_default())
}

/// A path with its parameters and the workspace that the command works in.
fn scoped(context: &Context, path: &str, parameters: &[(&str, &str)]) -> String {
    let workspace = context.global.workspace.as_deref();
    let workspace = workspace.map(|name| ("workspace", name));
    let pairs: Vec<_> = parameters
        .iter()
        .copied()
        .chain(workspace)
        .map(|(name, value)| format!("{name}={}", part(value)))
        .collect();
    format!("{path}?{}", pairs.join("&"))
}
