//! Reads the log: filters, over all its files, in the order of time, and on as it grows.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, SystemTime};

use regex::Regex;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::error::TelemetryError;
use crate::level::Level;
use crate::logfile::{LogSettings, files};
use crate::stamp::{Day, Stamp};
use crate::tail::{Found, Tail};

/// How often a followed log is looked at.
const POLL: Duration = Duration::from_millis(150);

/// Which lines are wanted; what is `None` does not matter.
#[derive(Clone, Debug)]
pub struct Query {
    /// What file names begin with.
    pub name: String,
    /// Lines of that level and worse.
    pub level: Option<Level>,
    /// Lines of calls that asked for that model, or were answered by it.
    pub model: Option<String>,
    /// Lines of that workspace.
    pub workspace: Option<String>,
    /// Lines of that time and later; see [`crate::since`].
    pub since: Option<SystemTime>,
    /// Lines whose JSON text matches.
    pub grep: Option<Regex>,
    /// A folder with files of days that the log's own folder does not have any more.
    pub older: Option<PathBuf>,
}

impl Default for Query {
    fn default() -> Self {
        Self {
            name: LogSettings::default().name,
            level: None,
            model: None,
            workspace: None,
            since: None,
            grep: None,
            older: None,
        }
    }
}

/// A line that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry(String);

impl Entry {
    /// The line as it stands in the file, without its end.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// Its fields, in their order.
    pub fn fields(&self) -> Map<String, Value> {
        serde_json::from_str(&self.0).unwrap_or_default()
    }
}

impl Query {
    /// The lines of the files in `dir`, the oldest first. A folder that is not there has none.
    ///
    /// # Errors
    /// The folder can't be listed. A file that can't be read is an error among the lines.
    pub fn read(&self, dir: &Path) -> Result<Lines, TelemetryError> {
        Lines::new(self, dir, None)
    }

    /// The same, and then those that are written later, over the turn of the day, until `stop` is set.
    /// The iterator blocks its thread between lines, and sees `stop` within 150 ms.
    ///
    /// # Errors
    /// As [`Query::read`].
    pub fn follow(&self, dir: &Path, stop: Arc<AtomicBool>) -> Result<Lines, TelemetryError> {
        Lines::new(self, dir, Some(stop))
    }
}

/// Lines that match, read as they are asked for: memory stays at one line.
pub struct Lines {
    filter: Filter,
    dir: PathBuf,
    waiting: VecDeque<(Day, PathBuf)>,
    /// The newest day that was begun; files of earlier days are done.
    last: Option<Day>,
    current: Option<Tail>,
    follow: Option<Arc<AtomicBool>>,
    skipped: u64,
}

impl Lines {
    fn new(
        query: &Query,
        dir: &Path,
        follow: Option<Arc<AtomicBool>>,
    ) -> Result<Self, TelemetryError> {
        let mut lines = Self {
            filter: Filter::new(query),
            dir: dir.to_owned(),
            waiting: VecDeque::new(),
            last: None,
            current: None,
            follow,
            skipped: 0,
        };
        lines.look()?;
        Ok(lines)
    }

    /// Lines so far that were broken or longer than 1 MiB, and are left out.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Finds the files that are to be read yet.
    fn look(&mut self) -> Result<(), TelemetryError> {
        let mut found = self.files(&self.dir)?;
        if let Some(older) = &self.filter.query.older {
            let days: Vec<Day> = found.iter().map(|(day, _)| *day).collect();
            let older = self.files(older)?.into_iter();
            found.extend(older.filter(|(day, _)| !days.contains(day)));
            found.sort();
        }
        let first = self.filter.query.since.map(Day::of);
        self.waiting = found
            .into_iter()
            .filter(|(day, _)| Some(*day) > self.last && Some(*day) >= first)
            .collect();
        Ok(())
    }

    fn files(&self, dir: &Path) -> Result<Vec<(Day, PathBuf)>, TelemetryError> {
        match files(dir, &self.filter.query.name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            other => other.map_err(|source| self.unreadable(dir, source)),
        }
    }

    /// Goes on to the next file. False: there is none.
    fn turn(&mut self) -> Result<bool, TelemetryError> {
        if self.current.as_ref().is_some_and(Tail::is_cut) {
            self.skipped += 1;
        }
        let Some((day, path)) = self.waiting.pop_front() else {
            self.current = None;
            return Ok(false);
        };
        self.last = Some(day);
        match Tail::open(&path) {
            Ok(tail) => self.current = Some(tail),
            Err(source) => {
                self.current = None;
                return Err(self.unreadable(&path, source));
            }
        }
        Ok(true)
    }

    fn unreadable(&self, path: &Path, source: io::Error) -> TelemetryError {
        TelemetryError::Read {
            path: path.to_owned(),
            source,
        }
    }

    /// The next line of the current file that matches.
    fn next_here(&mut self) -> Result<Option<Entry>, TelemetryError> {
        let Some(tail) = &mut self.current else {
            return Ok(None);
        };
        loop {
            let found = tail.next().map_err(|source| TelemetryError::Read {
                path: tail.path().to_owned(),
                source,
            });
            match found {
                Ok(Found::Line) => match self.filter.judge(tail.line()) {
                    Some(true) => {
                        let text = String::from_utf8_lossy(tail.line()).into_owned();
                        return Ok(Some(Entry(text)));
                    }
                    Some(false) => {}
                    None => self.skipped += 1,
                },
                Ok(Found::Overlong) => self.skipped += 1,
                Ok(Found::End) => return Ok(None),
                Err(error) => {
                    self.current = None;
                    return Err(error);
                }
            }
        }
    }

    /// The next line of a followed log; `None` where it was stopped.
    fn next_to_come(&mut self, stop: &AtomicBool) -> Result<Option<Entry>, TelemetryError> {
        while !stop.load(Ordering::Relaxed) {
            self.look()?;
            // What stood in this file before the next one was seen comes first.
            if let Some(entry) = self.next_here()? {
                return Ok(Some(entry));
            }
            let renewed = match &mut self.current {
                Some(tail) => tail.renew().unwrap_or(false),
                None => false,
            };
            if !renewed && (self.waiting.is_empty() || !self.turn()?) {
                thread::sleep(POLL);
            }
        }
        Ok(None)
    }

    fn step(&mut self) -> Result<Option<Entry>, TelemetryError> {
        loop {
            if let Some(entry) = self.next_here()? {
                return Ok(Some(entry));
            }
            if let (true, Some(stop)) = (self.waiting.is_empty(), self.follow.clone()) {
                return self.next_to_come(&stop);
            }
            if !self.turn()? {
                return Ok(None);
            }
        }
    }
}

impl Iterator for Lines {
    type Item = Result<Entry, TelemetryError>;

    fn next(&mut self) -> Option<Self::Item> {
        let stopped = |stop: &Arc<AtomicBool>| stop.load(Ordering::Relaxed);
        if self.follow.as_ref().is_some_and(stopped) {
            return None;
        }
        self.step().transpose()
    }
}

/// A query made ready.
struct Filter {
    query: Query,
    /// The time stamp of `since`: stamps of one form compare as texts.
    since: Option<String>,
}

/// What a query asks of a line.
#[derive(Deserialize)]
struct Seen<'a> {
    #[serde(borrow)]
    ts: Cow<'a, str>,
    #[serde(borrow)]
    level: Cow<'a, str>,
    model: Option<String>,
    served: Option<String>,
    workspace: Option<String>,
}

impl Filter {
    fn new(query: &Query) -> Self {
        Self {
            since: query.since.map(|time| Stamp::new().at(time).to_owned()),
            query: query.clone(),
        }
    }

    /// Whether a line is wanted; `None` where it is none.
    fn judge(&self, line: &[u8]) -> Option<bool> {
        let text = std::str::from_utf8(line).ok()?;
        let seen: Seen<'_> = serde_json::from_str(text).ok()?;
        let level: Level = seen.level.parse().ok()?;
        let Query {
            level: least,
            model,
            workspace,
            grep,
            ..
        } = &self.query;
        let is =
            |wanted: &Option<String>, found: &Option<String>| wanted.is_none() || wanted == found;
        Some(
            least.is_none_or(|least| level >= least)
                && self.since.as_deref().is_none_or(|since| &*seen.ts >= since)
                && (is(model, &seen.model) || is(model, &seen.served))
                && is(workspace, &seen.workspace)
                && grep.as_ref().is_none_or(|grep| grep.is_match(text)),
        )
    }
}

#[cfg(test)]
mod tests;
