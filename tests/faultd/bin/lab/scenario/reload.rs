//! R8, reloads: the configuration changes under load and beside live streams, and is sometimes broken.

use std::fmt::Write;
use std::time::Duration;

use hyper::Method;
use moltbot_faultd::Server;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::task::TaskTracker;

use crate::ask::{Ask, Outcome};
use crate::daemon::{Daemon, configuration};
use crate::figures::{Row, Tally, ms, quantile};
use crate::lab::{Failure, Lab};
use crate::load::Load;

/// Each fifth reload is invalid.
const INVALID: u32 = 5;
/// The ways in which a file is invalid, and two of them.
const WAYS: u32 = 6;
const EMPTY: u32 = 1;
const TOO_LARGE: u32 = 2;

/// What is run.
struct Plan {
    reloads: u32,
    every: Duration,
    rate: u32,
    streams: u32,
    models: u32,
}

pub(crate) async fn run(lab: &Lab) -> Result<Vec<Row>, Failure> {
    let plan = lab.pick(
        Plan {
            reloads: 40,
            every: Duration::from_millis(250),
            rate: 400,
            streams: 50,
            models: 200,
        },
        Plan {
            reloads: 100,
            every: Duration::from_millis(300),
            rate: 1000,
            streams: 200,
            models: 1000,
        },
        Plan {
            reloads: 200,
            every: Duration::from_secs(1),
            rate: 1000,
            streams: 200,
            models: 1000,
        },
    );
    let upstreams = lab.good(["a"]).await?;
    let daemon = Daemon::start(lab, &valid(&upstreams[0], 1, plan.models)).await?;
    let begun = Instant::now();
    let length = plan.every * plan.reloads;
    let seconds = u32::try_from(length.as_secs())? + 1;

    let streams = TaskTracker::new();
    let live: Vec<_> = (0..plan.streams)
        .map(|_| {
            let ask = Ask {
                nonce: lab.nonce(),
                model: "lab".to_owned(),
                stream: true,
                events: seconds * 4,
                pace_ms: 250,
            };
            let client = std::sync::Arc::clone(&daemon.client);
            streams.spawn(async move { ask.make(&client, Instant::now()).await })
        })
        .collect();
    sleep(Duration::from_millis(300)).await;

    let load = Load {
        model: "lab",
        rate: plan.rate,
        count: plan.rate * seconds,
        streams: true,
    };
    let load = load.start(lab, &daemon.client);
    let reloads = reload(&daemon, &upstreams[0], &plan).await?;
    let mut answers = load.end().await?;
    let mut cut = 0;
    for stream in live {
        let mut answer = stream.await?;
        cut += usize::from(answer.outcome != Outcome::Complete);
        answer.latency = Duration::ZERO; // as long as it was told to last
        answers.push(answer);
    }
    let mixed = answers
        .iter()
        .filter(|answer| is_mixed(&answer.fingerprint))
        .count();

    let mut row = Row::new(
        "R8 reloads",
        "moltbotd",
        Tally::of(&answers),
        &upstreams,
        daemon.process(),
        begun,
    );
    row.success_at_least(100.0);
    let p99 = quantile(&reloads.took, 0.99);
    row.fact(format!(
        "{} reloads of {} models applied, P50 / P99 {} / {} ms; {} of {} invalid ones rejected in {} ms at most, {} with their place; {cut} of {} live streams cut; {mixed} calls on a mixed configuration",
        reloads.took.len(),
        plan.models + 1,
        ms(quantile(&reloads.took, 0.5)),
        ms(p99),
        reloads.rejected,
        reloads.invalid,
        ms(reloads.refusing),
        reloads.placed,
        plan.streams,
    ));
    row.target(p99 <= Duration::from_millis(50), "P99 of a reload ≤ 50 ms");
    row.target(cut == 0, "no live stream cut");
    row.target(mixed == 0, "no call on a mixed configuration");
    row.target(
        reloads.rejected == reloads.invalid,
        "every invalid file rejected",
    );
    row.target(
        reloads.placed == reloads.invalid,
        "every rejection names its place",
    );
    if let Some(wrong) = reloads.wrong {
        row.target(false, wrong);
    }
    Ok(vec![row])
}

#[derive(Default)]
struct Reloads {
    took: Vec<Duration>,
    /// The longest rejection.
    refusing: Duration,
    invalid: u32,
    rejected: u32,
    placed: u32,
    wrong: Option<String>,
}

async fn reload(daemon: &Daemon, upstream: &Server, plan: &Plan) -> Result<Reloads, Failure> {
    let mut reloads = Reloads::default();
    let start = Instant::now();
    for at in 0..plan.reloads {
        sleep_until(start + plan.every * at).await;
        let text = valid(upstream, at + 2, plan.models);
        let is_invalid = at % INVALID == INVALID - 1;
        match is_invalid {
            true => daemon.write(&invalid(&text, at / INVALID))?,
            false => daemon.write(configuration("{}", &text).as_bytes())?,
        }
        let asked = Instant::now();
        let answer = daemon.admin(Method::POST, "/admin/v1/reload", "").await?;
        let (status, said) = (
            answer.status().as_u16(),
            String::from_utf8_lossy(answer.body()),
        );
        match (is_invalid, status) {
            (false, 200) => reloads.took.push(asked.elapsed()),
            (false, status) => {
                reloads
                    .wrong
                    .get_or_insert(format!("valid files applied, not {status}: {said}"));
            }
            (true, _) => {
                reloads.invalid += 1;
                reloads.refusing = reloads.refusing.max(asked.elapsed());
                reloads.rejected += u32::from(status == 422);
                reloads.placed += u32::from(names_a_place(&said, at / INVALID));
            }
        }
    }
    reloads.took.sort_unstable();
    Ok(reloads)
}

/// Whether an error says `gateway.yaml:LINE`; an empty file and one that is too large have no line.
fn names_a_place(said: &str, way: u32) -> bool {
    match way % WAYS {
        EMPTY | TOO_LARGE => said.contains("gateway.yaml"),
        _ => {
            let mut places = said.split("gateway.yaml:").skip(1);
            places.any(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
        }
    }
}

/// Path and `max_tokens` both say which generation a call went through.
fn valid(upstream: &Server, generation: u32, models: u32) -> String {
    let address = upstream.address();
    let mut text = format!(
        "models:
  - name: lab
    provider: openai
    auth: {{ type: none }}
    params: {{ max_tokens: {generation} }}
    targets: [ {{ name: a, url: \"http://{address}/g{generation}/v1\" }} ]
"
    );
    for at in 0..models {
        let line = writeln!(
            text,
            "  - {{ name: other-{at}, provider: openai, auth: {{ type: none }}, endpoint: \"http://{address}/other/v1\" }}"
        );
        line.unwrap_or_default();
    }
    text
}

/// A file that must be refused, in one of several ways.
fn invalid(text: &str, way: u32) -> Vec<u8> {
    let good = configuration("{}", text);
    match way % WAYS {
        0 => good
            .replacen("provider: openai", "provider: [", 1)
            .into_bytes(),
        EMPTY => Vec::new(),
        TOO_LARGE => {
            let mut text = good.into_bytes();
            text.resize(10 << 20, b'x');
            text
        }
        3 => good.replacen("auth: none", "auth: 7", 1).into_bytes(),
        4 => good
            .replacen("name: other-1,", "name: other-0,", 1)
            .into_bytes(),
        _ => good.replacen("params:", "parms:", 1).into_bytes(),
    }
}

/// Whether a call took its path from one generation and its parameters from another.
fn is_mixed(fingerprint: &str) -> bool {
    let Some((path, max_tokens)) = fingerprint.split_once(' ') else {
        return false;
    };
    path != format!("/g{max_tokens}/v1/chat/completions")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_of_two_generations_is_mixed() {
        assert!(!is_mixed("/g7/v1/chat/completions 7"));
        assert!(is_mixed("/g7/v1/chat/completions 8"));
    }
}
