//! What a test remembers, row by row: who was exposed to which arm, and what came of each call.

use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use moltbot_types::{ModelName, RequestId, Usage};

use crate::assign::UnitId;
use crate::experiment::State;

/// A unit was given an arm, at its first call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exposure {
    /// The unit.
    pub unit: UnitId,
    /// The arm it keeps: an index into the test's models.
    pub arm: u16,
    /// Counts changes of the weights, from 0; arms are compared within one epoch alone.
    pub epoch: u16,
}

/// What came of one call, as its caller got it.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The request; a second outcome of one request changes nothing.
    pub request: RequestId,
    /// The unit that called; its exposure tells the arm, whoever answered.
    pub unit: UnitId,
    /// A whole answer of a status below 400.
    pub success: bool,
    /// From arrival to the last byte.
    pub latency: Duration,
    /// From arrival to the first content, for streams.
    pub first_token: Option<Duration>,
    /// Tokens.
    pub usage: Usage,
    /// USD.
    pub cost: f64,
    /// The model that really answered, where that was not the arm's: a fallback.
    pub fallback: Option<ModelName>,
}

/// One row of a test, in the order in which things happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Row {
    /// A unit was given its arm. Unique by unit.
    Exposure(Exposure),
    /// A call ended. Unique by request.
    Outcome(Outcome),
    /// Someone judged an answer. Unique by request and metric: the last one counts.
    Feedback {
        /// The request that was judged.
        request: RequestId,
        /// The metric's name.
        metric: String,
        /// Between 0 and 1.
        value: f64,
    },
    /// New units fall by other weights from here on. Unique by epoch.
    Weights {
        /// The epoch that begins.
        epoch: u16,
        /// Its weights, one for each model.
        weights: Vec<f64>,
    },
    /// The test changed its state.
    State {
        /// The state.
        state: State,
        /// The arm that answers from now on, where the state is `promoted`.
        winner: Option<u16>,
    },
}

/// Where the rows of one test are kept.
///
/// A test holds its counts in memory and is the only one that writes; the store hands rows back after a restart.
/// A row that is told twice does no harm: every row is unique by its key.
pub trait Exposures: Send + Sync + 'static {
    /// Hands a row to the operating system, so that a process that is killed now loses nothing. It is called on the
    /// path of a call and must not wait for a disk.
    ///
    /// # Errors
    /// The row was not taken.
    fn append(&self, row: &Row) -> io::Result<()>;

    /// Tells all rows in order.
    ///
    /// # Errors
    /// Rows can't be read.
    fn replay(&self, each: &mut dyn FnMut(&Row)) -> io::Result<()>;
}

/// Rows in memory: for tests, simulations and gateways that may forget.
#[derive(Debug, Default)]
pub struct Memory(Mutex<Vec<Row>>);

impl Memory {
    /// A store that holds `rows`.
    pub fn with(rows: Vec<Row>) -> Self {
        Self(Mutex::new(rows))
    }
}

impl Exposures for Memory {
    fn append(&self, row: &Row) -> io::Result<()> {
        let mut rows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        rows.push(row.clone());
        Ok(())
    }

    fn replay(&self, each: &mut dyn FnMut(&Row)) -> io::Result<()> {
        let rows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        rows.iter().for_each(each);
        Ok(())
    }
}
