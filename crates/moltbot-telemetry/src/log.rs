//! Where lines are put: one buffer behind a mutex that the writer swaps; full, it drops and counts.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use crate::level::Level;
use crate::line::Line;
use crate::stamp::{Day, Stamp};

/// Tells the time of day; tests bring their own.
pub(crate) type Clock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

/// How long the writer lets lines gather, so that a busy gateway wakes it rarely.
const GATHER: Duration = Duration::from_millis(50);

/// The log. Cloning gives another hand on the same one.
///
/// Putting a line in costs no I/O and never waits for a disk.
#[derive(Clone)]
pub struct Log(Arc<Shared>);

struct Shared {
    clock: Clock,
    /// Bytes that the buffer holds at most.
    bound: usize,
    level: AtomicU8,
    archived: AtomicBool,
    dropped: AtomicU64,
    state: Mutex<State>,
    /// The writer hears of the first line, of a flush and of the end.
    wake: Condvar,
    /// Those who flush hear that it is done.
    written: Condvar,
}

struct State {
    stamp: Stamp,
    batch: Batch,
    /// The writer waits for the first line.
    idle: bool,
    /// Counts batches taken, and batches that reached the disk or were given up.
    taken: u64,
    done: u64,
    flush: bool,
    closed: bool,
}

/// Lines that were gathered.
#[derive(Default)]
pub(crate) struct Batch {
    pub(crate) bytes: Vec<u8>,
    /// Where the lines of each day begin.
    pub(crate) days: Vec<(usize, Day)>,
}

impl Batch {
    fn clear(&mut self) {
        self.bytes.clear();
        self.days.clear();
    }
}

impl Log {
    pub(crate) fn new(level: Level, bound: usize, clock: Clock) -> Self {
        Self(Arc::new(Shared {
            clock,
            bound,
            level: AtomicU8::new(level as u8),
            archived: AtomicBool::new(false),
            dropped: AtomicU64::new(0),
            state: Mutex::new(State {
                stamp: Stamp::new(),
                batch: Batch::default(),
                idle: false,
                taken: 0,
                done: 0,
                flush: false,
                closed: false,
            }),
            wake: Condvar::new(),
            written: Condvar::new(),
        }))
    }

    /// Puts one line in, unless its level is not written; `fields` adds what follows `msg`.
    pub fn line(&self, level: Level, msg: &str, fields: impl FnOnce(&mut Line<'_>)) {
        if level < self.level() {
            return;
        }
        let now = (self.0.clock)();
        let mut state = self.state();
        if state.closed || state.batch.bytes.len() >= self.0.bound {
            drop(state);
            self.lost(1);
            return;
        }
        let State { stamp, batch, .. } = &mut *state;
        let start = batch.bytes.len();
        let ts = stamp.at(now);
        let mut line = Line::begin(&mut batch.bytes, ts, level, msg);
        fields(&mut line);
        line.end();
        let day = stamp.day();
        if batch.days.last().is_none_or(|(_, last)| *last != day) {
            batch.days.push((start, day));
        }
        if std::mem::take(&mut state.idle) {
            drop(state);
            self.0.wake.notify_one();
        }
    }

    /// The least level that is written.
    pub fn level(&self) -> Level {
        Level::from_index(self.0.level.load(Ordering::Relaxed))
    }

    /// Sets the least level that is written.
    pub(crate) fn set_level(&self, level: Level) {
        self.0.level.store(level as u8, Ordering::Relaxed);
    }

    /// Closed days go to an archive: a file that is not there yet stays, whatever its age.
    pub fn set_archived(&self, archived: bool) {
        self.0.archived.store(archived, Ordering::Relaxed);
    }

    pub(crate) fn archived(&self) -> bool {
        self.0.archived.load(Ordering::Relaxed)
    }

    /// Lines that were lost since the start, because the buffer or the disk was full.
    pub fn dropped(&self) -> u64 {
        self.0.dropped.load(Ordering::Relaxed)
    }

    /// Waits until every line put in before has reached its file, or `within` has passed.
    /// Gives whether it has. It blocks the thread.
    pub fn flush(&self, within: Duration) -> bool {
        let mut state = self.state();
        let goal = state.taken + u64::from(!state.batch.bytes.is_empty());
        state.flush = true;
        self.0.wake.notify_one();
        let (state, _) = self
            .0
            .written
            .wait_timeout_while(state, within, |state| state.done < goal)
            .unwrap_or_else(PoisonError::into_inner);
        state.done >= goal
    }

    /// Waits for lines and swaps them for `spare`. False: the log is closed and all was given out.
    pub(crate) fn take(&self, spare: &mut Batch) -> bool {
        spare.clear();
        let mut state = self.state();
        state.done = state.taken;
        self.0.written.notify_all();
        while state.batch.bytes.is_empty() && !state.closed {
            state.flush = false;
            state.idle = true;
            state = self
                .0
                .wake
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        let (mut state, _) = self
            .0
            .wake
            .wait_timeout_while(state, GATHER, |state| !state.closed && !state.flush)
            .unwrap_or_else(PoisonError::into_inner);
        if state.batch.bytes.is_empty() {
            return false;
        }
        state.flush = false;
        state.idle = false;
        state.taken += 1;
        std::mem::swap(&mut state.batch, spare);
        true
    }

    /// Takes no more lines, and lets the writer end.
    pub(crate) fn close(&self) {
        self.state().closed = true;
        self.0.wake.notify_one();
    }

    /// Counts lines that were lost.
    pub(crate) fn lost(&self, lines: u64) {
        self.0.dropped.fetch_add(lines, Ordering::Relaxed);
    }

    pub(crate) fn now(&self) -> SystemTime {
        (self.0.clock)()
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log")
            .field("level", &self.level())
            .field("dropped", &self.dropped())
            .finish_non_exhaustive()
    }
}
