//! How skills have behaved since the start: runs, errors, and what puts one into quarantine.

use std::collections::VecDeque;
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use crate::skill::{Fault, FaultKind, Outcome};

/// So many grave faults within [`WITHIN`] put a skill into quarantine.
const GRAVE: usize = 3;
const WITHIN: Duration = Duration::from_secs(600);

/// What a skill's last failure was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LastError {
    /// In words.
    pub message: String,
    /// The file below the skill's folder, where it is known.
    pub file: Option<String>,
    /// The line in it.
    pub line: Option<u32>,
}

impl From<&Fault> for LastError {
    fn from(fault: &Fault) -> Self {
        Self {
            message: fault.message.clone(),
            file: fault.file.clone(),
            line: fault.line,
        }
    }
}

/// How one skill has behaved in one workspace.
#[derive(Clone, Debug, Default)]
pub(super) struct Conduct {
    pub(super) runs: u64,
    pub(super) errors: u64,
    pub(super) last_error: Option<LastError>,
    grave: VecDeque<Instant>,
    pub(super) quarantined: Option<String>,
}

impl Conduct {
    /// Notes a run; true where it put the skill into quarantine.
    pub(super) fn note(&mut self, outcome: &Outcome, now: Instant) -> bool {
        self.runs += 1;
        let Outcome::Fault(fault) = outcome else {
            return false;
        };
        self.errors += 1;
        self.last_error = Some(fault.into());
        if !fault.is_grave() || self.quarantined.is_some() {
            return false;
        }
        self.grave.push_back(now);
        while self.grave.front().is_some_and(|at| now - *at >= WITHIN) {
            self.grave.pop_front();
        }
        if self.grave.len() < GRAVE {
            return false;
        }
        let what = match fault.kind {
            FaultKind::Crash => "crashes",
            _ => "broken limits",
        };
        self.quarantined = Some(format!("three {what} in ten minutes, the last: {fault}"));
        true
    }

    /// Ends a quarantine.
    pub(super) fn forgive(&mut self) {
        self.quarantined = None;
        self.grave.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(kind: FaultKind) -> Outcome {
        Outcome::Fault(Fault::new(kind, "as asked"))
    }

    #[tokio::test(start_paused = true)]
    async fn fine_print_8_three_crashes_or_broken_limits_in_ten_minutes_are_quarantine() {
        let mut conduct = Conduct::default();
        assert!(!conduct.note(&fault(FaultKind::Crash), Instant::now()));
        assert!(!conduct.note(&fault(FaultKind::Limit), Instant::now()));
        for harmless in [FaultKind::Threw, FaultKind::Denied, FaultKind::Unavailable] {
            assert!(!conduct.note(&fault(harmless), Instant::now()));
        }
        assert!(conduct.note(&fault(FaultKind::Crash), Instant::now()));
        assert!(conduct.quarantined.is_some());
        conduct.forgive();
        assert!(!conduct.note(&fault(FaultKind::Crash), Instant::now()));
        assert_eq!((conduct.runs, conduct.errors), (7, 7));
    }

    #[tokio::test(start_paused = true)]
    async fn faults_that_lie_further_apart_are_none() {
        let mut conduct = Conduct::default();
        for _ in 0..10 {
            assert!(!conduct.note(&fault(FaultKind::Limit), Instant::now()));
            tokio::time::advance(Duration::from_secs(301)).await;
        }
    }
}
