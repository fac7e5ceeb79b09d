//! Load on one server for a short while: as fast as it answers (closed loop), or at a constant rate (open loop).

use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::thread::set_current_timer_slack;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};

use crate::client::{Answer, Connection};

/// How long answers may be overdue before a slice is given up.
const PATIENCE: Duration = Duration::from_secs(15);

/// A server, what it is asked, and what it must answer.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) server: SocketAddr,
    pub(crate) request: Arc<[u8]>,
    pub(crate) expected: Answer,
}

/// When a closed loop ends.
#[derive(Clone, Copy)]
pub(crate) enum Until {
    Elapsed(Duration),
    Answered(u64),
}

/// What came of a slice of load.
#[derive(Default)]
pub(crate) struct Slice {
    /// Answers as expected.
    pub(crate) answers: u64,
    /// Answers that were not, and connections that broke.
    pub(crate) failures: u64,
    /// In the open loop: from the moment a request was due to the end of its answer.
    pub(crate) latencies: Vec<Duration>,
    pub(crate) elapsed: Duration,
}

impl Slice {
    /// The latency that a share `q` of the answers kept to, in microseconds.
    pub(crate) fn quantile_us(&mut self, q: f64) -> f64 {
        self.latencies.sort_unstable();
        let last = self.latencies.len().saturating_sub(1);
        let rank = (self.latencies.len() as f64 * q).ceil() as usize;
        self.latencies
            .get(rank.saturating_sub(1).min(last))
            .map_or(f64::NAN, |latency| latency.as_secs_f64() * 1e6)
    }

    async fn ask(&mut self, connection: &mut Connection, target: &Target) -> io::Result<()> {
        match connection.ask(&target.request).await {
            Ok(answer) if answer == target.expected => self.answers += 1,
            Ok(_) => self.failures += 1,
            Err(_) => {
                self.failures += 1;
                *connection = Connection::open(target.server).await?;
            }
        }
        Ok(())
    }
}

/// Opens `count` connections to `server`.
pub(crate) async fn connect(server: SocketAddr, count: usize) -> io::Result<Vec<Connection>> {
    let mut connections = Vec::with_capacity(count);
    for _ in 0..count {
        connections.push(timeout(PATIENCE, Connection::open(server)).await??);
    }
    Ok(connections)
}

/// Asks on every connection again as soon as it has its answer.
///
/// # Errors
/// When the server takes no new connection, or answers are overdue by [`PATIENCE`].
pub(crate) async fn closed(
    target: &Target,
    connections: Vec<Connection>,
    until: Until,
) -> io::Result<Slice> {
    let start = Instant::now();
    let (end, count) = match until {
        Until::Elapsed(time) => (start + time, u64::MAX),
        Until::Answered(count) => (start + Duration::from_secs(120), count),
    };
    let asked = Arc::new(AtomicU64::new(0));
    let mut workers = JoinSet::new();
    for mut connection in connections {
        let (target, asked) = (target.clone(), asked.clone());
        workers.spawn(async move {
            let mut slice = Slice::default();
            while Instant::now() < end && asked.fetch_add(1, Ordering::Relaxed) < count {
                slice.ask(&mut connection, &target).await?;
            }
            Ok(slice)
        });
    }
    sum(workers, start, end).await
}

/// Asks `rate` times a second, whatever the answers do: a request that finds no free connection waits, and its wait counts.
///
/// # Errors
/// As [`closed`].
pub(crate) async fn open(
    target: &Target,
    connections: Vec<Connection>,
    rate: u32,
    time: Duration,
) -> io::Result<Slice> {
    let interval = Duration::from_secs(1) / rate.max(1);
    let total = (time.as_nanos() / interval.as_nanos().max(1)) as u32;
    let due = Arc::new(Semaphore::new(0));
    let start = Instant::now() + Duration::from_millis(10);

    // A thread keeps the beat: the timers of the runtime only know milliseconds.
    let (beat, last) = (due.clone(), connections.len());
    let pacer = std::thread::spawn(move || {
        set_current_timer_slack(NonZeroU64::new(1)).ok();
        for arrival in 0..total {
            let due_at = start + interval * arrival;
            std::thread::sleep(due_at.saturating_duration_since(Instant::now()));
            beat.add_permits(1);
        }
        beat.add_permits(last);
    });

    let next = Arc::new(AtomicU64::new(0));
    let mut workers = JoinSet::new();
    for mut connection in connections {
        let (target, due, next) = (target.clone(), due.clone(), next.clone());
        workers.spawn(async move {
            let mut slice = Slice::default();
            loop {
                due.acquire().await.map_err(io::Error::other)?.forget();
                let arrival = next.fetch_add(1, Ordering::Relaxed) as u32;
                if arrival >= total {
                    return Ok(slice);
                }
                slice.ask(&mut connection, &target).await?;
                slice.latencies.push((start + interval * arrival).elapsed());
            }
        });
    }
    let slice = sum(workers, start, start + time).await;
    pacer
        .join()
        .map_err(|_| io::Error::other("the pacer broke"))?;
    slice
}

async fn sum(
    mut workers: JoinSet<io::Result<Slice>>,
    start: Instant,
    end: Instant,
) -> io::Result<Slice> {
    let mut total = Slice::default();
    while let Some(done) = timeout_at(end + PATIENCE, workers.join_next())
        .await
        .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "answers are overdue"))?
    {
        let slice = done.map_err(io::Error::other)??;
        total.answers += slice.answers;
        total.failures += slice.failures;
        total.latencies.extend(slice.latencies);
    }
    total.elapsed = start.elapsed();
    Ok(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_latencies_that_occurred() {
        let mut slice = Slice {
            latencies: (1..=200).rev().map(Duration::from_micros).collect(),
            ..Slice::default()
        };
        assert_eq!(slice.quantile_us(0.5), 100.0);
        assert_eq!(slice.quantile_us(0.99), 198.0);
        assert_eq!(slice.quantile_us(1.0), 200.0);
        assert!(Slice::default().quantile_us(0.5).is_nan());
    }
}
