//! R17, callers that leave: at any point of a call, and nothing of it may stay behind.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use moltbot_faultd::{Fault, Mix, Server};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::daemon::Daemon;
use crate::figures::{Row, Tally, ms, quantile};
use crate::lab::{Dice, Failure, Lab};
use crate::load::Load;
use crate::raw;

/// Within this time an upstream must see that its caller has left.
const LIMIT: Duration = Duration::from_secs(1);
const AT_ONCE: usize = 64;

/// Where a caller leaves.
#[derive(Clone, Copy, Debug)]
enum Point {
    InTheHead,
    InTheBody,
    WaitingForAnAnswer,
    WaitingForContent,
    InAWholeAnswer,
    InAStream,
}

const POINTS: [Point; 6] = [
    Point::InTheHead,
    Point::InTheBody,
    Point::WaitingForAnAnswer,
    Point::WaitingForContent,
    Point::InAWholeAnswer,
    Point::InAStream,
];

pub(crate) async fn run(lab: &Lab) -> Result<Vec<Row>, Failure> {
    let aborts: usize = lab.pick(300, 1_000, 10_000);
    let upstreams: Arc<[Server]> = vec![
        lab.upstream("a", Mix::none(), None).await?,
        lab.upstream(
            "h",
            Mix::none()
                .with(Fault::HangBeforeHeaders, 0.5)
                .with(Fault::HangAfterHeaders, 0.5),
            None,
        )
        .await?,
    ]
    .into();
    let yaml = format!(
        "
models:
  - name: lab
    provider: openai
    auth: {{ type: none }}
    concurrency: 512
    targets: [ {{ name: a, url: \"{}\" }} ]
  - name: hang
    provider: openai
    auth: {{ type: none }}
    concurrency: 512
    targets: [ {{ name: h, url: \"{}\" }} ]
",
        upstreams[0].url(),
        upstreams[1].url()
    );
    let daemon = Daemon::start(lab, &yaml).await?;
    let begun = Instant::now();

    let permits = Arc::new(Semaphore::new(AT_ONCE));
    let mut dice = Dice::new(lab.seed);
    let mut calls = JoinSet::new();
    for at in 0..aborts {
        let permit = Arc::clone(&permits).acquire_owned().await?;
        let call = Abort {
            point: POINTS[at % POINTS.len()],
            nonce: lab.nonce(),
            after: Duration::from_millis(dice.below(150)),
            reset: dice.below(2) == 1,
        };
        let (upstreams, address) = (Arc::clone(&upstreams), daemon.address());
        calls.spawn(async move {
            let seen = call.run(address, &upstreams).await;
            drop(permit);
            seen
        });
    }
    let (mut took, mut behind, mut early) = (Vec::new(), 0, 0);
    while let Some(seen) = calls.join_next().await {
        match seen? {
            Ok(Some(time)) => took.push(time),
            Ok(None) => behind += 1,
            Err(_) => early += 1,
        }
    }
    took.sort_unstable();
    sleep(LIMIT).await;
    let serving: u64 = upstreams.iter().map(|server| server.counts().serving).sum();
    let inflight = daemon.metric("moltbot_inflight_requests").await?;

    // Whoever comes afterwards finds all places free.
    let answers = Load::lasting("lab", 200, 2)
        .run(lab, &daemon.client)
        .await?;
    let mut row = Row::new(
        "R17 callers leave",
        "moltbotd",
        Tally::of(&answers),
        &upstreams,
        daemon.process(),
        begun,
    );
    row.amplification = None; // the upstreams' counts are of the aborted calls
    row.success_at_least(100.0);
    row.fact(format!(
        "{aborts} aborts; seen upstream after P50 / P99 / max {} / {} / {} ms; {behind} not within 1 s; afterwards {serving} requests upstream, {inflight} in flight",
        ms(quantile(&took, 0.5)),
        ms(quantile(&took, 0.99)),
        ms(quantile(&took, 1.0)),
    ));
    row.target(behind == 0, "every upstream sees it within 1 s");
    row.target(serving == 0, "no request left upstream");
    row.target(inflight == 0.0, "no call left in flight");
    row.target(
        early * 100 <= aborts,
        format!("{early} callers were cut before they left"),
    );
    Ok(vec![row])
}

/// A caller that will leave.
struct Abort {
    point: Point,
    nonce: String,
    /// How long it waits at its point.
    after: Duration,
    /// Whether it leaves with a reset.
    reset: bool,
}

impl Abort {
    /// Calls and leaves; how long the upstreams then took to see it, if they did in time.
    async fn run(
        self,
        address: SocketAddr,
        upstreams: &[Server],
    ) -> std::io::Result<Option<Duration>> {
        let mut stream = raw::connect(address).await?;
        let (model, streamed) = match self.point {
            Point::WaitingForAnAnswer => ("hang", false),
            Point::WaitingForContent => ("hang", true),
            Point::InAStream => ("lab", true),
            _ => ("lab", false),
        };
        let content = format!("nonce:{} events:100 pace_ms:20", self.nonce);
        let body = json!({ "model": model, "stream": streamed, "messages": [{ "role": "user", "content": content }] });
        let body = body.to_string();
        let bytes = raw::head(address, body.len()) + &body;
        let sent = match self.point {
            Point::InTheHead => bytes.len() - body.len() - 10,
            Point::InTheBody => bytes.len() - body.len() / 2,
            _ => bytes.len(),
        };
        stream.write_all(&bytes.as_bytes()[..sent]).await?;
        if let Point::InAStream = self.point {
            timeout(Duration::from_secs(10), stream.read(&mut [0; 64])).await??;
        }
        sleep(self.after).await;
        if self.reset {
            stream.set_zero_linger()?;
        }
        drop(stream);

        let left = Instant::now();
        let serving = || {
            upstreams
                .iter()
                .map(|server| server.received(&self.nonce).serving)
                .sum::<u32>()
        };
        while serving() > 0 {
            if left.elapsed() > LIMIT {
                return Ok(None);
            }
            sleep(Duration::from_millis(2)).await;
        }
        Ok(Some(left.elapsed()))
    }
}
