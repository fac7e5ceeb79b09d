//! The breaker of one target: a state machine that is told the time and the jitter, and keeps no lock.
//!
//! ```text
//!        failures in a row, or their ratio            rest over: one probe
//!   up ────────────────────────────────────▶ resting ────────────────────▶ half-open
//!   ▲ ▲                                       ▲    ▲                        │  │  │
//!   │ └── slow start ◀──── answered ──────────┼────┼────────────────────────┘  │  │
//!   │                                         │    └─ cancelled ───────────────┘  │
//!   └──── pause over ◀── limited ──┐          └────── failed: a longer rest ──────┘
//! ```

use std::time::Duration;

use tokio::time::Instant;

use super::window::Window;
use super::{BreakerSettings, Fault};

/// The longest pause that a hint may ask for.
const LONGEST_HINT: Duration = Duration::from_secs(300);
/// The longest pause where no hint came.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// So long a healthy time takes one ejection off the count.
const DECAY: Duration = Duration::from_secs(30);

/// Whether a call may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gate {
    /// Yes.
    Open,
    /// Not before `until`, then all may: the target asked for a pause.
    Paused { until: Instant },
    /// Not before `until`, then one may.
    Ejected { until: Instant },
    /// One call is trying it since `since`.
    Trying { since: Instant },
}

/// What a call was admitted as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket {
    /// The term it was admitted in: a verdict on an earlier term is history.
    pub(super) term: u32,
    pub(super) trial: Trial,
    pub(super) begun: Instant,
}

/// Whether the call decides if the target comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trial {
    /// It does not.
    No,
    /// It holds the one permit of a rest that is over.
    Probe,
    /// It holds that permit before the rest is over.
    Early,
}

#[derive(Debug)]
pub(super) struct Breaker {
    settings: BreakerSettings,
    /// Counts ejections, so that verdicts of calls from before one can be told apart.
    term: u32,
    /// When an ejected target may be probed.
    ejected: Option<Instant>,
    /// When a pause that the target asked for is over; may lie in the past.
    paused: Option<Instant>,
    /// Since when the one permit is out.
    trying: Option<Instant>,
    /// When the target was last tried or put to rest.
    tried: Option<Instant>,
    /// Since when it is up again after an ejection.
    back: Option<Instant>,
    /// Ejections in a row; each healthy while takes one off.
    ejections: u32,
    /// Pauses in a row for which no hint came.
    pauses: u32,
    /// Failures in a row before content, and streams in a row cut after it. A target that begins
    /// every stream and ends none is as sick as one that begins none.
    failures: u32,
    cuts: u32,
    /// When the latest of the calls began that were answered. A call from before it that fails now took
    /// long to fail; it says nothing of a row.
    answered: Option<Instant>,
    window: Window,
}

impl Breaker {
    pub(super) fn new(settings: BreakerSettings, now: Instant) -> Self {
        Self {
            settings: settings.bounded(),
            term: 0,
            ejected: None,
            paused: None,
            trying: None,
            tried: None,
            back: None,
            ejections: 0,
            pauses: 0,
            failures: 0,
            cuts: 0,
            answered: None,
            window: Window::new(settings.window, now),
        }
    }

    pub(super) fn configure(&mut self, settings: BreakerSettings, now: Instant) {
        if settings.window != self.settings.window {
            self.window = Window::new(settings.window, now);
        }
        self.settings = settings.bounded();
    }

    pub(super) fn settings(&self) -> &BreakerSettings {
        &self.settings
    }

    pub(super) fn term(&self) -> u32 {
        self.term
    }

    /// When the target was last tried or put to rest.
    pub(super) fn tried(&self) -> Option<Instant> {
        self.tried
    }

    /// Since when it is up again; `None` where it never was away.
    pub(super) fn back(&self) -> Option<Instant> {
        self.back
    }

    /// The state, which time alone may open further: a pause or rest that is over is still told.
    pub(super) fn gate(&self) -> Gate {
        match (self.trying, self.ejected, self.paused) {
            (Some(since), ..) => Gate::Trying { since },
            (None, Some(ejected), paused) => Gate::Ejected {
                until: paused.map_or(ejected, |paused| paused.max(ejected)),
            },
            (None, None, Some(until)) => Gate::Paused { until },
            (None, None, None) => Gate::Open,
        }
    }

    /// Lets a call pass, if it may.
    pub(super) fn admit(&mut self, now: Instant) -> Option<Ticket> {
        match self.gate() {
            Gate::Open => Some(self.ticket(Trial::No, now)),
            Gate::Paused { until } if until <= now => {
                self.paused = None;
                Some(self.ticket(Trial::No, now))
            }
            Gate::Ejected { until } if until <= now => Some(self.attempt(Trial::Probe, now)),
            _ => None,
        }
    }

    /// Lets a call try the target though it rests: one at a time, at most one each first rest.
    pub(super) fn admit_early(&mut self, now: Instant) -> Option<Ticket> {
        let soon = self
            .tried
            .is_some_and(|tried| now < tried + self.settings.first_rest);
        (self.trying.is_none() && !soon).then(|| self.attempt(Trial::Early, now))
    }

    fn attempt(&mut self, trial: Trial, now: Instant) -> Ticket {
        self.trying = Some(now);
        self.tried = Some(now);
        self.ticket(trial, now)
    }

    fn ticket(&self, trial: Trial, begun: Instant) -> Ticket {
        Ticket {
            term: self.term,
            trial,
            begun,
        }
    }

    /// The call's first content arrived. A trial is over with that: the rest of the stream is a call like others.
    pub(super) fn answered(&mut self, ticket: &mut Ticket, now: Instant) {
        self.pauses = 0;
        if ticket.term != self.term {
            return;
        }
        if std::mem::replace(&mut ticket.trial, Trial::No) != Trial::No {
            self.trying = None;
            self.paused = None;
            if self.ejected.take().is_some() {
                self.back = Some(now);
            }
        }
        self.failures = 0;
        self.answered = self.answered.max(Some(ticket.begun));
        self.window.note(true, now);
    }

    /// The call's last byte arrived.
    pub(super) fn finished(&mut self, ticket: Ticket) {
        if ticket.term == self.term {
            self.cuts = 0;
        }
    }

    /// The call was given up, or failed for reasons that are not the target's.
    pub(super) fn cancelled(&mut self, ticket: Ticket) {
        if ticket.term == self.term && ticket.trial != Trial::No {
            self.trying = None;
        }
    }

    /// The call failed before its content. `jitter` stretches a rest that follows.
    pub(super) fn failed(&mut self, ticket: Ticket, fault: Fault, now: Instant, jitter: f64) {
        match fault {
            Fault::Failed => {}
            Fault::Overloaded(wait) => self.pause(wait, now),
            Fault::Limited { rest, hinted: true } => self.pause(rest, now),
            Fault::Limited {
                rest,
                hinted: false,
            } => self.pause_longer(rest, now, jitter),
            Fault::Auth | Fault::Money(_) => return self.cancelled(ticket),
        }
        if ticket.term != self.term {
            return;
        }
        match ticket.trial {
            Trial::Probe => self.eject(now, jitter),
            // It was not due yet, so its failure is no news.
            Trial::Early => self.trying = None,
            Trial::No => {
                if matches!(fault, Fault::Limited { .. }) {
                    return;
                }
                let in_order = self.answered.is_none_or(|latest| ticket.begun >= latest);
                self.failures += u32::from(fault == Fault::Failed && in_order);
                self.window.note(false, now);
                self.judge(now, jitter);
            }
        }
    }

    /// The call's stream broke off after content.
    pub(super) fn cut(&mut self, ticket: Ticket, now: Instant, jitter: f64) {
        if ticket.term != self.term {
            return;
        }
        self.cuts += 1;
        self.window.turn(now);
        self.judge(now, jitter);
    }

    fn judge(&mut self, now: Instant, jitter: f64) {
        let in_a_row = self.failures.max(self.cuts);
        let in_a_row = in_a_row >= self.settings.consecutive.max(1) && {
            let usual = self.window.usual(in_a_row, self.settings.min_requests, now);
            in_a_row >= no_accident(usual)
        };
        let too_many = |ratio: f64| ratio > self.settings.error_ratio;
        if in_a_row
            || self
                .window
                .ratio(self.settings.min_requests, now)
                .is_some_and(too_many)
        {
            self.eject(now, jitter);
        }
    }

    fn eject(&mut self, now: Instant, jitter: f64) {
        let healthy = self
            .back
            .take()
            .map_or(Duration::ZERO, |back| now.duration_since(back));
        let forgotten = (healthy.as_secs() / DECAY.as_secs()) as u32;
        self.ejections = self.ejections.saturating_sub(forgotten).saturating_add(1);
        let rest = self.settings.first_rest.as_secs_f64() * f64::from(self.ejections) * jitter;
        let rest = Duration::try_from_secs_f64(rest)
            .unwrap_or(self.settings.max_rest)
            .min(self.settings.max_rest);
        self.ejected = Some(now + rest);
        self.trying = None;
        self.tried = Some(now);
        self.term = self.term.wrapping_add(1);
        self.failures = 0;
        self.cuts = 0;
        self.window = Window::new(self.settings.window, now);
    }

    fn pause(&mut self, wait: Duration, now: Instant) {
        let until = now + wait.min(LONGEST_HINT);
        self.paused = Some(self.paused.map_or(until, |paused| paused.max(until)));
        self.tried = Some(now);
    }

    /// A pause without a hint: twice as long as the one before, but once for all calls that met the same limit.
    fn pause_longer(&mut self, rest: Duration, now: Instant, jitter: f64) {
        if self.paused.is_some_and(|until| now < until) {
            return;
        }
        let wait = rest
            .saturating_mul(1 << self.pauses.min(6))
            .min(LONGEST_PAUSE.max(rest));
        self.pauses += 1;
        self.pause(wait.min(LONGEST_HINT).mul_f64(jitter), now);
    }
}

/// So many failures in a row chance alone brings once in a million, where that share of calls fails.
///
/// Of a target that fails now and then five in a row are no news: taking it out would only load the others,
/// until they are out as well.
pub(super) fn no_accident(share: f64) -> u32 {
    const CHANCE: f64 = 1e-6;
    match share {
        share if share <= 0.0 => 1,
        share if share >= 1.0 => u32::MAX,
        share => (CHANCE.ln() / share.ln()).ceil() as u32,
    }
}
