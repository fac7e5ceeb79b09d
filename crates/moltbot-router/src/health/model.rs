//! The breaker as a reader would tell it, slow and plain; what the real one does is compared with it.

use std::time::Duration;

use proptest::prelude::*;
use tokio::time::Instant;

use super::breaker::{Breaker, Gate, Scene, Ticket, Trial};
use super::{BreakerSettings, Fault};

const SECOND: u64 = 1000;

/// Times in milliseconds. Keeps every outcome and counts anew each time.
#[derive(Debug, Default)]
struct Model {
    term: u32,
    rest_until: Option<u64>,
    pause_until: u64,
    trial_out: bool,
    tried: Option<u64>,
    back: Option<u64>,
    ejections: u64,
    unhinted: u32,
    /// Failures and cuts in a row, each with the time of the first.
    in_a_row: [Vec<u64>; 2],
    usual: Option<f64>,
    limits: Vec<u64>,
    answered: Option<Instant>,
    /// When, and whether good; since `since`.
    outcomes: Vec<(u64, bool)>,
    since: u64,
}

impl Model {
    fn up(&self, now: u64) -> bool {
        !self.trial_out && self.rest_until.is_none() && now >= self.pause_until
    }

    fn due(&self, now: u64) -> bool {
        let until = self.rest_until.map(|until| until.max(self.pause_until));
        !self.trial_out && until.is_some_and(|until| now >= until)
    }

    fn early(&self, now: u64) -> bool {
        !self.trial_out && self.tried.is_none_or(|tried| now >= tried + 5 * SECOND)
    }

    fn latest(&self, at: u64, now: u64) -> bool {
        let slot = |at: u64| (at - self.since) / SECOND;
        slot(at) + 10 > slot(now)
    }

    /// How many calls of the last ten seconds were good, and how many were bad.
    fn span(&self, now: u64) -> (usize, usize) {
        let span = self.outcomes.iter().filter(|(at, _)| self.latest(*at, now));
        let (good, bad): (Vec<&(u64, bool)>, Vec<_>) = span.partition(|(_, good)| *good);
        (good.len(), bad.len())
    }

    /// What is usual, where there is a row of so many.
    fn known(&self, row: usize, now: u64) -> Option<f64> {
        let (good, bad) = self.span(now);
        let (bad, calls) = (
            bad.saturating_sub(row) as f64,
            good as f64 + bad.saturating_sub(row) as f64,
        );
        let back = self.back.is_some_and(|back| now - back < 30 * SECOND);
        match self.usual {
            Some(before) if back => Some((bad + 20.0 * before) / (calls + 20.0)),
            _ if calls >= 20.0 => Some(bad / calls),
            _ => None,
        }
    }

    fn sick(&self, sure: bool, now: u64) -> bool {
        let mut judged: Vec<_> = self
            .outcomes
            .iter()
            .filter(|(at, _)| self.latest(*at, now))
            .collect();
        if judged.len() < 20 {
            judged = self.outcomes.iter().rev().take(20).collect();
            if judged.len() < 20 || judged.iter().any(|(at, _)| now - at > 300 * SECOND) {
                judged.clear();
            }
        }
        let bad = judged.iter().filter(|(_, good)| !good).count();
        let row = self.row();
        // By hand: 0.1 fails 6 in a row once in a million, 0.2 9 in a row, 0.4 16 in a row.
        let in_a_row = row.len() >= 5
            && self.known(row.len(), now).is_none_or(|usual| {
                usual.powi(row.len() as i32) <= 1.000_001e-6 && (sure || now - row[0] >= SECOND)
            });
        in_a_row || 2 * bad > judged.len()
    }

    fn row(&self) -> &[u64] {
        let [failures, cuts] = &self.in_a_row;
        if failures.len() > cuts.len() {
            failures
        } else {
            cuts
        }
    }

    fn judge(&mut self, sure: bool, now: u64) {
        if self.sick(sure, now) {
            self.usual = self.known(self.row().len(), now);
            self.eject(now);
        }
    }

    /// Whether it answers ten calls to each for which its limits are reached.
    fn bears_a_limit(&self, now: u64) -> bool {
        let limits = self
            .limits
            .iter()
            .filter(|at| self.latest(**at, now))
            .count();
        let (good, _) = self.span(now);
        good >= 20 && good >= 10 * limits
    }

    fn eject(&mut self, now: u64) {
        let healthy = self.back.take().map_or(0, |back| now - back);
        self.ejections = self.ejections.saturating_sub(healthy / (30 * SECOND)) + 1;
        self.rest_until = Some(now + (5 * SECOND * self.ejections).min(300 * SECOND));
        (self.term, self.trial_out, self.tried) = (self.term + 1, false, Some(now));
        (self.in_a_row, self.outcomes, self.since) = (Default::default(), Vec::new(), now);
        self.limits.clear();
    }

    fn answered(&mut self, ticket: Ticket, now: u64) {
        self.unhinted = 0;
        if ticket.term != self.term {
            return;
        }
        if ticket.trial != Trial::No {
            (self.trial_out, self.pause_until) = (false, 0);
            self.back = if self.rest_until.take().is_some() {
                Some(now)
            } else {
                self.back
            };
        }
        self.in_a_row[0].clear();
        self.answered = self.answered.max(Some(ticket.begun));
        self.outcomes.push((now, true));
    }

    fn failed(&mut self, ticket: Ticket, fault: Fault, sure: bool, now: u64) {
        let unhinted = matches!(fault, Fault::Limited { hinted: false, .. });
        if unhinted {
            self.limits.push(now);
        }
        let borne = unhinted && self.bears_a_limit(now);
        let pause = match fault {
            Fault::Overloaded(rest) | Fault::Limited { rest, hinted: true } => {
                Some(rest.as_millis() as u64)
            }
            Fault::Limited { .. } if !borne && now >= self.pause_until => {
                self.unhinted += 1;
                Some((SECOND << (self.unhinted - 1).min(9)).min(60 * SECOND))
            }
            _ => None,
        };
        if let Some(pause) = pause {
            self.pause_until = self.pause_until.max(now + pause);
            self.tried = Some(now);
        }
        if ticket.term != self.term {
            return;
        }
        match (ticket.trial, fault) {
            (Trial::Probe | Trial::Early, Fault::Auth) => self.trial_out = false,
            (Trial::Probe, _) => self.eject(now),
            (Trial::Early, _) => self.trial_out = false,
            (Trial::No, Fault::Auth | Fault::Limited { .. }) => {}
            (Trial::No, _) => {
                let late = self.answered.is_some_and(|latest| ticket.begun < latest);
                if fault == Fault::Failed && !late {
                    self.in_a_row[0].push(now);
                }
                self.outcomes.push((now, false));
                self.judge(sure, now);
            }
        }
    }

    fn cut(&mut self, ticket: Ticket, others: bool, now: u64) {
        if ticket.term == self.term {
            self.in_a_row[1].push(now);
            if let Some(good) = self.outcomes.iter().rposition(|(_, good)| *good) {
                self.outcomes.remove(good);
            }
            self.outcomes.push((now, false));
            self.judge(others, now);
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Event {
    Pass(u64),
    Ask,
    AskEarly,
    Answer(usize),
    Finish(usize),
    /// Whether others answer meanwhile stands at the end.
    Fail(usize, Fault, bool),
    Cut(usize, bool),
    Cancel(usize),
}

fn event() -> impl Strategy<Value = Event> {
    let call = || any::<usize>();
    let rest = (1..20_u64).prop_map(Duration::from_secs);
    let fault = prop_oneof![
        6 => Just(Fault::Failed),
        1 => rest.clone().prop_map(Fault::Overloaded),
        1 => rest.prop_map(|rest| Fault::Limited { rest, hinted: true }),
        1 => Just(Fault::Limited { rest: Duration::from_secs(1), hinted: false }),
        1 => Just(Fault::Auth),
    ];
    prop_oneof![
        2 => prop_oneof![0..1_500_u64, 0..40_000_u64].prop_map(Event::Pass),
        6 => Just(Event::Ask),
        1 => Just(Event::AskEarly),
        3 => call().prop_map(Event::Answer),
        2 => call().prop_map(Event::Finish),
        4 => (call(), fault, any::<bool>()).prop_map(|(call, fault, others)| Event::Fail(call, fault, others)),
        1 => (call(), any::<bool>()).prop_map(|(call, others)| Event::Cut(call, others)),
        1 => call().prop_map(Event::Cancel),
    ]
}

/// Mostly single events; at times an outage or a recovery, which chance alone seldom makes.
fn story() -> impl Strategy<Value = Vec<Event>> {
    let outage = [Event::Ask, Event::Fail(0, Fault::Failed, true)].repeat(5);
    let good_time = [Event::Ask, Event::Answer(0), Event::Finish(0)].repeat(25);
    let bad_moment = [
        Event::Ask,
        Event::Pass(100),
        Event::Fail(0, Fault::Failed, false),
        Event::Pass(100),
    ]
    .repeat(8);
    let recovery = |rest| {
        vec![
            Event::Pass(rest),
            Event::Ask,
            Event::Answer(0),
            Event::Finish(0),
        ]
    };
    let chapter = prop_oneof![
        20 => event().prop_map(|event| vec![event]),
        1 => Just(outage),
        1 => Just(good_time),
        1 => Just(bad_moment),
        1 => (5_000..70_000_u64).prop_map(recovery),
    ];
    prop::collection::vec(chapter, 1..200).prop_map(|chapters| chapters.concat())
}

proptest! {
    #[test]
    fn the_breaker_does_what_the_model_says(events in story()) {
        let start = Instant::now();
        let mut breaker = Breaker::new(BreakerSettings::default(), start);
        let mut model = Model::default();
        let mut now = 0;
        // Calls that wait for their answer, and streams under way.
        let (mut asked, mut streams) = (Vec::<Ticket>::new(), Vec::<Ticket>::new());
        let take = |calls: &mut Vec<Ticket>, at: usize| {
            (!calls.is_empty()).then(|| calls.swap_remove(at % calls.len()))
        };
        for event in events {
            let at = start + Duration::from_millis(now);
            match event {
                Event::Pass(millis) => now += millis,
                Event::Ask => {
                    let (up, due) = (model.up(now), model.due(now));
                    let ticket = breaker.admit(at);
                    let trial = ticket.map(|ticket| ticket.trial);
                    prop_assert_eq!(trial, if due { Some(Trial::Probe) } else { up.then_some(Trial::No) });
                    if due {
                        (model.trial_out, model.tried) = (true, Some(now));
                    }
                    asked.extend(ticket);
                }
                Event::AskEarly => {
                    let ticket = breaker.admit_early(at);
                    prop_assert_eq!(ticket.is_some(), model.early(now));
                    if ticket.is_some() {
                        (model.trial_out, model.tried) = (true, Some(now));
                    }
                    asked.extend(ticket);
                }
                Event::Answer(call) => if let Some(mut ticket) = take(&mut asked, call) {
                    model.answered(ticket, now);
                    breaker.answered(&mut ticket, at);
                    streams.push(ticket);
                }
                Event::Finish(call) => if let Some(ticket) = take(&mut streams, call) {
                    if ticket.term == model.term {
                        model.in_a_row[1].clear();
                    }
                    breaker.finished(ticket);
                }
                Event::Fail(call, fault, others) => if let Some(ticket) = take(&mut asked, call) {
                    let refused = at.duration_since(ticket.begun) < Duration::from_millis(50);
                    model.failed(ticket, fault, others || refused, now);
                    breaker.failed(ticket, fault, &Scene { now: at, jitter: 1.0, others: &|_| others });
                }
                Event::Cut(call, others) => if let Some(ticket) = take(&mut streams, call) {
                    model.cut(ticket, others, now);
                    breaker.cut(ticket, &Scene { now: at, jitter: 1.0, others: &|_| others });
                }
                Event::Cancel(call) => if let Some(ticket) = take(&mut asked, call) {
                    if ticket.term == model.term && ticket.trial != Trial::No {
                        model.trial_out = false;
                    }
                    breaker.cancelled(ticket);
                }
            }
            let at = start + Duration::from_millis(now);
            let (up, due) = match breaker.gate() {
                Gate::Open => (true, false),
                Gate::Paused { until } => (until <= at, false),
                Gate::Ejected { until } => (false, until <= at),
                Gate::Trying { .. } => (false, false),
            };
            prop_assert_eq!((up, due), (model.up(now), model.due(now)));
            prop_assert_eq!(breaker.term(), model.term);
            let trials = asked.iter().filter(|call| call.term == model.term && call.trial != Trial::No);
            prop_assert_eq!(trials.count(), usize::from(model.trial_out));
        }
    }
}
