//! The life of one replica: start, wait for readiness, watch, and again.

use std::io;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use super::backoff::Backoff;
use super::port;
use super::probe::Probe;
use super::process::{Event, Process};
use super::settings::InstanceSettings;
use super::status::{State, Status};
use super::vitals;

/// How often a starting server is asked whether it is ready.
const ASK_EVERY: Duration = Duration::from_millis(200);
/// A start that is late may take so many times the time it was given, as long as it works.
const PATIENCE: u32 = 10;

/// Keeps one replica running until it is cancelled.
pub(super) struct Supervisor {
    pub(super) settings: InstanceSettings,
    pub(super) replica: usize,
    pub(super) probe: Probe,
    pub(super) publish: watch::Sender<Status>,
    pub(super) tracker: TaskTracker,
    pub(super) cancel: CancellationToken,
}

impl Supervisor {
    pub(super) async fn run(self) {
        let settings = &self.settings;
        let mut backoff = Backoff::new(settings.backoff_first, settings.backoff_max);
        while self.life(&mut backoff).await.is_some() {
            tokio::select! {
                () = self.cancel.cancelled() => break,
                () = sleep(backoff.next()) => {}
            }
            self.publish.send_modify(|status| {
                status.restarts += 1;
                status.enter(State::Starting);
            });
        }
        self.publish.send_modify(|status| {
            status.enter(State::Stopped);
            status.pid = None;
            status.reason = None;
        });
    }

    /// One server from its start to its end; `None` where it was stopped.
    async fn life(&self, backoff: &mut Backoff) -> Option<()> {
        if self.cancel.is_cancelled() {
            return None;
        }
        let started = self
            .free_port()
            .and_then(|port| Process::start(&self.settings, self.replica, port, &self.tracker));
        let mut process = match started {
            Ok(process) => process,
            Err(error) => {
                self.ended(format!("it can't be started: {error}"));
                return Some(());
            }
        };
        let reason = {
            let tending = self.tend(backoff);
            tokio::pin!(tending);
            loop {
                tokio::select! {
                    biased;
                    () = self.cancel.cancelled() => break None,
                    event = process.next() => match event {
                        Event::Runs(pid) => self.publish.send_modify(|status| status.pid = Some(pid)),
                        Event::Ended(reason) => break Some(reason),
                    },
                    reason = &mut tending => break Some(reason),
                }
            }
        };
        // Told before it is ended: no call should go there meanwhile.
        let Some(reason) = reason else {
            let stopped = |status: &mut Status| status.enter(State::Stopped);
            self.publish.send_modify(stopped);
            process.stop(self.settings.grace).await;
            return None;
        };
        self.ended(reason);
        process.end().await;
        Some(())
    }

    /// The port of the replica, or a new one where another process took it.
    fn free_port(&self) -> io::Result<u16> {
        let mut port = self.publish.borrow().address.port();
        if !port::is_free(port) {
            port = port::choose(&[port])?;
            self.publish
                .send_modify(|status| status.address.set_port(port));
        }
        Ok(port)
    }

    /// Watches a server that runs; ends with the reason why it must be replaced.
    async fn tend(&self, backoff: &mut Backoff) -> String {
        if let Err(reason) = self.until_ready().await {
            return reason;
        }
        let ready = Instant::now();
        let mut missed = 0;
        loop {
            sleep(self.settings.probe_every).await;
            let Err(why) = self.ask().await else {
                missed = 0;
                self.enter(State::Ready, None);
                if ready.elapsed() >= self.settings.backoff_reset {
                    backoff.reset();
                }
                continue;
            };
            missed += 1;
            let works = self.works().await;
            if !works {
                self.enter(State::Unresponsive, Some(&why));
            }
            let (limit, how) = match works {
                true => (self.settings.busy_hung_after, "though it works"),
                false => (self.settings.hung_after, "and does nothing"),
            };
            if missed >= limit {
                return format!("it hangs: {missed} times in a row it {why} {how}");
            }
        }
    }

    /// Waits until a server that was started is ready.
    async fn until_ready(&self) -> Result<(), String> {
        let begun = Instant::now();
        let within = self.settings.ready_within;
        let mut told = false;
        loop {
            let Err(why) = self.ask().await else {
                let late = begun.elapsed() > within;
                self.publish.send_modify(|status| status.late = late);
                self.enter(State::Ready, None);
                return Ok(());
            };
            if begun.elapsed() >= within {
                let reason = format!("it did not become ready within {within:?}: it {why}");
                self.publish.send_modify(|status| {
                    status.late = true;
                    status.reason = Some(reason.clone());
                });
                if !self.works().await || begun.elapsed() >= within * PATIENCE {
                    return Err(reason);
                }
                if !std::mem::replace(&mut told, true) {
                    self.warn(&format!("{reason}; it works, so it is given more time"));
                }
            }
            sleep(ASK_EVERY).await;
        }
    }

    async fn ask(&self) -> Result<(), String> {
        let address = self.publish.borrow().address;
        self.probe.ask(address).await
    }

    async fn works(&self) -> bool {
        let pid = self.publish.borrow().pid;
        match pid {
            Some(pid) => vitals::works(pid, &self.tracker).await,
            None => false,
        }
    }

    /// Moves between the states of a server that runs, where it is not in that state yet.
    fn enter(&self, state: State, reason: Option<&str>) {
        let moved = self.publish.send_if_modified(|status| {
            if status.state == state {
                return false;
            }
            status.enter(state);
            status.reason = reason.map(str::to_owned);
            true
        });
        if !moved {
            return;
        }
        match reason {
            Some(reason) => self.warn(&format!("it {reason}")),
            None => {
                let address = self.publish.borrow().address;
                let (model, replica) = (&self.settings.name, self.replica);
                info!(target: "moltbot::instance", model, replica, %address, "the instance is ready");
            }
        }
    }

    fn ended(&self, reason: String) {
        self.warn(&reason);
        self.publish.send_modify(|status| {
            status.enter(State::BackingOff);
            status.pid = None;
            status.reason = Some(reason);
        });
    }

    fn warn(&self, reason: &str) {
        let (model, replica) = (&self.settings.name, self.replica);
        warn!(target: "moltbot::instance", model, replica, "the instance is not ready: {reason}");
    }
}
