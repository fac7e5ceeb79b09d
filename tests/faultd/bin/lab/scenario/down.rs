//! R3, hard down: the primary dies under load, the standby takes over, and the primary comes back.

use std::sync::Arc;
use std::time::Duration;

use moltbot_faultd::{Fault, Mix, Server};
use tokio::time::{Instant, sleep};

use crate::ask::Answer;
use crate::client::Client;
use crate::daemon::Daemon;
use crate::figures::{Row, Tally, ms};
use crate::haproxy::Haproxy;
use crate::lab::{Failure, Lab};
use crate::load::Load;

/// Callers hit the dead target no longer when none of them did for this long: at 1,000 calls a second, under 1 %.
const CLEAN: Duration = Duration::from_millis(100);
/// Over which a share is measured.
const WINDOW: Duration = Duration::from_millis(500);

/// How long each part takes, in seconds.
#[derive(Clone, Copy)]
struct Times {
    before: u64,
    down: u64,
    after: u64,
}

pub(crate) async fn run(lab: &Lab) -> Result<Vec<Row>, Failure> {
    let rate = 1000;
    let times = lab.pick(
        Times {
            before: 2,
            down: 3,
            after: 14,
        },
        Times {
            before: 3,
            down: 10,
            after: 20,
        },
        Times {
            before: 10,
            down: 30,
            after: 40,
        },
    );
    let mut rows = vec![refused(lab, rate, times).await?, hanging(lab, rate).await?];

    let upstreams = lab.good(["a", "b"]).await?;
    if let Some(haproxy) = Haproxy::start(&upstreams, true).await? {
        let times = Times {
            after: times.after.min(6),
            ..times
        };
        let begun = Instant::now();
        let (answers, _, _) = drill(lab, rate, times, &upstreams[0], &haproxy.client).await?;
        let tally = Tally::of(&answers);
        let row = Row::new(
            "R3 hard down",
            "haproxy",
            tally,
            &upstreams,
            &haproxy.process,
            begun,
        );
        rows.push(row.unjudged());
    }
    Ok(rows)
}

fn configuration(upstreams: &[Server], interval: u64) -> String {
    format!(
        "
model: {{ failover: {{ enabled: true, retry_interval: {interval} }} }}
models:
  - name: lab
    provider: openai
    auth: {{ type: none }}
    timeouts: {{ connect: 1s, first_token: 300ms, answer: 300ms, idle: 1s, total: 20s }}
    targets:
      - {{ name: a, url: \"{}\", role: primary }}
      - {{ name: b, url: \"{}\", role: standby }}
",
        upstreams[0].url(),
        upstreams[1].url()
    )
}

/// The primary's port closes.
async fn refused(lab: &Lab, rate: u32, times: Times) -> Result<Row, Failure> {
    let interval = lab.pick(1000, 2000, 5000);
    let upstreams = lab.good(["a", "b"]).await?;
    let daemon = Daemon::start(lab, &configuration(&upstreams, interval)).await?;
    let begun = Instant::now();
    let (answers, killed, restored) =
        drill(lab, rate, times, &upstreams[0], &daemon.client).await?;
    let mut row = Row::new(
        "R3 hard down",
        "moltbotd",
        Tally::of(&answers),
        &upstreams,
        daemon.process(),
        begun,
    );
    row.success_at_least(100.0);

    let detected = hit_until(&answers, killed);
    row.fact(format!("detected in {} ms", ms(detected)));
    row.target(detected <= Duration::from_millis(50), "detected in ≤ 50 ms");

    let before = share(
        &answers,
        "a",
        killed - Duration::from_secs(times.before),
        killed,
    );
    let end = restored + Duration::from_secs(times.after) - WINDOW;
    match back_at(&answers, before, restored, end) {
        None => row.target(
            false,
            format!("back in ≤ 15 s: not within {} s", times.after),
        ),
        Some(back) => {
            let took = back - restored;
            row.fact(format!("back after {:.1} s", took.as_secs_f64()));
            row.target(took <= Duration::from_secs(15), "back in ≤ 15 s");
            let again =
                windows(back, end).any(|at| share(&answers, "a", at, at + WINDOW) < before / 2.0);
            row.target(!again, "no second ejection");
        }
    }
    Ok(row)
}

/// The primary accepts and says nothing.
async fn hanging(lab: &Lab, rate: u32) -> Result<Row, Failure> {
    let upstreams = lab.good(["a", "b"]).await?;
    let daemon = Daemon::start(lab, &configuration(&upstreams, 5000)).await?;
    let begun = Instant::now();
    let load = Load::lasting("lab", rate, 4).start(lab, &daemon.client);
    sleep(Duration::from_secs(2)).await;
    upstreams[0].set_mix(Mix::always(Fault::HangBeforeHeaders));
    let hung = Instant::now();
    let answers = load.end().await?;
    let mut row = Row::new(
        "R3 hanging",
        "moltbotd",
        Tally::of(&answers),
        &upstreams,
        daemon.process(),
        begun,
    );
    row.success_at_least(100.0);
    let detected = hit_until(&answers, hung);
    row.fact(format!("detected in {} ms", ms(detected)));
    row.target(
        detected <= Duration::from_millis(400),
        "detected in ≤ first_token + 100 ms = 400 ms",
    );
    Ok(row)
}

/// Load during which `primary` is killed and restored; and when that was.
async fn drill(
    lab: &Lab,
    rate: u32,
    times: Times,
    primary: &Server,
    client: &Arc<Client>,
) -> Result<(Vec<Answer>, Instant, Instant), Failure> {
    let seconds = u32::try_from(times.before + times.down + times.after)?;
    let load = Load::lasting("lab", rate, seconds).start(lab, client);
    sleep(Duration::from_secs(times.before)).await;
    let killed = Instant::now();
    primary.close().await;
    sleep(Duration::from_secs(times.down)).await;
    primary.open().await;
    let restored = Instant::now();
    Ok((load.end().await?, killed, restored))
}

/// How long after `from` callers still hit the dead target: until a call after which none did for a while.
fn hit_until(answers: &[Answer], from: Instant) -> Duration {
    let hits = answers
        .iter()
        .filter(|answer| answer.due >= from && answer.attempts > 1);
    let mut last = from;
    for hit in hits {
        if hit.due - last > CLEAN {
            break;
        }
        last = hit.due;
    }
    last - from
}

/// The share of `target` among the calls that were due in this time.
fn share(answers: &[Answer], target: &str, from: Instant, to: Instant) -> f64 {
    let due: Vec<_> = answers
        .iter()
        .filter(|answer| answer.due >= from && answer.due < to)
        .collect();
    let own = due.iter().filter(|answer| answer.target == target).count();
    own as f64 / due.len().max(1) as f64
}

/// When the primary had nine tenths of its share again.
fn back_at(answers: &[Answer], before: f64, restored: Instant, end: Instant) -> Option<Instant> {
    windows(restored, end).find(|at| share(answers, "a", *at, *at + WINDOW) >= 0.9 * before)
}

fn windows(from: Instant, end: Instant) -> impl Iterator<Item = Instant> {
    (0..)
        .map(move |at| from + WINDOW / 5 * at)
        .take_while(move |at| *at < end)
}
