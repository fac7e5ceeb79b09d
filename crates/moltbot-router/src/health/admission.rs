//! The right to ask a target once: held from the attempt's start to its reply's last byte.

use std::sync::Arc;

use moltbot_types::reply::{Ending, Hold};
use moltbot_types::{CallError, Reply, Usage};
use tokio::time::Instant;

use super::breaker::Ticket;
use super::credential::Trial;
use super::fault::Fault;
use super::peers::Peers;
use super::target::TargetHealth;

/// Why a target takes no call now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Its limits: it asked for a pause.
    Limited,
    /// It failed too often.
    Failing,
    /// Its credential was refused.
    Auth,
    /// Its credential's account has no money left.
    Money,
    /// It is held back: see [`Held`](super::Held).
    Held,
}

/// A target takes no call now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// When it may take one again; while a call tries it, the latest time that another may. Where it is
    /// held back, when to look again.
    pub opens: Instant,
    /// Why it takes none.
    pub reason: Reason,
}

impl Refusal {
    /// The refusal in words, as `status` tells it.
    pub(super) fn words(self, now: Instant) -> String {
        let why = match self.reason {
            Reason::Limited => "rate limited",
            Reason::Failing => "failed too often",
            Reason::Auth => "its credential was refused",
            Reason::Money => "its credential's account has no money left",
            Reason::Held => "held back",
        };
        let seconds = self.opens.saturating_duration_since(now).as_secs_f64();
        format!("{why}; rests for another {} s", seconds.ceil())
    }
}

/// The right to ask a target once.
///
/// It counts as in flight until it is dropped. Dropped without a verdict the call was cancelled, which
/// says nothing of the target: a probe's permit goes back and the next call probes.
#[derive(Debug)]
pub struct Admission {
    target: Arc<TargetHealth>,
    begun: Instant,
    ticket: Ticket,
    /// Set while this call tries a credential that was of no use.
    trial: Option<Trial>,
    peers: Peers,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Asked,
    Answering,
    Over,
}

impl Admission {
    pub(super) fn new(
        target: Arc<TargetHealth>,
        ticket: Ticket,
        trial: Option<Trial>,
        begun: Instant,
    ) -> Self {
        Self {
            target,
            begun,
            ticket,
            trial,
            peers: Peers::default(),
            stage: Stage::Asked,
        }
    }

    /// Judges the target beside its `peers`.
    #[must_use]
    pub fn among(mut self, peers: &Peers) -> Self {
        self.peers = peers.clone();
        self
    }

    /// Runs the attempt, notes what came of it, and stays with the reply until its last byte.
    ///
    /// # Errors
    /// Those of the attempt.
    pub async fn watch(
        mut self,
        attempt: impl Future<Output = Result<Reply, CallError>>,
    ) -> Result<Reply, CallError> {
        match attempt.await {
            Ok(mut reply) => {
                self.answered();
                reply.hold(self);
                Ok(reply)
            }
            Err(error) => {
                self.failed(&error);
                Err(error)
            }
        }
    }

    /// The first content arrived, or the whole answer.
    pub fn answered(&mut self) {
        if self.stage != Stage::Asked {
            return;
        }
        self.stage = Stage::Answering;
        let now = Instant::now();
        if let Some(trial) = self.trial.take() {
            self.target.credential().restore(trial);
        }
        self.target
            .answered(&mut self.ticket, now - self.begun, now);
    }

    /// The attempt failed before its content.
    pub fn failed(&mut self, error: &CallError) {
        if self.stage != Stage::Asked {
            return;
        }
        if let Some(fault) = Fault::of(error) {
            self.stage = Stage::Over;
            self.target
                .failed(self.ticket, fault, &self.peers, Instant::now());
        }
    }
}

impl Hold for Admission {
    fn end(&mut self, ending: &Ending, _: Option<Usage>) {
        if self.stage != Stage::Answering {
            return;
        }
        self.stage = Stage::Over;
        match ending {
            Ending::Complete => self.target.finished(self.ticket),
            Ending::Cut { kind, .. } if Fault::cuts(*kind) => {
                self.target.cut(self.ticket, &self.peers, Instant::now());
            }
            Ending::Cut { .. } | Ending::Cancelled => {}
        }
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        if self.stage == Stage::Asked {
            self.target.cancelled(self.ticket);
        }
        if let Some(trial) = self.trial.take() {
            self.target.credential().give_back(trial);
        }
        self.target.leave();
    }
}
