//! `moltctl model pull` and `verify`.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use moltbot_config::Overrides;
use moltbot_files::{FilesError, ObjectSettings, Progress, PullSettings};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::Context;
use crate::cli::Pull;
use crate::failure::Failure;
use crate::output::{self, line};

pub(super) async fn run(context: &Context, pull: Pull) -> Result<(), Failure> {
    let folder = context.client.home().data_dir().join("models");
    let settings = PullSettings {
        sha256: pull.sha256,
        force: pull.force,
        objects: objects(context),
        ..PullSettings::default()
    };
    let bar = bar(context);
    let tell = |progress| show(&bar, progress);
    let pulled = moltbot_files::pull(&pull.source, &folder, &settings, &tell).await;
    bar.finish_and_clear();
    let pulled = pulled.map_err(failure)?;
    if context.json() {
        return output::json(&json!({
            "file": pulled.file,
            "sha256": pulled.sha256,
            "size": pulled.size,
            "kept": pulled.kept,
        }));
    }
    let word = if pulled.kept { "kept" } else { "pulled" };
    context.done(&format!(
        "{word} {} ({} bytes, sha256 {})",
        pulled.file.display(),
        pulled.size,
        pulled.sha256
    ))
}

pub(super) fn verify(context: &Context, file: Option<&str>) -> Result<(), Failure> {
    let folder = context.client.home().data_dir().join("models");
    let checked = moltbot_files::verify(&folder, file).map_err(failure)?;
    if context.json() {
        let rows = checked.iter();
        let rows = rows.map(|file| json!({ "name": file.name, "state": file.state.word() }));
        output::json(&rows.collect::<Vec<Value>>())?;
    } else if !context.global.quiet {
        for file in &checked {
            line(&format!("{:12} {}", file.state.word(), file.name))?;
        }
    }
    let damaged: Vec<_> = checked.iter().filter(|file| !file.is_whole()).collect();
    if damaged.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = damaged
        .iter()
        .map(|file| format!("{} is {}", file.name, file.state.word()))
        .collect();
    Err(Failure::new(
        1,
        format!("{}: pull it again with --force", names.join(", ")),
    ))
}

/// Keys and endpoint for `s3://`: under the names that other tools use, else those of the archive.
fn objects(context: &Context) -> ObjectSettings {
    let env = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    if env("AWS_ACCESS_KEY_ID").is_none()
        && let Some(archive) = archive(context)
    {
        return archive;
    }
    ObjectSettings {
        url: String::new(),
        endpoint: env("AWS_ENDPOINT_URL"),
        region: env("AWS_REGION"),
        access_key: env("AWS_ACCESS_KEY_ID"),
        secret_key: env("AWS_SECRET_ACCESS_KEY").map(Into::into),
    }
}

fn archive(context: &Context) -> Option<ObjectSettings> {
    let overrides = Overrides::from_process(Vec::new());
    let loaded = moltbot_config::load(context.client.home(), &overrides).ok()?;
    let archive = loaded.config.archive?;
    Some(ObjectSettings {
        url: String::new(),
        endpoint: archive.endpoint,
        region: Some(archive.region),
        access_key: archive.access_key.map(|key| key.expose_secret().to_owned()),
        secret_key: archive.secret_key,
    })
}

/// A bar on a terminal; indicatif draws nothing elsewhere.
fn bar(context: &Context) -> ProgressBar {
    let bar = ProgressBar::no_length();
    if context.global.quiet || context.json() {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    let form = "{msg} {bar:30} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} to go";
    if let Ok(style) = ProgressStyle::with_template(form) {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

fn show(bar: &ProgressBar, progress: Progress) {
    let (what, done, total) = match progress {
        Progress::Loading { done, total } => ("loading", done, total),
        Progress::Checking { done, total } => ("checking", done, Some(total)),
    };
    bar.set_message(what);
    if let Some(total) = total {
        bar.set_length(total);
    }
    bar.set_position(done);
}

fn failure(error: FilesError) -> Failure {
    Failure::new(error.exit_code(), error.to_string())
}
