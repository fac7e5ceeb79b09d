//! One test: who gets which arm, what came of it, and in which state it is.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use moltbot_types::{ModelName, RequestId};
use serde::{Deserialize, Serialize};

use crate::assign::{Salt, UnitId};
use crate::books::Books;
use crate::exposure::{Exposures, Outcome, Row};
use crate::history::History;
use crate::report::{self, Report};
use crate::settings::{self, Settings, UnitKind};
use crate::verdict::{ALPHA, Judge};

/// How far a test is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// New units get arms.
    Running,
    /// The sample is used up: the baseline answers new units.
    Complete,
    /// A guard stopped it: the baseline answers.
    Harmed,
    /// Someone stopped it.
    Stopped,
    /// The winner answers.
    Promoted,
}

impl State {
    /// Its word in reports.
    pub fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Complete => "complete",
            Self::Harmed => "harmed",
            Self::Stopped => "stopped",
            Self::Promoted => "promoted",
        }
    }

    /// Whether units with an arm still get it.
    pub fn is_live(self) -> bool {
        matches!(self, Self::Running | Self::Complete)
    }
}

/// Why a test can't be made or changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting, name or value is refused: what is wrong and how to put it right.
    #[error("{0}")]
    Invalid(String),
    /// There is no winner to promote.
    #[error("test `{0}` has no winner yet: wait for one, or name the model with --to MODEL")]
    NoWinner(String),
    /// The arms did not get their shares of units, so that the comparison can't be trusted.
    #[error(
        "test `{0}` has a sample-ratio alarm, so its arms can't be compared: find where calls are lost, then start a new test"
    )]
    SampleRatio(String),
    /// The test does not allow it in its state.
    #[error("test `{name}` is {}: {cure}", state.word())]
    State {
        /// The test.
        name: String,
        /// Its state.
        state: State,
        /// What to do.
        cure: &'static str,
    },
    /// The store failed.
    #[error("the store of tests failed: {0}")]
    Store(#[from] io::Error),
}

/// How a call came to a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// It named `experiment:NAME`.
    Name,
    /// It named the model that the test is attached to.
    Model,
}

/// Who answers a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pick {
    /// The model.
    pub model: ModelName,
    /// The unit, where the call takes part in the test.
    pub unit: Option<UnitId>,
}

/// A test that is kept in a store. Cheap to share; all methods may be called at once.
pub struct Experiment {
    settings: Settings,
    salt: Salt,
    judges: Vec<Judge>,
    store: Arc<dyn Exposures>,
    inner: Mutex<Inner>,
}

struct Inner {
    books: Books,
    history: History,
}

impl Experiment {
    /// Opens a test: a new one over an empty store, else as its rows tell.
    ///
    /// # Errors
    /// [`Error::Invalid`] for wrong settings, [`Error::Store`] for rows that can't be read.
    pub fn open(settings: Settings, store: Arc<dyn Exposures>) -> Result<Self, Error> {
        settings.check()?;
        let books = Books::new(&settings);
        let shares = settings.shares();
        let pair = (shares[0] + shares[1]) / shares.iter().sum::<f64>();
        let units = settings.sample_size as f64 * pair;
        let judge = |(index, metric): (usize, &Arc<dyn crate::metric::Metric>)| {
            let mde = settings.mde.filter(|_| index == 0);
            Judge::new(&**metric, mde, units)
        };
        let test = Self {
            salt: Salt::new(&settings.workspace, &settings.name),
            judges: books.metrics.iter().enumerate().map(judge).collect(),
            inner: Mutex::new(Inner {
                books,
                history: History::default(),
            }),
            store: Arc::clone(&store),
            settings,
        };
        {
            let mut inner = test.inner();
            store.replay(&mut |row| test.apply(&mut inner, row))?;
        }
        Ok(test)
    }

    /// What the test is made of.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Its state.
    pub fn state(&self) -> State {
        self.inner().books.state
    }

    /// Units that have an arm.
    pub fn units(&self) -> u64 {
        self.inner().books.count()
    }

    /// Picks who answers a call. A unit that is new to the test is exposed: written down once, before its call.
    ///
    /// `allowed` tells whether the caller may use a model; an arm that is forbidden is answered by the baseline, and
    /// its unit takes no part.
    ///
    /// # Errors
    /// [`Error::Store`]: the exposure could not be written. The unit is not exposed; the baseline should answer.
    pub fn pick(
        &self,
        by: By,
        user: Option<&str>,
        request: RequestId,
        allowed: impl Fn(&ModelName) -> bool,
    ) -> Result<Pick, Error> {
        let unit = match user.filter(|user| !user.is_empty()) {
            Some(user) if self.settings.unit == UnitKind::User => self.salt.user(user),
            _ => self.salt.request(request),
        };
        let mut inner = self.inner();
        let books = &mut inner.books;
        if !books.state.is_live() {
            return Ok(aside(self.answer(by, books)));
        }
        let kept = books.arm(unit);
        if kept.is_none() && books.state == State::Complete {
            return Ok(aside(self.baseline()));
        }
        let exposure = books.assign(unit);
        let model = self.model(kept.unwrap_or(exposure.arm));
        if !allowed(model) {
            return Ok(aside(self.baseline()));
        }
        if kept.is_none() {
            // under the lock, so that no more units are exposed than the sample has
            let row = Row::Exposure(exposure);
            self.store.append(&row)?;
            books.apply(&row);
        }
        Ok(Pick {
            model: model.clone(),
            unit: Some(unit),
        })
    }

    /// Writes down what came of a call. The second outcome of one request changes nothing.
    ///
    /// # Errors
    /// [`Error::Store`]: it could not be written, and does not count.
    pub fn record(&self, outcome: Outcome) -> Result<(), Error> {
        let mut inner = self.inner();
        if inner.books.knows(outcome.request) || inner.books.arm(outcome.unit).is_none() {
            return Ok(());
        }
        let row = Row::Outcome(outcome);
        self.store.append(&row)?;
        self.apply(&mut inner, &row);
        self.guard(&mut inner)
    }

    /// Writes down what someone thought of an answer. False: the request was no call of this test.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a value outside 0 to 1 or a wrong name, [`Error::Store`].
    pub fn feedback(&self, request: RequestId, metric: &str, value: f64) -> Result<bool, Error> {
        settings::name("a metric", metric)?;
        if !(0.0..=1.0).contains(&value) {
            return Err(Error::Invalid(format!(
                "{value} is no score of `{metric}`: give a number from 0 to 1"
            )));
        }
        let mut inner = self.inner();
        if !inner.books.knows(request) {
            return Ok(false);
        }
        let row = Row::Feedback {
            request,
            metric: metric.to_owned(),
            value,
        };
        self.store.append(&row)?;
        self.apply(&mut inner, &row);
        self.guard(&mut inner)?;
        Ok(true)
    }

    /// Ends the test without a winner.
    ///
    /// # Errors
    /// [`Error::State`] where a winner was promoted already, [`Error::Store`].
    pub fn stop(&self) -> Result<(), Error> {
        let mut inner = self.inner();
        if inner.books.state == State::Promoted {
            return Err(self.refuse(State::Promoted, "its winner answers; make a new test"));
        }
        self.enter(&mut inner, State::Stopped, None)
    }

    /// Lets the winner answer from now on, or the model `to`. Gives the model.
    ///
    /// # Errors
    /// [`Error::SampleRatio`], [`Error::NoWinner`], [`Error::Invalid`] for a model that takes no part, [`Error::Store`].
    /// Nothing has changed then.
    pub fn promote(&self, to: Option<&str>) -> Result<ModelName, Error> {
        let mut inner = self.inner();
        let name = || self.settings.name.clone();
        if inner.books.shares().1 {
            return Err(Error::SampleRatio(name()));
        }
        let arm = match to {
            Some(to) => {
                let mut models = self.settings.models.iter();
                models
                    .position(|model| model.as_str() == to)
                    .ok_or_else(|| {
                        Error::Invalid(format!("model `{to}` is no arm of test `{}`", name()))
                    })?
            }
            None => {
                let report = self.look(&inner);
                report::winner(&report).ok_or_else(|| Error::NoWinner(name()))?
            }
        };
        self.enter(&mut inner, State::Promoted, Some(arm as u16))?;
        Ok(self.model(arm as u16).clone())
    }

    /// Gives new units other weights. Units keep their arms, and arms are compared within each epoch alone.
    ///
    /// # Errors
    /// [`Error::Invalid`] for wrong weights, [`Error::State`] for a test that is over, [`Error::Store`].
    pub fn reweigh(&self, weights: &[f64]) -> Result<(), Error> {
        settings::weights(weights)?;
        if weights.len() != self.settings.models.len() {
            let text = "give one weight for each model".to_owned();
            return Err(Error::Invalid(text));
        }
        let mut inner = self.inner();
        let state = inner.books.state;
        if state != State::Running {
            return Err(self.refuse(state, "only a running test takes new units"));
        }
        let row = Row::Weights {
            epoch: inner.books.next_epoch(),
            weights: weights.to_vec(),
        };
        self.store.append(&row)?;
        self.apply(&mut inner, &row);
        Ok(())
    }

    /// What is known now.
    pub fn report(&self) -> Report {
        self.look(&self.inner())
    }

    /// The report as one HTML file with charts, without anything that is loaded from elsewhere.
    pub fn html(&self) -> String {
        let inner = self.inner();
        report::html::page(&self.look(&inner), &inner.books.arms, &inner.history)
    }

    fn look(&self, inner: &Inner) -> Report {
        report::of(&self.settings, &inner.books, &self.judges)
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn model(&self, arm: u16) -> &ModelName {
        &self.settings.models[usize::from(arm)]
    }

    fn baseline(&self) -> &ModelName {
        self.model(0)
    }

    /// Who answers everyone in a test that is over.
    fn answer(&self, by: By, books: &Books) -> &ModelName {
        match (books.state, by) {
            (State::Promoted, _) => self.model(books.winner.unwrap_or(0)),
            (State::Stopped, By::Model) => {
                let attached = self.settings.model.as_ref();
                attached.unwrap_or_else(|| self.baseline())
            }
            _ => self.baseline(),
        }
    }

    fn apply(&self, inner: &mut Inner, row: &Row) {
        let Inner { books, history } = inner;
        match row {
            Row::State {
                winner: Some(arm), ..
            } if usize::from(*arm) >= self.settings.models.len() => {}
            Row::State { state, .. } => {
                if *state == State::Harmed {
                    books.tripped = self.tripped(books);
                }
                books.apply(row);
            }
            Row::Outcome(_) | Row::Feedback { .. } => {
                if books.apply(row) {
                    history.look(books, &self.judges[0]);
                }
            }
            Row::Exposure(_) | Row::Weights { .. } => {
                books.apply(row);
            }
        }
    }

    /// Stops the test where an arm is certainly worse than a guard bears.
    fn guard(&self, inner: &mut Inner) -> Result<(), Error> {
        if !inner.books.state.is_live() || self.tripped(&inner.books).is_empty() {
            return Ok(());
        }
        self.enter(inner, State::Harmed, None)
    }

    /// Which guards certainly do not bear which arms: (guard, arm).
    fn tripped(&self, books: &Books) -> Vec<(usize, usize)> {
        let alpha = guard_alpha(&self.settings);
        let mut tripped = Vec::new();
        for (index, guard) in self.settings.guards.iter().enumerate() {
            let mut metrics = books.metrics.iter();
            let Some(metric) = metrics.position(|own| own.name() == guard.metric) else {
                continue;
            };
            let better = books.metrics[metric].better();
            for arm in 1..self.settings.models.len() {
                let strata = books.strata(metric, arm);
                if self.judges[metric].harmed(&strata, better, guard.margin, alpha) {
                    tripped.push((index, arm));
                }
            }
        }
        tripped
    }

    fn enter(&self, inner: &mut Inner, state: State, winner: Option<u16>) -> Result<(), Error> {
        let row = Row::State { state, winner };
        self.store.append(&row)?;
        self.apply(inner, &row);
        Ok(())
    }

    fn refuse(&self, state: State, cure: &'static str) -> Error {
        Error::State {
            name: self.settings.name.clone(),
            state,
            cure,
        }
    }
}

/// The error of one guard of one arm: guards share one more 5 % among them, of which the harmful side is half.
pub(crate) fn guard_alpha(settings: &Settings) -> f64 {
    let comparisons = settings.guards.len() * (settings.models.len() - 1);
    ALPHA / comparisons.max(1) as f64
}

fn aside(model: &ModelName) -> Pick {
    Pick {
        model: model.clone(),
        unit: None,
    }
}

impl fmt::Debug for Experiment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Experiment")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod property;
#[cfg(test)]
mod tests;
