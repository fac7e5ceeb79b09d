//! `moltctl init`.

use moltbot_config::InitOptions;

use super::Context;
use crate::failure::Failure;
use crate::output::{self, line};

pub(super) fn run(context: &Context, yes: bool) -> Result<(), Failure> {
    let home = context.client.home();
    if !yes
        && output::to_person()
        && !agreed(&format!("Make a home in {}?", home.root().display()))?
    {
        return Err(Failure::new(1, "nothing was made"));
    }
    let report = moltbot_config::init(home, &InitOptions::default())
        .map_err(|error| Failure::failed(error.to_string()))?;
    let key = report
        .created
        .contains(&home.key_file())
        .then(|| std::fs::read_to_string(home.key_file()))
        .transpose()?;
    if context.json() {
        return output::json(&serde_json::json!({
            "home": home.root(),
            "made": report.created,
            "key": key.as_deref().map(str::trim),
        }));
    }
    if context.global.quiet {
        return Ok(());
    }
    for path in &report.created {
        line(&format!("made {}", path.display()))?;
    }
    if report.created.is_empty() {
        line(&format!(
            "{} is complete; nothing was changed",
            home.root().display()
        ))?;
    }
    if let Some(key) = &key {
        line(&format!(
            "\nthe key for callers, kept in {}:\n  {}",
            home.key_file().display(),
            key.trim()
        ))?;
    }
    line(
        "\nnext:\n  moltbotd            starts the daemon\n  moltctl chat        talks to the builtin model\n  moltctl model add   adds your own",
    )
}

/// Asks; only `y` and `yes` agree.
fn agreed(question: &str) -> Result<bool, Failure> {
    use std::io::{Write, stdin, stdout};
    write!(stdout(), "{question} [y/N] ")?;
    stdout().flush()?;
    let mut answer = String::new();
    stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
