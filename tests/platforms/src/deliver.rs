//! Events on their way to a bot: by posts that are repeated until they are acknowledged.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::faults::Fate;

/// How long a platform waits before it repeats a post; the real ones wait longer.
const AGAIN: [Duration; 4] = [
    Duration::from_millis(50),
    Duration::from_millis(200),
    Duration::from_millis(500),
    Duration::from_secs(1),
];
/// How long an acknowledgement may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// Makes the request of one delivery, signed at that moment; told how often it was tried before.
pub(crate) type Post = Arc<dyn Fn(usize) -> reqwest::RequestBuilder + Send + Sync>;

/// Posts events.
pub(crate) struct Deliveries {
    tasks: std::sync::Mutex<JoinSet<()>>,
    open: Arc<AtomicUsize>,
    refused: Arc<AtomicUsize>,
    late: Arc<AtomicUsize>,
}

impl Deliveries {
    pub(crate) fn new() -> Self {
        Self {
            tasks: std::sync::Mutex::default(),
            open: Arc::default(),
            refused: Arc::default(),
            late: Arc::default(),
        }
    }

    /// Events that are not acknowledged yet.
    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    /// Answers that were no acknowledgement.
    pub(crate) fn refused(&self) -> usize {
        self.refused.load(Ordering::SeqCst)
    }

    /// Acknowledgements that did not come in time.
    pub(crate) fn late(&self) -> usize {
        self.late.load(Ordering::SeqCst)
    }

    /// Posts an event until it is acknowledged; twice or late where fate will have it.
    pub(crate) fn deliver(&self, post: Post, fate: &Fate) {
        let times = 1 + usize::from(fate.hits(|faults| faults.repeated));
        let late = fate.hits(|faults| faults.reordered);
        for _ in 0..times {
            let post = Arc::clone(&post);
            let (open, refused) = (Arc::clone(&self.open), Arc::clone(&self.refused));
            let slow = Arc::clone(&self.late);
            open.fetch_add(1, Ordering::SeqCst);
            let mut tasks = self.tasks.lock().expect("no test panics with it");
            tasks.spawn(async move {
                if late {
                    sleep(Duration::from_millis(60)).await;
                }
                for tries in 0.. {
                    let request = post(tries).timeout(PATIENCE);
                    match request.send().await {
                        Ok(answer) if answer.status().is_success() => break,
                        Ok(_) => refused.fetch_add(1, Ordering::SeqCst),
                        Err(error) if error.is_timeout() => slow.fetch_add(1, Ordering::SeqCst),
                        Err(_) => 0,
                    };
                    sleep(AGAIN[tries.min(AGAIN.len() - 1)]).await;
                }
                open.fetch_sub(1, Ordering::SeqCst);
            });
            while tasks.try_join_next().is_some() {}
        }
    }
}

/// The client that posts events.
#[expect(
    clippy::disallowed_methods,
    reason = "a platform posts where it is told"
)]
pub(crate) fn client() -> reqwest::Client {
    let client = reqwest::Client::builder().no_proxy().build();
    client.expect("a client")
}
