//! R15, slow connections: many that say nothing, or everything byte by byte, beside honest callers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::daemon::Daemon;
use crate::figures::{Row, Tally, ms};
use crate::lab::{Failure, Lab};
use crate::load::Load;
use crate::raw;

const RATE: u32 = 200;
/// Between two bytes of a slow connection.
const DRIBBLE: Duration = Duration::from_millis(500);

pub(crate) async fn run(lab: &Lab) -> Result<Vec<Row>, Failure> {
    let connections: usize = lab.pick(600, 2_000, 2_000);
    let seconds = lab.pick(10, 30, 180);
    let upstreams = lab.good(["a"]).await?;
    let yaml = format!(
        "
models:
  - name: lab
    provider: openai
    auth: {{ type: none }}
    targets: [ {{ name: a, url: \"{}\" }} ]
",
        upstreams[0].url()
    );
    let limits = lab.pick("{ header_timeout: 3s }", "{}", "{}");
    let daemon = Daemon::start_with(lab, limits, &yaml).await?;
    let begun = Instant::now();
    let baseline = Load::lasting("lab", RATE, 4)
        .run(lab, &daemon.client)
        .await?;
    let baseline = Tally::of(&baseline);
    let fds = daemon.process().fds();

    let load = Load::lasting("lab", RATE, seconds).start(lab, &daemon.client);
    let (opened, ended) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let mut slow = JoinSet::new();
    for at in 0..connections {
        let (opened, ended, address) = (Arc::clone(&opened), Arc::clone(&ended), daemon.address());
        slow.spawn(async move {
            // An error is how the daemon ends it.
            attack(at, address, &opened).await.ok();
            ended.fetch_add(1, Ordering::Relaxed);
        });
    }
    let mut most = 0;
    let end = begun + Duration::from_secs(4 + u64::from(seconds));
    while Instant::now() < end {
        most = most.max(daemon.process().fds());
        sleep(Duration::from_millis(250)).await;
    }
    let answers = load.end().await?;
    let ended = ended.load(Ordering::Relaxed);
    slow.shutdown().await;
    let left = Instant::now();
    while daemon.process().fds() > fds + 16 && left.elapsed() < Duration::from_secs(60) {
        sleep(Duration::from_millis(50)).await;
    }

    let tally = Tally::of(&answers);
    let p99 = tally.quantile(0.99);
    let mut row = Row::new(
        "R15 slow connections",
        "moltbotd",
        tally,
        &upstreams,
        daemon.process(),
        begun,
    );
    row.amplification = None; // the upstream's counts are of the calls before, too
    row.success_at_least(100.0);
    let usual = baseline.quantile(0.99);
    row.fact(format!(
        "{} slow connections, {ended} of them ended by the daemon; P99 before {} ms; fds {fds} before, {most} at most, back {} ms after they left",
        opened.load(Ordering::Relaxed),
        ms(usual),
        ms(left.elapsed()),
    ));
    // Below 5 ms the scheduler of a shared machine is what is measured.
    let limit = (usual * 2).max(Duration::from_millis(5));
    row.target(p99 <= limit, format!("P99 ≤ {} ms", ms(limit)));
    row.target(
        daemon.process().fds() <= fds + 16,
        "descriptors back in ≤ 60 s",
    );
    row.target(daemon.process().max_rss() <= 200.0, "RSS ≤ 200 MiB");
    row.target(ended > 0, "slow connections are ended");
    Ok(vec![row])
}

/// One slow connection, until the daemon ends it: a third is silent, a third dribbles its head, a third its body.
async fn attack(at: usize, address: SocketAddr, opened: &AtomicUsize) -> std::io::Result<()> {
    // Not all at once: the daemon's backlog is not what is tried here.
    sleep(Duration::from_millis(at as u64)).await;
    let mut stream = raw::connect(address).await?;
    opened.fetch_add(1, Ordering::Relaxed);
    let head = raw::head(address, 10_000);
    let (at_once, slowly) = match at % 3 {
        0 => ("", "".to_owned()),
        1 => (
            "",
            format!("{}x-padding: {}", head.trim_end(), "x".repeat(1000)),
        ),
        _ => (head.as_str(), "{".repeat(10_000)),
    };
    stream.write_all(at_once.as_bytes()).await?;
    let (mut reading, mut writing) = stream.split();
    let mut bytes = slowly.bytes();
    let mut answer = [0; 1024];
    loop {
        match timeout(DRIBBLE, reading.read(&mut answer)).await {
            Ok(Ok(0)) | Ok(Err(_)) => return Ok(()),
            Ok(Ok(_)) => {}
            Err(_) => {
                if let Some(byte) = bytes.next() {
                    writing.write_all(&[byte]).await?;
                }
            }
        }
    }
}
