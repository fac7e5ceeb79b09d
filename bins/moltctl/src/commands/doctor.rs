//! `moltctl doctor`.

use moltbot_types::admin::Check;
use serde::Deserialize;
use serde_json::json;

use super::Context;
use crate::failure::Failure;
use crate::output::{self, line, state};

#[derive(Deserialize)]
struct Mended {
    mended: Vec<String>,
}

pub(super) async fn run(context: &Context, security: bool, fix: bool) -> Result<(), Failure> {
    if fix {
        let done: Mended = context.client.post("doctor/fix", &json!({})).await?;
        if !context.json() && !context.global.quiet {
            for path in &done.mended {
                line(&format!("mended {path}"))?;
            }
        }
    }
    let path = if security {
        "doctor?security"
    } else {
        "doctor"
    };
    let checks: Vec<Check> = context.client.get(path).await?;
    show(context, &checks)?;
    match checks.iter().filter(|check| check.status == "fail").count() {
        0 => Ok(()),
        1 => Err(Failure::failed("1 check failed")),
        failed => Err(Failure::failed(format!("{failed} checks failed"))),
    }
}

fn show(context: &Context, checks: &[Check]) -> Result<(), Failure> {
    if context.json() {
        return output::json(&checks);
    }
    for check in checks {
        if context.global.quiet && check.status == "ok" {
            continue;
        }
        line(&format!(
            "{} {}: {}",
            state(&check.status),
            check.id,
            check.what
        ))?;
        if !check.cure.is_empty() {
            line(&format!("     {}", check.cure))?;
        }
    }
    Ok(())
}
