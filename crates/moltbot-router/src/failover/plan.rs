//! What a call has tried, and what follows from it.

mod choice;

use std::sync::Arc;
use std::time::Duration;

use moltbot_types::record::Level;
use moltbot_types::{Call, CallError, Kind, ModelName, Retry, Trail};
use smallvec::SmallVec;
use tokio::time::{Instant, sleep};

use super::FailoverSettings;
use super::note::Note;
use super::verdict::{Blame, Verdict};
use crate::backoff::Backoff;
use crate::budget::Budgets;
use crate::health::{Admission, Standing};
use crate::table::{Route, RouteTarget, Table};

/// The next attempt.
pub(super) struct Ask<'a> {
    pub(super) route: &'a Route,
    pub(super) target: &'a RouteTarget,
    pub(super) admission: Admission,
    /// How far it is from the attempt before; `None` for the first one and for a repeat.
    pub(super) level: Option<Level>,
}

/// A model of the plan and a target of it, both by their index.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Place {
    model: usize,
    target: usize,
}

/// A target that failed in this call.
struct Tried {
    at: Place,
    times: u32,
    /// It is of no use to this call again.
    spent: bool,
    /// It asked for a pause.
    paused: bool,
    /// How often it kept the call waiting for nothing.
    slow: u32,
}

/// The plan of one call.
pub(super) struct Plan<'a> {
    table: &'a Table,
    budgets: &'a Budgets,
    settings: &'a FailoverSettings,
    asked: &'a ModelName,
    trail: &'a Trail,
    deadline: Option<Instant>,
    /// Models in the order in which they are asked: the call's own, then fallbacks.
    models: SmallVec<[&'a Arc<Route>; 4]>,
    /// The model that is asked now.
    current: usize,
    /// A model that refused the prompt itself, so that its other targets would, too.
    refused: Option<(usize, CallError)>,
    tried: SmallVec<[Tried; 6]>,
    last: Option<Place>,
    /// Credentials of no use to this call again.
    dead: SmallVec<[&'a str; 2]>,
    attempts: u32,
    backoff: Backoff,
    blame: Blame,
    failure: Option<CallError>,
    /// A budget refused an attempt.
    spent: bool,
    /// How long the call may still wait for targets that asked for a pause.
    patience: Duration,
}

impl<'a> Plan<'a> {
    /// The plan for `call`.
    ///
    /// # Errors
    /// `ModelNotFound` where no route has the name that the call asks for.
    pub(super) fn new(
        table: &'a Table,
        budgets: &'a Budgets,
        settings: &'a FailoverSettings,
        call: &'a Call,
    ) -> Result<Self, CallError> {
        let asked = &call.head.model;
        let route = table.find(asked)?;
        let mut plan = Self {
            table,
            budgets,
            settings,
            asked,
            trail: &call.trail,
            deadline: call.deadline,
            models: SmallVec::new(),
            current: 0,
            refused: None,
            tried: SmallVec::new(),
            last: None,
            dead: SmallVec::new(),
            attempts: 0,
            backoff: Backoff::new(settings.initial, settings.max),
            blame: Blame::default(),
            failure: None,
            spent: false,
            patience: choice::LONGEST_PAUSE,
        };
        plan.models.push(route);
        plan.enlist(&route.settings().fallback);
        Ok(plan)
    }

    /// The next attempt, after the wait that it needs; `None` when there shall be none.
    pub(super) async fn next(&mut self) -> Option<Ask<'a>> {
        if self.attempts >= self.settings.max_attempts.max(1) || self.late(Duration::ZERO) {
            return None;
        }
        loop {
            if !self.refused_here() {
                if let Some((place, admission)) = self.another() {
                    let first = self.attempts == 0;
                    if first || self.budgets.failover() {
                        return Some(self.ask(place, admission));
                    }
                    self.spent = true;
                    return None;
                }
                if let Some(wait) = self.repeatable()
                    && !self.late(wait)
                {
                    if self.budgets.repeat() {
                        self.wait(wait).await;
                        if let Some((place, admission)) = self.same_again() {
                            return Some(self.ask(place, admission));
                        }
                    } else {
                        self.spent = true;
                    }
                }
            }
            if self.next_model() {
                continue;
            }
            let Some((model, wait)) = self.pause() else {
                break;
            };
            self.patience -= wait;
            self.wait(wait).await;
            self.current = model;
        }
        if self.last.is_some() {
            return None;
        }
        let (place, admission) = self.last_resort()?;
        Some(self.ask(place, admission))
    }

    async fn wait(&self, wait: Duration) {
        sleep(wait).await;
        self.trail.waited(wait);
    }

    /// Notes that the last attempt failed.
    ///
    /// # Errors
    /// The failure itself, where the caller shall hear of it as it is.
    pub(super) fn failed(&mut self, error: CallError, note: Note) -> Result<(), CallError> {
        let kind = error.kind();
        let decision = error.decision();
        // A limit of ours was met before the upstream was asked: that is no attempt.
        let untouched = kind == Kind::Overloaded && error.fault().is_none();
        if untouched {
            note.forget();
        } else {
            note.failed(&error);
            self.attempts += 1;
        }
        let Some(at) = self.last else {
            return Err(error);
        };
        if decision == Retry::Never {
            return self.instead(error);
        }
        let target = &self.models[at.model].targets()[at.target];
        // A model that is not there is no fault of the credential.
        if decision == Retry::Elsewhere && kind != Kind::ModelNotFound {
            self.dead.extend(target.credential.as_deref());
        }
        let silent = kind == Kind::Timeout && error.fault().is_none();
        let tried = self.tried_at(at);
        tried.times += 1;
        tried.slow += u32::from(silent);
        tried.paused = kind == Kind::RateLimited || matches!(decision, Retry::After(_));
        tried.spent = untouched
            || decision == Retry::Elsewhere
            || matches!(
                kind,
                Kind::ModelNotFound | Kind::UpstreamAuth | Kind::UpstreamMoney
            );
        self.blame.add(kind);
        self.failure = Some(error);
        Ok(())
    }

    /// What the caller hears when nobody answered.
    pub(super) fn verdict(mut self) -> CallError {
        if let Some((model, refused)) = self.refused
            && self.last.is_some_and(|last| last.model == model)
        {
            return refused; // nobody else was asked
        }
        let now = Instant::now();
        let mut opens: Option<Instant> = None;
        for (model, route) in self.models.iter().enumerate().take(self.current + 1) {
            for (target, its) in route.targets().iter().enumerate() {
                let rest = match its.health.standing(now) {
                    Standing::Resting(rest) => rest,
                    Standing::Up { .. } | Standing::Due => {
                        opens = Some(now);
                        continue;
                    }
                };
                opens = Some(opens.map_or(rest.opens, |first| first.min(rest.opens)));
                let at = Place { model, target };
                if !self.tried.iter().any(|tried| tried.at == at) {
                    self.blame.add_rest(rest.reason);
                }
            }
        }
        let verdict = Verdict {
            model: self.asked,
            attempts: self.attempts,
            blame: self.blame,
            opens_in: opens.map(|opens| opens.saturating_duration_since(now)),
            last: self.failure,
        };
        match self.spent {
            true => verdict.error().discourage(),
            false => verdict.error(),
        }
    }

    /// A failure that another attempt cannot cure: models that were named for it may.
    fn instead(&mut self, error: CallError) -> Result<(), CallError> {
        let kind = error.kind();
        let named = match self.route().instead(kind) {
            [] => self.models[0].instead(kind),
            named => named,
        };
        if !self.settings.enabled || named.is_empty() {
            return Err(error);
        }
        self.models.truncate(self.current + 1);
        self.enlist(named);
        self.refused = Some((self.current, error));
        Ok(())
    }

    /// Goes on to the next model.
    fn next_model(&mut self) -> bool {
        let allowed = self.settings.enabled && self.current + 1 < self.models.len();
        if allowed {
            self.current += 1;
            self.enlist(&self.route().settings().fallback);
        }
        allowed
    }

    /// Adds models to the end of the plan, each once; those that this table does not know are passed over.
    fn enlist(&mut self, names: &'a [ModelName]) {
        for route in names
            .iter()
            .filter_map(|name| self.table.get(name.as_str()))
        {
            if !self.models.iter().any(|known| Arc::ptr_eq(known, route)) {
                self.models.push(route);
            }
        }
    }

    fn ask(&mut self, at: Place, admission: Admission) -> Ask<'a> {
        let route = self.models[at.model];
        let target = &route.targets()[at.target];
        let level = self
            .last
            .filter(|last| *last != at)
            .map(|last| match last.model == at.model {
                true => route.tiers().level(last.target, at.target),
                false => Level::Model,
            });
        self.current = at.model;
        self.last = Some(at);
        Ask {
            route,
            target,
            admission: admission.among(route.peers()),
            level,
        }
    }

    fn refused_here(&self) -> bool {
        let refused = self.refused.as_ref();
        refused.is_some_and(|(model, _)| *model == self.current)
    }

    fn route(&self) -> &'a Route {
        self.models[self.current]
    }

    /// The targets of this model that failed in this call.
    fn here(&self) -> impl Iterator<Item = &Tried> {
        let current = self.current;
        self.tried
            .iter()
            .filter(move |tried| tried.at.model == current)
    }

    fn tried_at(&mut self, at: Place) -> &mut Tried {
        let index = self.tried.iter().position(|tried| tried.at == at);
        let index = index.unwrap_or_else(|| {
            self.tried.push(Tried {
                at,
                times: 0,
                spent: false,
                paused: false,
                slow: 0,
            });
            self.tried.len() - 1
        });
        &mut self.tried[index]
    }

    /// Whether the deadline is over after `wait`.
    fn late(&self, wait: Duration) -> bool {
        self.deadline
            .is_some_and(|end| end.saturating_duration_since(Instant::now()) <= wait)
    }
}
