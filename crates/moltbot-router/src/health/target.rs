//! The health of one target: what its breaker says, readable without a lock where a target is chosen.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::BreakerSettings;
use super::admission::{Admission, Reason, Refusal};
use super::breaker::{Breaker, Gate, Row, Scene, Ticket, Trial};
use super::clock::{Clock, Tagged};
use super::credential::CredentialHealth;
use super::fault::Fault;
use super::latency::{PeakEwma, fade};
use super::peers::Peers;

/// What `least_latency` believes of a target that was never asked, in seconds.
const START: f64 = 1.0;
/// The latency that a failure counts as, where it told no wait.
const PENALTY: Duration = Duration::from_secs(5);
/// The longest wait that counts as latency.
const LONGEST_PENALTY: Duration = Duration::from_secs(300);
/// How long a target that came back starts slowly, and in which steps.
const SLOW_START: Duration = Duration::from_secs(10);
const STEPS: [f64; 3] = [0.10, 0.25, 0.50];

const OPEN: u64 = 0;
const PAUSED: u64 = 1;
const EJECTED: u64 = 2;
const TRYING: u64 = 3;
/// When a target that is held may be looked at again; nobody knows how long it is held.
const HELD_AGAIN: Duration = Duration::from_secs(1);
/// Stands for an instant that never was.
const NEVER: u64 = u64::MAX;

/// Whether a target takes a call now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Standing {
    /// It does.
    Up {
        /// How much of its weight it may get: less than 1 while it starts slowly after a rest.
        share: f64,
    },
    /// It rested long enough: one call may try it.
    Due,
    /// It does not.
    Resting(Refusal),
}

/// The word for a target's standing in `status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Takes calls.
    Up,
    /// Rests, or is being tried.
    Resting,
    /// Its credential is of no use.
    NoCredential,
    /// It is held back.
    Held,
}

impl State {
    /// The word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Resting => "resting",
            Self::NoCredential => "no_credential",
            Self::Held => "held",
        }
    }
}

/// What is known of a target, for people.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// Its state.
    pub state: State,
    /// Why it is not up, in words.
    pub reason: Option<String>,
    /// Smoothed time to the first content; `None` before the first answer.
    pub latency: Option<Duration>,
    /// Calls under way.
    pub inflight: u32,
}

/// The health of one target. Made by [`Health::target`](super::Health::target).
#[derive(Debug)]
pub struct TargetHealth {
    clock: Clock,
    credential: Arc<CredentialHealth>,
    learnt: Mutex<Learnt>,
    /// Why it is held back, each reason for a [`Held`](super::Held).
    holds: Mutex<Vec<Arc<str>>>,
    inflight: AtomicU32,
    /// Whether there are `holds`.
    is_held: AtomicBool,
    // What follows mirrors `learnt` for readers without the lock; only its holder writes.
    gate: Tagged,
    term: AtomicU32,
    back: AtomicU64,
    answered: AtomicU64,
    well: AtomicU64,
    /// The bits of an `f64` in seconds, and when it was written; torn reads are off by one sample.
    cost: AtomicU64,
    cost_at: AtomicU64,
}

#[derive(Debug)]
struct Learnt {
    breaker: Breaker,
    cost: PeakEwma,
    latency: Option<PeakEwma>,
}

impl TargetHealth {
    pub(super) fn new(
        clock: Clock,
        settings: BreakerSettings,
        credential: Arc<CredentialHealth>,
    ) -> Self {
        let now = Instant::now();
        Self {
            clock,
            credential,
            learnt: Mutex::new(Learnt {
                breaker: Breaker::new(settings, now),
                cost: PeakEwma::new(START, now),
                latency: None,
            }),
            holds: Mutex::default(),
            inflight: AtomicU32::new(0),
            is_held: AtomicBool::new(false),
            gate: Tagged::default(),
            term: AtomicU32::new(0),
            back: AtomicU64::new(NEVER),
            answered: AtomicU64::new(NEVER),
            well: AtomicU64::new(0),
            cost: AtomicU64::new(START.to_bits()),
            cost_at: AtomicU64::new(clock.micros(now)),
        }
    }

    pub(super) fn configure(&self, settings: BreakerSettings) {
        self.learn(|learnt| learnt.breaker.configure(settings, Instant::now()));
    }

    /// Asks for the right to call the target.
    ///
    /// # Errors
    /// The target or its credential rests, it is held back, or the one call that may try it is under way.
    pub fn admit(self: &Arc<Self>) -> Result<Admission, Refusal> {
        let now = Instant::now();
        let refuse = || match self.standing(now) {
            Standing::Resting(refusal) => refusal,
            _ => Refusal {
                opens: now,
                reason: Reason::Failing,
            },
        };
        self.enter(now, refuse, |breaker| breaker.admit(now))
    }

    /// As [`TargetHealth::admit`], before its rest is over.
    pub(super) fn admit_early(self: &Arc<Self>, now: Instant) -> Option<Admission> {
        self.enter(now, || (), |breaker| breaker.admit_early(now))
            .ok()
    }

    fn enter<E>(
        self: &Arc<Self>,
        now: Instant,
        refusal: impl Fn() -> E,
        ask: impl FnOnce(&mut Breaker) -> Option<Ticket>,
    ) -> Result<Admission, E> {
        if self.is_held.load(Ordering::Acquire) {
            return Err(refusal());
        }
        let trial = self.credential.admit(now).map_err(|_| refusal())?;
        let ticket = match self.gate.load() {
            (OPEN, _) => Some(Ticket {
                term: self.term.load(Ordering::Acquire),
                trial: Trial::No,
                begun: now,
            }),
            _ => self.learn(|learnt| ask(&mut learnt.breaker)),
        };
        match ticket {
            Some(ticket) => {
                self.inflight.fetch_add(1, Ordering::Relaxed);
                Ok(Admission::new(Arc::clone(self), ticket, trial, now))
            }
            None => {
                if let Some(trial) = trial {
                    self.credential.give_back(trial);
                }
                Err(refusal())
            }
        }
    }

    /// Changes the reasons why it is held back.
    pub(super) fn held(&self, change: impl FnOnce(&mut Vec<Arc<str>>)) {
        let mut holds = self.holds.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut holds);
        self.is_held.store(!holds.is_empty(), Ordering::Release);
    }

    pub(super) fn leave(&self) {
        self.inflight.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn credential(&self) -> &CredentialHealth {
        &self.credential
    }

    pub(super) fn answered(&self, ticket: &mut Ticket, took: Duration, now: Instant) {
        self.learn(|learnt| {
            learnt.breaker.answered(ticket, now);
            learnt.cost.sample(took, now);
            match &mut learnt.latency {
                Some(latency) => latency.sample(took, now),
                None => learnt.latency = Some(PeakEwma::new(took.as_secs_f64(), now)),
            }
        });
    }

    pub(super) fn finished(&self, ticket: Ticket) {
        self.learn(|learnt| learnt.breaker.finished(ticket));
    }

    pub(super) fn cancelled(&self, ticket: Ticket) {
        // Only a trial holds something back, so that most calls need no lock here.
        if ticket.trial != Trial::No {
            self.learn(|learnt| learnt.breaker.cancelled(ticket));
        }
    }

    pub(super) fn failed(&self, ticket: Ticket, fault: Fault, peers: &Peers, now: Instant) {
        let penalty = match fault {
            Fault::Overloaded(rest) | Fault::Limited { rest, .. } => rest.min(LONGEST_PENALTY),
            _ => PENALTY,
        };
        match fault {
            Fault::Auth => self.credential.refuse(now),
            Fault::Money(reset) => self.credential.exhaust(reset, now),
            _ => {}
        }
        self.blame(penalty, peers, now, |breaker, scene| {
            breaker.failed(ticket, fault, scene);
        });
    }

    pub(super) fn cut(&self, ticket: Ticket, peers: &Peers, now: Instant) {
        self.blame(PENALTY, peers, now, |breaker, scene| {
            breaker.cut(ticket, scene)
        });
    }

    fn blame(
        &self,
        penalty: Duration,
        peers: &Peers,
        now: Instant,
        verdict: impl FnOnce(&mut Breaker, &Scene<'_>),
    ) {
        let others = |row| peers.are_well(self, row);
        let scene = Scene {
            now,
            jitter: jitter(),
            others: &others,
        };
        self.learn(|learnt| {
            verdict(&mut learnt.breaker, &scene);
            learnt.cost.sample(penalty, now);
        });
    }

    /// Whether it answers while another target has this row: it answered a call that began since the row did, and was
    /// out of a row of its own when the other's last call began.
    pub(super) fn is_well(&self, row: Row) -> bool {
        let answered = self.answered.load(Ordering::Acquire);
        answered != NEVER
            && answered >= self.clock.micros(row.early)
            && self.well.load(Ordering::Acquire) <= self.clock.micros(row.last)
    }

    /// When it was last tried or put to rest.
    pub(super) fn tried(&self) -> Option<Instant> {
        let learnt = self.learnt.lock().unwrap_or_else(PoisonError::into_inner);
        learnt.breaker.tried()
    }

    /// The least time between two trials before its rest is over.
    pub(super) fn first_rest(&self) -> Duration {
        let learnt = self.learnt.lock().unwrap_or_else(PoisonError::into_inner);
        learnt.breaker.settings().first_rest
    }

    /// Changes what was learnt, then tells the readers.
    fn learn<T>(&self, change: impl FnOnce(&mut Learnt) -> T) -> T {
        let mut learnt = self.learnt.lock().unwrap_or_else(PoisonError::into_inner);
        let result = change(&mut learnt);
        let back = learnt
            .breaker
            .back()
            .map_or(NEVER, |back| self.clock.micros(back));
        self.back.store(back, Ordering::Release);
        let answered = learnt
            .breaker
            .latest_answered()
            .map_or(NEVER, |answered| self.clock.micros(answered));
        self.answered.store(answered, Ordering::Release);
        let well = learnt
            .breaker
            .well()
            .map_or(0, |well| self.clock.micros(well));
        self.well.store(well, Ordering::Release);
        self.term.store(learnt.breaker.term(), Ordering::Release);
        self.cost
            .store(learnt.cost.seconds.to_bits(), Ordering::Relaxed);
        self.cost_at
            .store(self.clock.micros(learnt.cost.at), Ordering::Relaxed);
        let (tag, at) = match learnt.breaker.gate() {
            Gate::Open => (OPEN, learnt.cost.at),
            Gate::Paused { until } => (PAUSED, until),
            Gate::Ejected { until } => (EJECTED, until),
            Gate::Trying { since } => (TRYING, since + learnt.breaker.settings().first_rest),
        };
        self.gate.store(tag, self.clock.micros_up(at));
        result
    }

    /// Whether it takes a call now.
    pub fn standing(&self, now: Instant) -> Standing {
        if self.is_held.load(Ordering::Acquire) {
            return Standing::Resting(Refusal {
                opens: now + HELD_AGAIN,
                reason: Reason::Held,
            });
        }
        if let Some((reason, until)) = self.credential.bad()
            && now < until
        {
            return Standing::Resting(Refusal {
                opens: until,
                reason,
            });
        }
        let (tag, micros) = self.gate.load();
        let passed = self.clock.micros(now);
        let resting = |reason| {
            let opens = self.clock.instant(micros.max(passed));
            Standing::Resting(Refusal { opens, reason })
        };
        match tag {
            PAUSED if passed < micros => resting(Reason::Limited),
            EJECTED if passed < micros => resting(Reason::Failing),
            EJECTED => Standing::Due,
            TRYING => resting(Reason::Failing),
            _ => Standing::Up {
                share: self.share(passed),
            },
        }
    }

    fn share(&self, now: u64) -> f64 {
        let back = self.back.load(Ordering::Acquire);
        if back == NEVER {
            return 1.0;
        }
        let step = now.saturating_sub(back) * STEPS.len() as u64 / SLOW_START.as_micros() as u64;
        STEPS.get(step as usize).copied().unwrap_or(1.0)
    }

    /// For how long it has been up again after it was ejected; `None` where it never was, or is not up.
    pub fn back_for(&self, now: Instant) -> Option<Duration> {
        let back = self.back.load(Ordering::Acquire);
        (back != NEVER).then(|| Duration::from_micros(self.clock.micros(now).saturating_sub(back)))
    }

    /// Calls under way.
    pub fn inflight(&self) -> u32 {
        self.inflight.load(Ordering::Relaxed)
    }

    /// Its load as `least_latency` sees it, in seconds: the time to the first content that is
    /// expected, times the calls under way and one more.
    pub fn load(&self, now: Instant) -> f64 {
        let idle = self
            .clock
            .micros(now)
            .saturating_sub(self.cost_at.load(Ordering::Relaxed));
        let cost = f64::from_bits(self.cost.load(Ordering::Relaxed));
        cost * fade(Duration::from_micros(idle)) * f64::from(self.inflight() + 1)
    }

    /// The newest reason why it is held back.
    fn why_held(&self) -> Option<String> {
        let holds = self.holds.lock().unwrap_or_else(PoisonError::into_inner);
        holds.last().map(ToString::to_string)
    }

    /// What is known of it, for people.
    pub fn snapshot(&self, now: Instant) -> Snapshot {
        let (state, reason) = match self.standing(now) {
            Standing::Up { .. } => (State::Up, None),
            Standing::Due => (
                State::Resting,
                Some("failed; the next call tries it".to_owned()),
            ),
            Standing::Resting(refusal) => {
                let state = match refusal.reason {
                    Reason::Auth | Reason::Money => State::NoCredential,
                    Reason::Limited | Reason::Failing => State::Resting,
                    Reason::Held => State::Held,
                };
                (
                    state,
                    Some(self.why_held().unwrap_or_else(|| refusal.words(now))),
                )
            }
        };
        let learnt = self.learnt.lock().unwrap_or_else(PoisonError::into_inner);
        Snapshot {
            state,
            reason,
            latency: learnt
                .latency
                .map(|latency| Duration::from_secs_f64(latency.seconds)),
            inflight: self.inflight(),
        }
    }
}

/// Spreads the ends of rests that began together.
fn jitter() -> f64 {
    rand::random_range(0.8..=1.2)
}
