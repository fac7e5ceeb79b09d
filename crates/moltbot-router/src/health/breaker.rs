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
/// So long a healthy time takes one ejection off the count; so long a target that came back is taken for
/// what it was before.
const DECAY: Duration = Duration::from_secs(30);
/// When others fail as well, a row that began longer ago than this is the target's own fault.
const SURE: Duration = Duration::from_secs(1);
/// A call that fails within this time was refused; a pause lets calls wait.
const QUICK: Duration = Duration::from_millis(50);

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

/// What a verdict is told of the world around the target.
pub(super) struct Scene<'a> {
    pub(super) now: Instant,
    /// Stretches a rest that follows.
    pub(super) jitter: f64,
    /// Whether another target of the model is well while this one has its row.
    pub(super) others: &'a dyn Fn(Row) -> bool,
}

/// Failures without an answer between them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    length: u32,
    /// When the first of the calls failed.
    failed: Instant,
    /// When a call began that stands early in the row, but not at its very start, which may be chance; the
    /// next one to stand here; and when the last one began.
    pub(super) early: Instant,
    next: Instant,
    pub(super) last: Instant,
}

impl Row {
    fn new(ticket: Ticket, now: Instant) -> Self {
        Self {
            length: 1,
            failed: now,
            early: ticket.begun,
            next: ticket.begun,
            last: ticket.begun,
        }
    }

    fn grow(&mut self, ticket: Ticket) {
        self.length += 1;
        self.last = ticket.begun;
        if self.length.is_power_of_two() {
            self.early = std::mem::replace(&mut self.next, ticket.begun);
        }
    }

    fn add(row: &mut Option<Self>, ticket: Ticket, now: Instant) {
        match row {
            Some(row) => row.grow(ticket),
            None => *row = Some(Self::new(ticket, now)),
        }
    }
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
    failures: Option<Row>,
    cuts: Option<Row>,
    /// The share of failures that was usual before the latest ejection; `None` where it was not known.
    before: Option<f64>,
    /// When the latest of the calls began that were answered. A call from before it that fails now took
    /// long to fail; it says nothing of a row.
    answered: Option<Instant>,
    /// When the call began whose answer ended the latest long row.
    well: Option<Instant>,
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
            failures: None,
            cuts: None,
            before: None,
            answered: None,
            well: None,
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

    /// When the latest of the calls began that were answered.
    pub(super) fn latest_answered(&self) -> Option<Instant> {
        self.answered
    }

    /// When the call began whose answer ended the latest long row of failures.
    pub(super) fn well(&self) -> Option<Instant> {
        self.well
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
        let row = self.failures.take();
        if row.is_some_and(|row| row.length >= self.settings.consecutive) {
            self.well = Some(ticket.begun);
        }
        self.answered = self.answered.max(Some(ticket.begun));
        self.window.note(true, now);
    }

    /// The call's last byte arrived.
    pub(super) fn finished(&mut self, ticket: Ticket) {
        if ticket.term == self.term {
            self.cuts = None;
        }
    }

    /// The call was given up, or failed for reasons that are not the target's.
    pub(super) fn cancelled(&mut self, ticket: Ticket) {
        if ticket.term == self.term && ticket.trial != Trial::No {
            self.trying = None;
        }
    }

    /// The call failed before its content.
    pub(super) fn failed(&mut self, ticket: Ticket, fault: Fault, scene: &Scene<'_>) {
        let now = scene.now;
        match fault {
            Fault::Failed => {}
            Fault::Overloaded(wait) => self.pause(wait, now),
            Fault::Limited { rest, hinted: true } => self.pause(rest, now),
            Fault::Limited {
                rest,
                hinted: false,
            } => {
                if !self.window.limited(self.settings.min_requests, now) {
                    self.pause_longer(rest, scene);
                }
            }
            Fault::Auth | Fault::Money(_) => return self.cancelled(ticket),
        }
        if ticket.term != self.term {
            return;
        }
        match ticket.trial {
            Trial::Probe => self.eject(scene),
            // It was not due yet, so its failure is no news.
            Trial::Early => self.trying = None,
            Trial::No => {
                if matches!(fault, Fault::Limited { .. }) {
                    return;
                }
                let in_order = self.answered.is_none_or(|latest| ticket.begun >= latest);
                if fault == Fault::Failed && in_order {
                    Row::add(&mut self.failures, ticket, now);
                }
                self.window.note(false, now);
                let refused = now.duration_since(ticket.begun) < QUICK;
                self.judge(refused, scene);
            }
        }
    }

    /// The call's stream broke off after content.
    pub(super) fn cut(&mut self, ticket: Ticket, scene: &Scene<'_>) {
        if ticket.term != self.term {
            return;
        }
        Row::add(&mut self.cuts, ticket, scene.now);
        self.window.turn(scene.now);
        self.judge(false, scene);
    }

    fn judge(&mut self, refused: bool, scene: &Scene<'_>) {
        let least = self.settings.min_requests;
        let row = longer(self.failures, self.cuts);
        let length = row.map_or(0, |row| row.length);
        let back = self.back.map(|back| scene.now.duration_since(back));
        let before = self
            .before
            .filter(|_| back.is_some_and(|back| back < DECAY));
        let usual = self.window.usual(length, least, before, scene.now);
        let in_a_row = row.is_some_and(|row| {
            row.length >= self.settings.consecutive.max(1)
                && usual.is_none_or(|usual| {
                    row.length >= no_accident(usual) && (refused || Self::stands_alone(row, scene))
                })
        });
        let too_many = |ratio: f64| ratio > self.settings.error_ratio;
        if in_a_row || self.window.ratio(least, scene.now).is_some_and(too_many) {
            self.before = usual;
            self.eject(scene);
        }
    }

    /// Whether a row of calls that had to wait is the target's own. What fails for all targets at once and only
    /// for a moment is a pause of this machine or of the network: ejecting them all would make seconds of it.
    fn stands_alone(row: Row, scene: &Scene<'_>) -> bool {
        scene.now.duration_since(row.failed) >= SURE || (scene.others)(row)
    }

    fn eject(&mut self, scene: &Scene<'_>) {
        let now = scene.now;
        let healthy = self
            .back
            .take()
            .map_or(Duration::ZERO, |back| now.duration_since(back));
        let forgotten = (healthy.as_secs() / DECAY.as_secs()) as u32;
        self.ejections = self.ejections.saturating_sub(forgotten).saturating_add(1);
        let rest =
            self.settings.first_rest.as_secs_f64() * f64::from(self.ejections) * scene.jitter;
        let rest = Duration::try_from_secs_f64(rest)
            .unwrap_or(self.settings.max_rest)
            .min(self.settings.max_rest);
        self.ejected = Some(now + rest);
        self.trying = None;
        self.tried = Some(now);
        self.term = self.term.wrapping_add(1);
        self.failures = None;
        self.cuts = None;
        self.window = Window::new(self.settings.window, now);
    }

    fn pause(&mut self, wait: Duration, now: Instant) {
        let until = now + wait.min(LONGEST_HINT);
        self.paused = Some(self.paused.map_or(until, |paused| paused.max(until)));
        self.tried = Some(now);
    }

    /// A pause without a hint: twice as long as the one before, but once for all calls that met the same limit.
    fn pause_longer(&mut self, rest: Duration, scene: &Scene<'_>) {
        let now = scene.now;
        if self.paused.is_some_and(|until| now < until) {
            return;
        }
        let wait = rest
            .saturating_mul(1 << self.pauses.min(6))
            .min(LONGEST_PAUSE.max(rest));
        self.pauses += 1;
        self.pause(wait.min(LONGEST_HINT).mul_f64(scene.jitter), now);
    }
}

fn longer(one: Option<Row>, other: Option<Row>) -> Option<Row> {
    one.into_iter().chain(other).max_by_key(|row| row.length)
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
