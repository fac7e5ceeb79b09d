//! One sleep for all deadlines of a connection.

use std::pin::Pin;
use std::task::{Context, Waker};

use tokio::time::{Instant, Sleep, sleep_until};

/// One sleep that is moved as seldom as possible.
#[derive(Debug, Default)]
pub(super) struct Timer {
    sleep: Option<Pin<Box<Sleep>>>,
    /// The task that the sleep will wake.
    waker: Option<Waker>,
}

impl Timer {
    /// Wakes the task at `due`, or earlier.
    pub(super) fn wake_by(&mut self, due: Instant, now: Instant, cx: &mut Context<'_>) {
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(due)));
        let registered = self
            .waker
            .as_ref()
            .is_some_and(|waker| waker.will_wake(cx.waker()));
        if registered && now < sleep.deadline() && sleep.deadline() <= due {
            return;
        }
        if sleep.deadline() > due || sleep.deadline() <= now {
            sleep.as_mut().reset(due);
        }
        if sleep.as_mut().poll(cx).is_ready() {
            cx.waker().wake_by_ref();
        }
        self.waker = Some(cx.waker().clone());
    }
}
