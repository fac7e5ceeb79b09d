//! Whom a call may ask next.

use std::time::Duration;

use smallvec::SmallVec;
use tokio::time::Instant;

use super::{Place, Plan, Tried};
use crate::health::{Admission, Reason, Standing, last_resort};
use crate::table::RouteTarget;

/// A target that asked for a pause is waited for in place no longer than this.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Calls that waited for the same pause come back spread over this, and over this share of what they waited.
const SPREAD: Duration = Duration::from_millis(20);
const SPREAD_SHARE: f64 = 0.2;

impl Plan<'_> {
    /// A target of this model that was not asked yet and takes calls now.
    pub(super) fn another(&self) -> Option<(Place, Admission)> {
        if self.last.is_some() && !self.settings.enabled {
            return None;
        }
        self.admitted(self.here().map(|tried| tried.at.target).collect())
    }

    /// A target of this model that may be asked again: another than the last one if there is one.
    pub(super) fn same_again(&self) -> Option<(Place, Admission)> {
        let open = |target| {
            let may = |tried: &Tried| {
                self.again(tried) && (self.settings.enabled || self.last == Some(tried.at))
            };
            self.here()
                .any(|tried| tried.at.target == target && may(tried))
        };
        let all = 0..self.route().targets().len();
        let closed: SmallVec<[usize; 8]> = all.filter(|target| !open(*target)).collect();
        let mut but_last = closed.clone();
        but_last.extend(self.last.map(|last| last.target));
        self.admitted(but_last).or_else(|| self.admitted(closed))
    }

    /// Chooses among the targets of this model, but for those in `closed` and those of dead credentials.
    fn admitted(&self, mut closed: SmallVec<[usize; 8]>) -> Option<(Place, Admission)> {
        let route = self.route();
        if !self.dead.is_empty() {
            let is_dead = |target: &RouteTarget| {
                let id = target.credential.as_deref();
                id.is_some_and(|id| self.dead.contains(&id))
            };
            let targets = route.targets().iter().enumerate();
            closed.extend(
                targets
                    .filter(|(_, target)| is_dead(target))
                    .map(|(i, _)| i),
            );
        }
        loop {
            let pick = &*route.settings().pick;
            let target = route.tiers().choose(pick, &closed, Instant::now())?;
            if let Ok(admission) = route.targets()[target].health.admit() {
                let model = self.current;
                return Some((Place { model, target }, admission));
            }
            closed.push(target); // somebody else was quicker to try it
        }
    }

    /// Whether a target may be asked again in this call. One that kept it waiting for nothing may have done
    /// the work all the same, and be paid for it: only where it is alone it is asked once more.
    fn again(&self, tried: &Tried) -> bool {
        let alone = self.route().targets().len() == 1;
        !tried.spent && tried.slow <= u32::from(alone)
    }

    /// How long to wait before a target of this model is asked again; `None` where none shall be.
    pub(super) fn repeatable(&mut self) -> Option<Duration> {
        let last = self.last.filter(|last| last.model == self.current)?;
        if self.settings.enabled && self.current + 1 < self.models.len() {
            // Another model is left: this one gets a second chance only where its one target is alone.
            let second = |tried: &Tried| tried.times == 1 && !tried.paused;
            if self.route().targets().len() > 1 || !self.here().all(second) {
                return None;
            }
        }
        let now = Instant::now();
        let rest_of = |tried: &Tried| {
            let health = &self.route().targets()[tried.at.target].health;
            match health.standing(now) {
                Standing::Up { .. } | Standing::Due => Some(Duration::ZERO),
                Standing::Resting(refusal) => {
                    let rest = refusal.opens.saturating_duration_since(now);
                    (tried.paused && rest <= LONGEST_PAUSE).then_some(rest)
                }
            }
        };
        let rest = self
            .here()
            .filter(|tried| self.again(tried) && (self.settings.enabled || tried.at == last))
            .filter_map(rest_of)
            .min()?;
        Some(rest.max(self.backoff.next()))
    }

    /// All that could be asked rests: the model and the wait for the first target of it that this call has
    /// not asked yet and that only paused for its limits, where that is soon.
    pub(super) fn pause(&self) -> Option<(usize, Duration)> {
        let now = Instant::now();
        let refused = self.refused.as_ref().map(|(model, _)| *model);
        let models = self.models.iter().enumerate().take(self.current + 1);
        let rests = models
            .filter(|(model, _)| Some(*model) != refused)
            .flat_map(|(model, route)| {
                let targets = route.targets().iter().enumerate();
                targets.map(move |(target, its)| (Place { model, target }, &its.health))
            })
            .filter(|(at, _)| !self.tried.iter().any(|tried| tried.at == *at))
            .filter_map(|(at, health)| match health.standing(now) {
                Standing::Resting(refusal) if refusal.reason == Reason::Limited => {
                    Some((at.model, refusal.opens.saturating_duration_since(now)))
                }
                _ => None,
            });
        let (model, rest) = rests.min_by_key(|(_, rest)| *rest)?;
        let spread = SPREAD + rest.mul_f64(SPREAD_SHARE);
        let wait = rest + spread.mul_f64(rand::random());
        (self.settings.enabled && wait <= self.patience && !self.late(wait))
            .then_some((model, wait))
    }

    /// All targets of all models rest: the one that is due first may be tried, by one call at a time.
    pub(super) fn last_resort(&self) -> Option<(Place, Admission)> {
        let now = Instant::now();
        self.models.iter().enumerate().find_map(|(model, route)| {
            let healths = route.targets().iter().map(|target| &target.health);
            let (target, admission) = last_resort(healths, now).ok()?;
            Some((Place { model, target }, admission))
        })
    }
}
