//! `moltctl top`: models, targets and what they do, again and again.

use std::collections::HashMap;
use std::io::{self, Write};
use std::time::Duration;

use moltbot_types::admin::Status;
use rustix::termios::tcgetwinsize;
use serde::Serialize;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::Context;
use super::status::span;
use crate::cli::Top;
use crate::failure::Failure;
use crate::output::{self, DIM, line, rows, state};

/// How far a call can move, the nearest first.
const LEVELS: [&str; 4] = ["instance", "node", "region", "model"];

/// What there is to see at one moment.
#[derive(Serialize)]
struct Frame {
    #[serde(flatten)]
    status: Status,
    calls: Vec<Calls>,
    failovers: Vec<Failovers>,
    #[serde(skip)]
    at: Instant,
}

/// Calls of a target since the start.
#[derive(Serialize)]
struct Calls {
    model: String,
    target: String,
    outcome: String,
    count: u64,
}

/// Moves to another target or model since the start.
#[derive(Serialize)]
struct Failovers {
    level: String,
    outcome: String,
    count: u64,
}

pub(super) async fn run(context: &Context, top: &Top) -> Result<(), Failure> {
    let mut last = Frame::take(context).await?;
    if top.once {
        return last.print(context, None);
    }
    let screen = match context.json() || !output::to_person() {
        true => None,
        false => Some(Screen::enter()?),
    };
    last.show(context, None, screen.as_ref())?;
    let mut pace = interval(Duration::from_secs(top.every));
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pace.tick().await;
    loop {
        tokio::select! {
            _ = pace.tick() => {}
            _ = tokio::signal::ctrl_c() => return Ok(()),
        }
        let frame = Frame::take(context).await?;
        frame.show(context, Some(&last), screen.as_ref())?;
        last = frame;
    }
}

impl Frame {
    async fn take(context: &Context) -> Result<Self, Failure> {
        let status = context.client.get("status").await?;
        let metrics = context.client.metrics().await?;
        let calls = samples(&metrics, "moltbot_model_calls_total");
        let failovers = samples(&metrics, "moltbot_failovers_total");
        Ok(Self {
            status,
            calls: calls
                .map(|mut sample| Calls {
                    model: sample.take("model"),
                    target: sample.take("target"),
                    outcome: sample.take("outcome"),
                    count: sample.value,
                })
                .collect(),
            failovers: failovers
                .map(|mut sample| Failovers {
                    level: sample.take("level"),
                    outcome: sample.take("outcome"),
                    count: sample.value,
                })
                .collect(),
            at: Instant::now(),
        })
    }

    fn show(
        &self,
        context: &Context,
        last: Option<&Self>,
        screen: Option<&Screen>,
    ) -> Result<(), Failure> {
        match screen {
            Some(screen) => screen.draw(&self.lines(last)),
            None => self.print(context, last),
        }
    }

    /// Programs get a line; people who look later get the frame.
    fn print(&self, context: &Context, last: Option<&Self>) -> Result<(), Failure> {
        if context.json() {
            let text = serde_json::to_string(self).map_err(|e| Failure::failed(e.to_string()))?;
            return line(&text);
        }
        if last.is_some() {
            line("")?;
        }
        self.lines(last).iter().try_for_each(|text| line(text))
    }

    fn lines(&self, last: Option<&Self>) -> Vec<String> {
        let status = &self.status;
        let ready = if status.ready { "ready" } else { "not ready" };
        let mut lines = vec![
            format!(
                "moltbotd {} is {ready}, up {}; configuration {} ({})",
                status.version,
                span(status.uptime_s),
                status.config.generation,
                state(&status.config.result),
            ),
            format!("failovers  {}", self.failovers()),
            String::new(),
        ];
        let models = status.models.iter().flat_map(|model| {
            let head = [
                model.name.clone(),
                state(&model.state),
                String::new(),
                String::new(),
                String::new(),
                String::new(),
                String::new(),
            ];
            let targets = model.targets.iter().map(|target| {
                let key = (&*model.name, &*target.target);
                [
                    format!("{DIM}  {}{DIM:#}", target.target),
                    state(&target.state),
                    last.map_or_else(|| "-".to_owned(), |last| self.rate(last, key)),
                    target.inflight.to_string(),
                    target
                        .latency_ms
                        .map_or_else(|| "-".to_owned(), |ms| format!("{ms:.0} ms")),
                    self.count(key, is_failure).to_string(),
                    target.reason.clone().unwrap_or_default(),
                ]
            });
            std::iter::once(head).chain(targets).collect::<Vec<_>>()
        });
        let head = [
            "MODEL",
            "STATE",
            "CALLS/S",
            "IN FLIGHT",
            "LATENCY",
            "FAILED",
            "WHY",
        ];
        lines.extend(rows(head, models));
        lines
    }

    fn failovers(&self) -> String {
        let levels = LEVELS.iter().map(|level| {
            let count = |outcome| {
                let moves = self.failovers.iter();
                let mut moves =
                    moves.filter(|moves| moves.level == *level && moves.outcome == outcome);
                moves.next().map_or(0, |moves| moves.count)
            };
            format!("{level} {} ok, {} failed", count("ok"), count("failed"))
        });
        levels.collect::<Vec<_>>().join("; ")
    }

    /// Calls of a target with such outcomes.
    fn count(&self, (model, target): (&str, &str), of: impl Fn(&str) -> bool) -> u64 {
        let calls = self
            .calls
            .iter()
            .filter(|calls| calls.model == model && calls.target == target && of(&calls.outcome));
        calls.map(|calls| calls.count).sum()
    }

    /// Calls a second since the last frame.
    fn rate(&self, last: &Self, key: (&str, &str)) -> String {
        let calls = self
            .count(key, |_| true)
            .saturating_sub(last.count(key, |_| true));
        format!("{:.1}", calls as f64 / (self.at - last.at).as_secs_f64())
    }
}

/// Whether an outcome is to be worried about: a caller that left is not.
fn is_failure(outcome: &str) -> bool {
    !matches!(outcome, "ok" | "cancelled")
}

/// One sample of the metrics' text.
struct Sample<'a> {
    labels: HashMap<&'a str, &'a str>,
    value: u64,
}

impl Sample<'_> {
    fn take(&mut self, label: &str) -> String {
        let value = self.labels.remove(label).unwrap_or_default();
        value
            .replace("\\\"", "\"")
            .replace("\\n", "\n")
            .replace("\\\\", "\\")
    }
}

/// The samples of one of the daemon's own metrics.
fn samples<'a>(metrics: &'a str, name: &'a str) -> impl Iterator<Item = Sample<'a>> {
    metrics.lines().filter_map(move |line| {
        let rest = line.strip_prefix(name)?.strip_prefix('{')?;
        let (labels, value) = rest.rsplit_once("\"} ")?;
        let labels = labels
            .split("\",")
            .filter_map(|label| label.split_once("=\""));
        Some(Sample {
            labels: labels.collect(),
            value: value.parse().ok()?,
        })
    })
}

/// A terminal that shows frames in the place of what it showed before, until this is dropped.
struct Screen;

impl Screen {
    fn enter() -> Result<Self, Failure> {
        // the other screen, no cursor, long lines are cut
        write!(io::stdout(), "\x1b[?1049h\x1b[?25l\x1b[?7l")?;
        Ok(Self)
    }

    /// Draws what has room.
    fn draw(&self, lines: &[String]) -> Result<(), Failure> {
        let height = tcgetwinsize(io::stdout()).map_or(24, |size| usize::from(size.ws_row));
        let shown = lines.len().min(height.saturating_sub(1));
        let mut out = anstream::stdout().lock();
        write!(out, "\x1b[H")?;
        for text in &lines[..shown] {
            writeln!(out, "{text}\x1b[K")?;
        }
        match lines.len() - shown {
            0 => write!(out, "\x1b[J")?,
            more => write!(out, "{DIM}{more} more{DIM:#}\x1b[K\x1b[J")?,
        }
        Ok(out.flush()?)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // Nobody is left to hear that the terminal is gone.
        let _ = write!(io::stdout(), "\x1b[?7h\x1b[?25h\x1b[?1049l");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_found_by_name_with_their_labels() {
        let text = "# TYPE calls counter\ncalls{model=\"a, \\\"b\\\"\",outcome=\"ok\"} 7\ncalls_other{model=\"c\"} 1\n";
        let mut found: Vec<_> = samples(text, "calls").collect();
        assert_eq!(found.len(), 1);
        assert_eq!(
            (found[0].take("model").as_str(), found[0].value),
            ("a, \"b\"", 7)
        );
        assert_eq!(found[0].take("outcome"), "ok");
    }
}
