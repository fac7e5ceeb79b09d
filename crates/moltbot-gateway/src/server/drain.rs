//! Leaving in good order: what is in flight is counted by its bodies and ends before the process does.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;

/// How long each part of a drain may take, counted from its start.
#[derive(Debug, Clone)]
pub struct DrainSettings {
    /// New connections are still taken for this long, so that load balancers see `/readyz` fail first. 5 s.
    pub window: Duration,
    /// Whole answers have this long to end. 30 s.
    pub calls: Duration,
    /// Streams have this long; then they should end with an error event. 120 s.
    pub streams: Duration,
    /// Whatever is left is cut. 125 s.
    pub forced: Duration,
}

impl Default for DrainSettings {
    fn default() -> Self {
        Self {
            window: Duration::from_secs(5),
            calls: Duration::from_secs(30),
            streams: Duration::from_secs(120),
            forced: Duration::from_secs(125),
        }
    }
}

/// A handle on the shutdown of all servers of a process; clones share it.
///
/// Servers ask it what to do with new and idle connections, and count on it what is in flight. Bodies
/// that may last watch [`calls_end`](Self::calls_end) or [`streams_end`](Self::streams_end).
#[derive(Clone)]
pub struct Drain(Arc<Inner>);

struct Inner {
    settings: DrainSettings,
    /// The stage in the low byte, above it how many servers are crowded. One word, so that a connection
    /// sees by one load whether anything changed.
    orders: AtomicU64,
    /// Orders changed.
    changed: Notify,
    in_flight: AtomicUsize,
    connections: AtomicU32,
    /// A count came down to zero while draining. Counts and orders are sequentially consistent, so that
    /// either the waiter sees the zero or the last one sees the drain.
    emptied: Notify,
    hurry: CancellationToken,
    calls_end: CancellationToken,
    streams_end: CancellationToken,
}

/// How far a drain has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    Serving,
    /// Answers say `Connection: close`, HTTP/2 clients are told to go away.
    Retiring,
    /// Listeners and idle connections are closed.
    Closed,
    /// Everything is cut.
    Cut,
}

/// What connections are asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Orders(u64);

impl Orders {
    pub(super) fn stage(self) -> Stage {
        match self.0 & 0xff {
            0 => Stage::Serving,
            1 => Stage::Retiring,
            2 => Stage::Closed,
            _ => Stage::Cut,
        }
    }

    /// Whether idle connections should make room for others.
    pub(super) fn crowded(self) -> bool {
        self.0 >> 8 != 0
    }
}

impl Drain {
    /// A drain that has not begun.
    pub fn new(settings: DrainSettings) -> Self {
        Self(Arc::new(Inner {
            settings,
            orders: AtomicU64::new(0),
            changed: Notify::new(),
            in_flight: AtomicUsize::new(0),
            connections: AtomicU32::new(0),
            emptied: Notify::new(),
            hurry: CancellationToken::new(),
            calls_end: CancellationToken::new(),
            streams_end: CancellationToken::new(),
        }))
    }

    /// Begins: from here on `/readyz` should fail, answers ask for the connection's end. May be called
    /// again.
    pub fn start(&self) {
        self.advance(Stage::Retiring);
    }

    /// Whether it has begun.
    pub fn started(&self) -> bool {
        self.orders().stage() > Stage::Serving
    }

    /// Requests whose answer is not yet complete: from the head's arrival until the response's body was
    /// dropped.
    pub fn in_flight(&self) -> usize {
        self.0.in_flight.load(Ordering::SeqCst)
    }

    /// Open connections.
    pub fn connections(&self) -> u32 {
        self.0.connections.load(Ordering::SeqCst)
    }

    /// Whole answers end now. Never before [`run`](Self::run).
    pub fn calls_end(&self) -> &CancellationToken {
        &self.0.calls_end
    }

    /// Streams end now, with an error event. Never before [`run`](Self::run).
    pub fn streams_end(&self) -> &CancellationToken {
        &self.0.streams_end
    }

    /// Ends everything at once (a second signal): [`run`](Self::run) cuts what is left and returns.
    pub fn hurry(&self) {
        self.0.hurry.cancel();
    }

    /// Goes through the whole sequence and returns how many requests had to be cut.
    pub async fn run(&self) -> usize {
        self.start();
        let begun = Instant::now();
        let settings = &self.0.settings;
        let in_order = async {
            sleep_until(begun + settings.window).await;
            self.advance(Stage::Closed);
            for (after, end) in [
                (settings.calls, Some(self.calls_end())),
                (settings.streams, Some(self.streams_end())),
                (settings.forced, None),
            ] {
                if timeout_at(begun + after, self.emptied()).await.is_ok() {
                    break;
                }
                if let Some(end) = end {
                    end.cancel();
                }
            }
        };
        tokio::select! {
            () = in_order => {}
            () = self.0.hurry.cancelled() => {}
        }
        self.0.calls_end.cancel();
        self.0.streams_end.cancel();
        let left = self.in_flight();
        self.advance(Stage::Cut);
        left
    }

    /// Ready once nothing is in flight and the last bytes have left: connections close behind them, and
    /// get a second for it.
    async fn emptied(&self) {
        self.wait_for(|| self.in_flight() == 0).await;
        let last_bytes = Instant::now() + Duration::from_secs(1);
        let _ = timeout_at(last_bytes, self.wait_for(|| self.connections() == 0)).await;
    }

    async fn wait_for(&self, reached: impl Fn() -> bool) {
        loop {
            let emptied = self.0.emptied.notified();
            if reached() {
                return;
            }
            emptied.await;
        }
    }

    fn advance(&self, stage: Stage) {
        let _ = self
            .0
            .orders
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |orders| {
                (Orders(orders).stage() < stage).then_some((orders & !0xff) | stage as u64)
            });
        self.0.changed.notify_waiters();
    }

    /// Asks idle connections to make room for others, for as long as the guard lives.
    pub(super) fn crowded(&self) -> Crowded {
        self.0.orders.fetch_add(0x100, Ordering::SeqCst);
        self.0.changed.notify_waiters();
        Crowded(self.clone())
    }

    pub(super) fn orders(&self) -> Orders {
        Orders(self.0.orders.load(Ordering::SeqCst))
    }

    /// Wakes whoever waits for new orders. Make the waiter first, then look at [`orders`](Self::orders).
    pub(super) fn changed(&self) -> &Notify {
        &self.0.changed
    }

    /// Ready once this stage is reached.
    pub(super) async fn reached(&self, stage: Stage) {
        loop {
            let changed = self.0.changed.notified();
            if self.orders().stage() >= stage {
                return;
            }
            changed.await;
        }
    }

    pub(super) fn request_began(&self) {
        self.0.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn request_ended(&self) {
        if self.0.in_flight.fetch_sub(1, Ordering::SeqCst) == 1 && self.started() {
            self.0.emptied.notify_waiters();
        }
    }

    /// Counts a connection for as long as the guard lives.
    pub(super) fn connection(&self) -> Connected {
        self.0.connections.fetch_add(1, Ordering::Relaxed);
        Connected(self.clone())
    }
}

impl Default for Drain {
    fn default() -> Self {
        Self::new(DrainSettings::default())
    }
}

impl fmt::Debug for Drain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Drain")
            .field("stage", &self.orders().stage())
            .field("in_flight", &self.in_flight())
            .field("connections", &self.connections())
            .finish_non_exhaustive()
    }
}

/// An open connection, counted until it is dropped.
#[derive(Debug)]
pub(super) struct Connected(Drain);

impl Drop for Connected {
    fn drop(&mut self) {
        let inner = &self.0.0;
        if inner.connections.fetch_sub(1, Ordering::SeqCst) == 1 && self.0.started() {
            inner.emptied.notify_waiters();
        }
    }
}

/// A server has no place or no descriptor for another connection.
#[derive(Debug)]
pub(super) struct Crowded(Drain);

impl Drop for Crowded {
    fn drop(&mut self) {
        self.0.0.orders.fetch_sub(0x100, Ordering::SeqCst);
    }
}
