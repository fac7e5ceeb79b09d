//! Load at a constant rate, whatever the answers do; latency counts from the moment that a call was due.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::ask::{Answer, Ask};
use crate::client::Client;
use crate::lab::{Failure, Lab};

/// Calls under way at once at most; beyond, a call waits, and its wait counts.
const MOST_AT_ONCE: usize = 4000;

/// What is offered.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    pub(crate) model: &'static str,
    /// Calls a second.
    pub(crate) rate: u32,
    /// Calls in all at most.
    pub(crate) count: u32,
    /// Each second call is streamed; else none.
    pub(crate) streams: bool,
}

impl Load {
    /// Calls of `model` for a time.
    pub(crate) fn lasting(model: &'static str, rate: u32, seconds: u32) -> Self {
        Self {
            model,
            rate,
            count: rate * seconds,
            streams: true,
        }
    }

    /// Offers all of it and waits for the last answer.
    pub(crate) async fn run(self, lab: &Lab, client: &Arc<Client>) -> Result<Vec<Answer>, Failure> {
        self.start(lab, client).end().await
    }

    /// Begins to offer it.
    pub(crate) fn start(self, lab: &Lab, client: &Arc<Client>) -> Running {
        let asks: Vec<Ask> = (0..self.count)
            .map(|at| Ask {
                nonce: lab.nonce(),
                model: self.model.to_owned(),
                stream: self.streams && at % 2 == 1,
                events: 8,
                pace_ms: 0,
            })
            .collect();
        let stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        let interval = Duration::from_secs(1) / self.rate.max(1);
        let offer = offer(
            asks,
            interval,
            Arc::clone(client),
            tasks.clone(),
            stop.clone(),
        );
        Running {
            stop,
            offer: tasks.spawn(offer),
        }
    }
}

/// Load that is being offered.
pub(crate) struct Running {
    stop: CancellationToken,
    offer: JoinHandle<Vec<Answer>>,
}

impl Running {
    /// Waits until all of it was offered and answered.
    pub(crate) async fn end(self) -> Result<Vec<Answer>, Failure> {
        Ok(self.offer.await?)
    }

    /// Offers no more, and waits for the last answer.
    pub(crate) async fn stop(self) -> Result<Vec<Answer>, Failure> {
        self.stop.cancel();
        self.end().await
    }
}

async fn offer(
    asks: Vec<Ask>,
    interval: Duration,
    client: Arc<Client>,
    tasks: TaskTracker,
    stop: CancellationToken,
) -> Vec<Answer> {
    let answers = Arc::new(Mutex::new(Vec::with_capacity(asks.len())));
    let permits = Arc::new(Semaphore::new(MOST_AT_ONCE));
    let start = Instant::now();
    let calls = TaskTracker::new();
    for (at, ask) in (0..).zip(asks) {
        let due = start + interval * at;
        tokio::select! {
            () = stop.cancelled() => break,
            () = sleep_until(due) => {}
        }
        let Ok(permit) = Arc::clone(&permits).acquire_owned().await else {
            break;
        };
        let (answers, client) = (Arc::clone(&answers), Arc::clone(&client));
        calls.spawn(async move {
            let answer = ask.make(&client, due).await;
            answers
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(answer);
            drop(permit);
        });
    }
    calls.close();
    calls.wait().await;
    tasks.close();
    let mut answers = std::mem::take(&mut *answers.lock().unwrap_or_else(PoisonError::into_inner));
    answers.sort_by_key(|answer| answer.due);
    answers
}
