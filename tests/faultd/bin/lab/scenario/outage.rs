//! R5, all down: every target fails, callers are told at once, and the first one after the recovery is served soon.

use std::time::Duration;

use moltbot_faultd::{Fault, Mix, Server};
use tokio::time::{Instant, sleep};

use crate::ask::Outcome;
use crate::daemon::Daemon;
use crate::figures::{Row, Tally, ms};
use crate::lab::{Failure, Lab};
use crate::load::Load;

const RATE: u32 = 500;
const INTERVAL: Duration = Duration::from_secs(1);

pub(crate) async fn run(lab: &Lab) -> Result<Vec<Row>, Failure> {
    let down = Duration::from_secs(lab.pick(7, 15, 60));
    let upstreams = lab.good(["a", "b", "c"]).await?;
    let daemon = Daemon::start(lab, &configuration(&upstreams)).await?;
    let begun = Instant::now();
    let seconds = u32::try_from(down.as_secs())? + 6;
    let load = Load::lasting("lab", RATE, seconds).start(lab, &daemon.client);
    sleep(Duration::from_secs(1)).await;

    let mix = Mix::none()
        .with(Fault::Status(500), 0.4)
        .with(Fault::Status(503), 0.4)
        .with(Fault::Reset, 0.2);
    set(&upstreams, &mix);
    let (failed, before) = (Instant::now(), requests(&upstreams));
    sleep(down / 2).await;
    let (settled, since) = (Instant::now(), requests(&upstreams));
    sleep(down - down / 2).await;
    let (probed, received) = (requests(&upstreams) - since, requests(&upstreams) - before);
    set(&upstreams, &Mix::none());
    let recovered = Instant::now();
    let answers = load.end().await?;

    let outage = answers
        .iter()
        .filter(|answer| answer.due >= failed && answer.due < recovered);
    let told = Tally::of(outage.clone());
    let first = answers
        .iter()
        .filter(|answer| answer.due >= recovered && answer.outcome == Outcome::Complete)
        .map(|answer| answer.due + answer.latency - recovered)
        .min();

    let mut row = Row::new(
        "R5 all down",
        "moltbotd",
        Tally::of(&answers),
        &upstreams,
        daemon.process(),
        begun,
    );
    let amplification = received as f64 / told.offered.max(1) as f64;
    let p99 = told.quantile(0.99);
    row.fact(format!(
        "while down: amplification {amplification:.3}, P50 / P99 of the refusals {} / {} ms",
        ms(told.quantile(0.5)),
        ms(p99)
    ));
    row.target(amplification <= 1.55, "amplification while down ≤ 1.55");
    row.target(
        p99 <= Duration::from_millis(50),
        "P99 of the refusals ≤ 50 ms",
    );

    let intervals = (recovered - settled).as_secs_f64() / INTERVAL.as_secs_f64();
    row.fact(format!(
        "{probed} probes in the last {intervals:.0} intervals"
    ));
    let most = (intervals.ceil() as u64 + 1) * upstreams.len() as u64;
    row.target(probed <= most, "≤ 1 probe a target and interval");
    match first {
        None => row.target(false, "a success after the recovery"),
        Some(first) => {
            row.fact(format!("first success {} ms after the recovery", ms(first)));
            row.target(
                first <= Duration::from_secs(2),
                "first success ≤ 2 s after the recovery",
            );
        }
    }
    let other = outage
        .clone()
        .filter(|answer| !matches!(answer.outcome, Outcome::Refused(_)))
        .count();
    row.fact(format!("{other} calls were served while the outage began"));
    Ok(vec![row])
}

fn set(upstreams: &[Server], mix: &Mix) {
    for server in upstreams {
        server.set_mix(mix.clone());
    }
}

fn requests(upstreams: &[Server]) -> u64 {
    upstreams
        .iter()
        .map(|server| server.counts().requests)
        .sum()
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
    format!(
        "
model: {{ failover: {{ enabled: true, retry_interval: {} }} }}
models:
  - name: lab
    provider: openai
    auth: {{ type: none }}
    timeouts: {{ connect: 1s, first_token: 300ms, answer: 300ms, idle: 1s, total: 20s }}
    targets:
{}",
        INTERVAL.as_millis(),
        targets.collect::<String>()
    )
}
