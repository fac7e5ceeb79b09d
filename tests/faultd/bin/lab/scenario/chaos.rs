//! R1, uniform chaos: each of three targets fails a fifth of its requests, and callers should not notice.

use std::sync::Arc;
use std::time::Duration;

use moltbot_faultd::{Fault, Hint, Mix, Rhythm, Server};
use tokio::time::Instant;

use crate::client::Client;
use crate::daemon::Daemon;
use crate::figures::{Row, Tally};
use crate::haproxy::Haproxy;
use crate::lab::{Failure, Lab};
use crate::load::Load;

const RATE: u32 = 500;
/// The `retry_interval` of the configuration, which is the default.
const REST: Duration = Duration::from_secs(5);

/// What every gateway is given for an attempt.
const CONFIGURATION: &str = "
model: { failover: { enabled: true, max_attempts: 6 } }
models:
  - name: lab
    provider: openai
    auth: { type: none }
    timeouts: { connect: 1s, first_token: 300ms, answer: 300ms, idle: 300ms, total: 20s }
    targets:
";

/// What the error statuses say of coming back.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Limits {
    /// 429 in all its forms, 503 and 529 are among them: by the rules, each of them puts its target to rest.
    Said,
    /// Only those that let the target be asked again at once.
    Unsaid,
}

pub(crate) async fn run(lab: &Lab) -> Result<Vec<Row>, Failure> {
    let mut rows = Vec::new();
    for (name, limits) in [
        ("R1 uniform chaos", Limits::Said),
        ("R1 without rate limits", Limits::Unsaid),
    ] {
        let count = match limits {
            Limits::Said => lab.pick(5_000, 30_000, 30_000),
            Limits::Unsaid => lab.pick(5_000, 30_000, 300_000),
        };
        let upstreams = upstreams(lab, limits).await?;
        let daemon = Daemon::start(lab, &configuration(&upstreams)).await?;
        let begun = Instant::now();
        let tally = offer(lab, count, &daemon.client).await?;
        let mut row = Row::new(name, "moltbotd", tally, &upstreams, daemon.process(), begun);
        row.fact(CLOSED);
        match limits {
            // Each of them puts its target to rest, by the rules: at this rate all three rest most of the time, and
            // how many calls find a way depends on chance. What can be judged is that the rules are kept.
            Limits::Said => {
                keeps_pauses(&mut row, &upstreams, begun.elapsed());
                row.amplification_at_most(1.35);
                rows.push(row);
            }
            Limits::Unsaid => {
                row.success_at_least(lab.pick(99.97, 99.97, 99.99));
                row.amplification_at_most(1.35);
                rows.push(row);
            }
        }

        let upstreams = self::upstreams(lab, limits).await?;
        if let Some(haproxy) = Haproxy::start(&upstreams, false).await? {
            let begun = Instant::now();
            let tally = offer(lab, count.min(30_000) / 2, &haproxy.client).await?;
            let mut row = Row::new(name, "haproxy", tally, &upstreams, &haproxy.process, begun);
            row.fact(CLOSED);
            rows.push(row.unjudged());
        }
    }
    Ok(rows)
}

/// A target is asked before the pause that it asked for is over only as the last resort: one call each rest.
fn keeps_pauses(row: &mut Row, upstreams: &[Server], took: Duration) {
    let early: u64 = upstreams.iter().map(|server| server.counts().early).sum();
    let rests = took.as_millis().div_ceil(REST.as_millis()) as u64;
    row.fact(format!("{early} requests came before a pause was over"));
    row.target(
        early <= rests,
        "no request before a pause is over, but one each retry_interval",
    );
}

/// How refused connections come about.
const CLOSED: &str = "each port closed 3 % of the time";

async fn offer(lab: &Lab, count: u32, client: &Arc<Client>) -> Result<Tally, Failure> {
    let load = Load {
        model: "lab",
        rate: RATE,
        count,
        streams: true,
    };
    Ok(Tally::of(&load.run(lab, client).await?))
}

/// 6 % error statuses, 4 % rate limits, 3 % resets, 2 % hangs, 1 % broken answers, 1 % resets after content; 3 % refused.
fn mix(limits: Limits) -> Mix {
    let mut mix = Mix::none();
    match limits {
        Limits::Said => {
            for status in [500, 502, 503, 504, 529] {
                mix = mix.with(Fault::Status(status), 0.012);
            }
            for hint in [
                Hint::Seconds,
                Hint::Millis,
                Hint::Date,
                Hint::None,
                Hint::Garbage,
            ] {
                mix = mix.with(Fault::RateLimited(hint), 0.008);
            }
        }
        Limits::Unsaid => {
            for status in [500, 502, 504] {
                mix = mix.with(Fault::Status(status), 0.1 / 3.0);
            }
        }
    }
    mix.with(Fault::Reset, 0.03)
        .with(Fault::HangBeforeHeaders, 0.01)
        .with(Fault::HangAfterHeaders, 0.01)
        .with(Fault::BadJson, 0.0034)
        .with(Fault::BadType, 0.0033)
        .with(Fault::Truncated, 0.0033)
        .with(Fault::ResetMidway, 0.01)
}

async fn upstreams(lab: &Lab, limits: Limits) -> Result<Vec<Server>, Failure> {
    let mut servers = Vec::new();
    for (name, phase) in [("a", 0), ("b", 17), ("c", 33)] {
        // So short that hardly two requests meet the same closing: faults stay independent.
        let rhythm = Rhythm {
            period: Duration::from_millis(50),
            closed: Duration::from_millis(1),
            phase: Duration::from_millis(phase),
        };
        servers.push(lab.upstream(name, mix(limits), Some(rhythm)).await?);
    }
    Ok(servers)
}

fn configuration(upstreams: &[Server]) -> String {
    let targets = upstreams.iter();
    let targets = targets.map(|server| {
        format!(
            "      - {{ name: {}, url: \"{}\" }}\n",
            server.name(),
            server.url()
        )
    });
    format!("{CONFIGURATION}{}", targets.collect::<String>())
}
