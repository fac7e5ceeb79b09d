//! R4, model switch: by hand again and again under load, and by fallback when a model fails.

use std::time::Duration;

use moltbot_faultd::{Fault, Mix, Server};
use tokio::time::{Instant, sleep};

use crate::daemon::Daemon;
use crate::figures::{Row, Tally, ms, quantile};
use crate::lab::{Failure, Lab};
use crate::load::Load;

const RATE: u32 = 300;

pub(crate) async fn run(lab: &Lab) -> Result<Vec<Row>, Failure> {
    Ok(vec![by_hand(lab).await?, by_fallback(lab).await?])
}

fn configuration(upstreams: &[Server]) -> String {
    format!(
        "
models:
  - name: lab
    provider: openai
    auth: {{ type: none }}
    timeouts: {{ first_token: 300ms, answer: 300ms }}
    fallback: other
    targets: [ {{ name: a, url: \"{}\" }} ]
  - name: other
    provider: openai
    auth: {{ type: none }}
    targets: [ {{ name: b, url: \"{}\" }} ]
",
        upstreams[0].url(),
        upstreams[1].url()
    )
}

async fn by_hand(lab: &Lab) -> Result<Row, Failure> {
    let switches: u32 = lab.pick(150, 400, 10_000);
    let pause = Duration::from_millis(lab.pick(40, 40, 20));
    let upstreams = lab.good(["a", "b"]).await?;
    let daemon = Daemon::start(lab, &configuration(&upstreams)).await?;
    let begun = Instant::now();
    let load = Load::lasting("lab", RATE, 590).start(lab, &daemon.client);

    // (when it was in force, which target answers from then on)
    let mut history = vec![(begun, "a")];
    let mut took = Vec::new();
    for at in 0..switches {
        let (to, target) = if at % 2 == 0 {
            ("other", "b")
        } else {
            ("lab", "a")
        };
        let asked = Instant::now();
        daemon.switch("lab", to).await?;
        took.push(asked.elapsed());
        history.push((Instant::now(), target));
        sleep(pause).await;
        if begun.elapsed() > Duration::from_secs(580) {
            break;
        }
    }
    let answers = load.stop().await?;
    took.sort_unstable();
    let late = answers.iter().filter(|answer| {
        // Sent well within a period, so that it is clear which target had to answer.
        let sent = answer.due + answer.lag;
        let at = history.partition_point(|(since, _)| *since <= sent);
        let settled = history
            .get(at)
            .is_some_and(|(next, _)| sent + answer.latency < *next - quantile(&took, 1.0));
        settled && at > 0 && answer.target != history[at - 1].1
    });
    let late = late.count();

    let mut row = Row::new(
        "R4 switch by hand",
        "moltbotd",
        Tally::of(&answers),
        &upstreams,
        daemon.process(),
        begun,
    );
    row.success_at_least(99.99);
    let [p50, p99, max] = [0.5, 0.99, 1.0].map(|q| quantile(&took, q));
    row.fact(format!(
        "{} switches, P50 / P99 / max {} / {} / {} ms; {late} calls answered by the old model afterwards",
        took.len(),
        ms(p50),
        ms(p99),
        ms(max)
    ));
    row.target(
        p99 <= Duration::from_millis(100),
        "P99 of a switch ≤ 100 ms",
    );
    row.target(max <= Duration::from_secs(5), "no switch > 5 s");
    row.target(
        late == 0,
        "no call answered by the old model after a switch",
    );
    Ok(row)
}

async fn by_fallback(lab: &Lab) -> Result<Row, Failure> {
    let rounds = lab.pick(1, 3, 20);
    let upstreams = lab.good(["a", "b"]).await?;
    let daemon = Daemon::start(lab, &configuration(&upstreams)).await?;
    let begun = Instant::now();
    let load = Load::lasting("lab", RATE, rounds * 5).start(lab, &daemon.client);
    for round in 0..rounds {
        sleep(Duration::from_secs(1)).await;
        let fault =
            [Fault::Status(500), Fault::HangBeforeHeaders, Fault::Reset][round as usize % 3];
        upstreams[0].set_mix(Mix::always(fault));
        sleep(Duration::from_secs(3)).await;
        upstreams[0].set_mix(Mix::none());
        sleep(Duration::from_secs(1)).await;
    }
    let answers = load.end().await?;
    let mut row = Row::new(
        "R4 switch by fallback",
        "moltbotd",
        Tally::of(&answers),
        &upstreams,
        daemon.process(),
        begun,
    );
    row.success_at_least(99.99);
    let p99 = row.tally().quantile(0.99);
    row.target(p99 <= Duration::from_secs(1), "P99 ≤ 1 s");
    let fallen = answers
        .iter()
        .filter(|answer| answer.model == "other")
        .count();
    row.fact(format!("{fallen} calls answered by the fallback"));
    row.target(fallen > 0, "the fallback answers");
    Ok(row)
}
