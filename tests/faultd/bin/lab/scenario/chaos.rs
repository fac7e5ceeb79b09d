//! R1, uniform chaos: each of three targets fails a fifth of its requests, and callers should not notice.

use std::sync::Arc;
use std::time::Duration;

use moltbot_faultd::{Fault, Hint, Mix, Rhythm, Server};
use tokio::time::Instant;

use crate::client::Client;
use crate::daemon::{Daemon, Process};
use crate::figures::{Row, Tally};
use crate::haproxy::Haproxy;
use crate::lab::{Failure, Lab};
use crate::load::Load;

const RATE: u32 = 500;

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

pub(crate) async fn run(lab: &Lab) -> Result<Vec<Row>, Failure> {
    let count = lab.pick(8_000, 30_000, 300_000);
    let upstreams = upstreams(lab).await?;
    let daemon = Daemon::start(lab, &configuration(&upstreams)).await?;
    let mut row = offer(
        lab,
        "moltbotd",
        count,
        &upstreams,
        &daemon.client,
        daemon.process(),
    )
    .await?;
    row.success_at_least(lab.pick(99.97, 99.97, 99.99));
    let amplification = row.amplification;
    row.target(amplification <= 1.35, "amplification ≤ 1.35");
    let mut rows = vec![row];
    drop(daemon);

    let upstreams = self::upstreams(lab).await?;
    if let Some(haproxy) = Haproxy::start(&upstreams, false).await? {
        let count = count.min(30_000) / 2;
        let row = offer(
            lab,
            "haproxy",
            count,
            &upstreams,
            &haproxy.client,
            &haproxy.process,
        )
        .await?;
        rows.push(row.unjudged());
    }
    Ok(rows)
}

async fn offer(
    lab: &Lab,
    gateway: &'static str,
    count: u32,
    upstreams: &[Server],
    client: &Arc<Client>,
    process: &Process,
) -> Result<Row, Failure> {
    let begun = Instant::now();
    let load = Load {
        model: "lab",
        rate: RATE,
        count,
        streams: true,
    };
    let answers = load.run(lab, client).await?;
    let mut row = Row::new(
        "R1 uniform chaos",
        gateway,
        Tally::of(&answers),
        upstreams,
        process,
        begun,
    );
    row.fact("each port closed 3 % of the time");
    Ok(row)
}

/// 6 % error statuses, 4 % rate limits, 3 % resets, 2 % hangs, 1 % broken answers, 1 % resets after content; 3 % refused.
fn mix() -> Mix {
    let mut mix = Mix::none();
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
    mix.with(Fault::Reset, 0.03)
        .with(Fault::HangBeforeHeaders, 0.01)
        .with(Fault::HangAfterHeaders, 0.01)
        .with(Fault::BadJson, 0.0034)
        .with(Fault::BadType, 0.0033)
        .with(Fault::Truncated, 0.0033)
        .with(Fault::ResetMidway, 0.01)
}

async fn upstreams(lab: &Lab) -> Result<Vec<Server>, Failure> {
    let mut servers = Vec::new();
    for (name, phase) in [("a", 0), ("b", 67), ("c", 133)] {
        // About one request of each closing is refused: short enough for faults to stay independent.
        let rhythm = Rhythm {
            period: Duration::from_millis(200),
            closed: Duration::from_millis(6),
            phase: Duration::from_millis(phase),
        };
        servers.push(lab.upstream(name, mix(), Some(rhythm)).await?);
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
