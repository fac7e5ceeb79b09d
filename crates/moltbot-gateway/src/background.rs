//! Tasks in the background that must not end: one that panics begins again, and how they are can be seen.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::error;

/// The first wait before a task begins again; it doubles each time.
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// A task that ran for so long is well: the next wait is the first one again.
const WELL_AFTER: Duration = Duration::from_secs(60);

/// The tasks of a gateway, and which of them are down.
pub(crate) struct Background {
    tasks: TaskTracker,
    stop: CancellationToken,
    down: Arc<Mutex<BTreeMap<&'static str, Down>>>,
}

/// How a task is down.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Down {
    /// It begins again after a wait.
    Waiting,
    /// It is gone for good: what it worked on went with it.
    Gone,
}

impl Background {
    /// Tasks of this tracker, which end with `stop`.
    pub(crate) fn new(tasks: TaskTracker, stop: CancellationToken) -> Self {
        Self {
            tasks,
            stop,
            down: Arc::default(),
        }
    }

    /// Keeps a task running until the stop: where it ends or panics before, it is made again.
    pub(crate) fn keep<F>(&self, name: &'static str, mut make: impl FnMut() -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (stop, down) = (self.stop.clone(), Arc::clone(&self.down));
        self.tasks.spawn(async move {
            let mut wait = FIRST_WAIT;
            while !stop.is_cancelled() {
                let begun = Instant::now();
                // What it shared is guarded by locks that forgive a panic.
                let _ = AssertUnwindSafe(async { make().await })
                    .catch_unwind()
                    .await;
                if stop.is_cancelled() {
                    return;
                }
                if begun.elapsed() >= WELL_AFTER {
                    wait = FIRST_WAIT;
                }
                error!(
                    task = name,
                    "a background task ended; it begins again in {wait:?}"
                );
                set(&down, name, Some(Down::Waiting));
                tokio::select! {
                    () = sleep(wait) => {}
                    () = stop.cancelled() => return,
                }
                set(&down, name, None);
                wait = (wait * 2).min(LONGEST_WAIT);
            }
        });
    }

    /// Runs a task that can't be made again, and notes where it panicked.
    pub(crate) fn run(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let down = Arc::clone(&self.down);
        self.tasks.spawn(async move {
            if AssertUnwindSafe(task).catch_unwind().await.is_err() {
                error!(task = name, "a background task is gone; restart moltbotd");
                set(&down, name, Some(Down::Gone));
            }
        });
    }

    /// Whether nothing is gone for good.
    pub(crate) fn is_whole(&self) -> bool {
        let down = self.down.lock().unwrap_or_else(PoisonError::into_inner);
        down.values().all(|how| *how != Down::Gone)
    }

    /// The tasks that are down, one line each, for people.
    pub(crate) fn problems(&self) -> String {
        let down = self.down.lock().unwrap_or_else(PoisonError::into_inner);
        down.iter()
            .map(|(name, how)| match how {
                Down::Waiting => format!("{name}: ended, begins again\n"),
                Down::Gone => format!("{name}: gone, restart moltbotd\n"),
            })
            .collect()
    }
}

fn set(down: &Mutex<BTreeMap<&'static str, Down>>, name: &'static str, how: Option<Down>) {
    let mut down = down.lock().unwrap_or_else(PoisonError::into_inner);
    match how {
        Some(how) => down.insert(name, how),
        None => down.remove(name),
    };
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    fn background() -> Background {
        Background::new(TaskTracker::new(), CancellationToken::new())
    }

    #[tokio::test(start_paused = true)]
    async fn fm_77_a_task_that_panics_begins_again_after_longer_and_longer_waits() {
        let background = background();
        let begun = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&begun);
        background.keep("watch", move || {
            let count = Arc::clone(&count);
            async move {
                let before = count.fetch_add(1, Ordering::Relaxed);
                assert!(before == 3, "as asked");
                std::future::pending().await
            }
        });
        let mut times = Vec::new();
        for number in 1..=4 {
            while begun.load(Ordering::Relaxed) < number {
                sleep(Duration::from_millis(10)).await;
            }
            times.push(Instant::now());
            if number < 4 {
                sleep(Duration::from_millis(10)).await;
                assert_eq!(background.problems(), "watch: ended, begins again\n");
                assert!(background.is_whole());
            }
        }
        let waits: Vec<_> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(waits[0] >= FIRST_WAIT && waits[1] > waits[0] && waits[2] > waits[1]);
        assert_eq!(background.problems(), "");
        background.stop.cancel();
    }

    #[tokio::test]
    async fn fm_77_a_task_that_can_not_begin_again_is_shown_as_gone() {
        let background = background();
        background.run("listener", async { panic!("as asked") });
        background.tasks.close();
        background.tasks.wait().await;
        assert!(!background.is_whole());
        assert_eq!(background.problems(), "listener: gone, restart moltbotd\n");
    }

    #[tokio::test]
    async fn a_task_that_ends_with_the_stop_is_not_missed() {
        let background = background();
        let stop = background.stop.clone();
        background.keep("watch", move || stop.clone().cancelled_owned());
        background.run("listener", background.stop.clone().cancelled_owned());
        background.stop.cancel();
        background.tasks.close();
        background.tasks.wait().await;
        assert_eq!(background.problems(), "");
    }
}
