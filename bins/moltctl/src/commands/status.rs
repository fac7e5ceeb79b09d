//! `moltctl status`.

use moltbot_types::admin::Status;

use super::Context;
use crate::failure::Failure;
use crate::output::{self, DIM, WARN, line, state};

pub(super) async fn run(context: &Context) -> Result<(), Failure> {
    let status: Status = context.client.get("status").await?;
    if context.json() {
        return output::json(&status);
    }
    let ready = if status.ready { "ready" } else { "not ready" };
    line(&format!(
        "moltbotd {} is {ready}, up {}; configuration {} ({})",
        status.version,
        span(status.uptime_s),
        status.config.generation,
        state(&status.config.result),
    ))?;
    for problem in &status.config.problems {
        line(&format!("{WARN}  {problem}{WARN:#}"))?;
    }
    line("")?;
    let rows = status.models.iter().flat_map(|model| {
        let head = [
            model.name.clone(),
            model.workspace.clone(),
            state(&model.state),
            String::new(),
            String::new(),
            String::new(),
        ];
        let targets = model.targets.iter().map(|target| {
            [
                format!("{DIM}  {}{DIM:#}", target.target),
                String::new(),
                state(&target.state),
                target.inflight.to_string(),
                target
                    .latency_ms
                    .map_or_else(|| "-".to_owned(), |ms| format!("{ms:.0} ms")),
                target.reason.clone().unwrap_or_default(),
            ]
        });
        std::iter::once(head).chain(targets).collect::<Vec<_>>()
    });
    output::table(
        ["MODEL", "WORKSPACE", "STATE", "IN FLIGHT", "LATENCY", "WHY"],
        rows,
    )?;
    if !status.channels.is_empty() {
        line("")?;
        let rows = status.channels.iter().map(|channel| {
            [
                channel.name.clone(),
                channel.workspace.clone(),
                state(&channel.state),
                channel.reason.clone().unwrap_or_default(),
            ]
        });
        output::table(["CHANNEL", "WORKSPACE", "STATE", "WHY"], rows)?;
    }
    Ok(())
}

/// Seconds for people: `3 d 4 h`, `5 min 2 s`.
pub(super) fn span(seconds: u64) -> String {
    let (days, hours) = (seconds / 86_400, seconds / 3600 % 24);
    let (minutes, rest) = (seconds / 60 % 60, seconds % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{rest} s"),
        (0, 0, _) => format!("{minutes} min {rest} s"),
        (0, _, _) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::span;

    #[test]
    fn spans_have_two_units() {
        assert_eq!(span(7), "7 s");
        assert_eq!(span(125), "2 min 5 s");
        assert_eq!(span(3 * 3600 + 60), "3 h 1 min");
        assert_eq!(span(2 * 86_400 + 3600), "2 d 1 h");
    }
}
