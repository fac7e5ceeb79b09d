//! The health of a credential: what one target learns of it holds for all that use it.

use std::time::Duration;

use tokio::time::Instant;

use super::admission::Reason;
use super::clock::{Clock, Tagged};

/// How long a refused credential is left alone.
const REFUSED: Duration = Duration::from_secs(15 * 60);
/// How long others wait for the one call that tries it again.
const TRIAL: Duration = Duration::from_secs(60);
/// The latest reset that is believed.
const LATEST_RESET: Duration = Duration::from_secs(31 * 24 * 3600);

const GOOD: u64 = 0;
const AUTH: u64 = 1;
const MONEY: u64 = 2;

/// Good, or of no use until an instant; then one call at a time tries it.
#[derive(Debug)]
pub(super) struct CredentialHealth {
    clock: Clock,
    bad: Tagged,
}

/// The right to try a credential that was of no use.
#[derive(Debug)]
pub(super) struct Trial {
    before: (u64, u64),
    during: (u64, u64),
}

impl CredentialHealth {
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            clock,
            bad: Tagged::default(),
        }
    }

    /// Why it is of no use, and until when; the instant may lie in the past.
    pub(super) fn bad(&self) -> Option<(Reason, Instant)> {
        self.read(self.bad.load())
    }

    fn read(&self, (tag, micros): (u64, u64)) -> Option<(Reason, Instant)> {
        let reason = match tag {
            GOOD => return None,
            AUTH => Reason::Auth,
            _ => Reason::Money,
        };
        Some((reason, self.clock.instant(micros)))
    }

    /// Asks for the right to use it: nothing where it is good, a trial where its time is over.
    pub(super) fn admit(&self, now: Instant) -> Result<Option<Trial>, (Reason, Instant)> {
        let before = self.bad.load();
        let Some((reason, until)) = self.read(before) else {
            return Ok(None);
        };
        let during = (before.0, self.clock.micros(now + TRIAL));
        if now < until || !self.bad.swap(before, during) {
            return Err((reason, until.max(now)));
        }
        Ok(Some(Trial { before, during }))
    }

    /// The trial showed nothing.
    pub(super) fn give_back(&self, trial: Trial) {
        self.bad.swap(trial.during, trial.before);
    }

    /// The trial showed that it is good again.
    pub(super) fn restore(&self, trial: Trial) {
        self.bad.swap(trial.during, (GOOD, 0));
    }

    /// It was refused.
    pub(super) fn refuse(&self, now: Instant) {
        self.bad.store(AUTH, self.clock.micros(now + REFUSED));
    }

    /// Its account has no money, for so long where that was stated.
    pub(super) fn exhaust(&self, reset: Option<Duration>, now: Instant) {
        let rest = reset.unwrap_or(REFUSED).min(LATEST_RESET);
        self.bad.store(MONEY, self.clock.micros(now + rest));
    }

    /// Another secret stands behind the id: what was learnt of the old one is void.
    pub(super) fn renew(&self) {
        self.bad.store(GOOD, 0);
    }
}
