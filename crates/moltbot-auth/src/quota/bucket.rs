//! What is used of one limit, exactly: it runs off evenly, so that a full bucket is empty after one period.

use std::time::Duration;

use tokio::time::Instant;

/// So many units in a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many; 0 lets nothing through.
    pub count: u64,
    /// In which time.
    pub per: Duration,
}

impl Rate {
    fn nanos(self) -> u128 {
        self.per.as_nanos().max(1)
    }
}

/// The use of one limit.
///
/// Kept in units times the period's nanoseconds, of which `count` run off each nanosecond: no rounding, however
/// often somebody looks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bucket {
    used: u128,
    at: Instant,
    /// `None` for what a store gave back, in plain units, until somebody says what the limit is.
    rate: Option<Rate>,
}

impl Bucket {
    pub(super) fn new(now: Instant) -> Self {
        Self::restored(0, now)
    }

    /// What was used at `at`.
    pub(super) fn restored(used: u64, at: Instant) -> Self {
        Self {
            used: used.into(),
            at,
            rate: None,
        }
    }

    /// Brings it to `now` under `rate`. What was used under another limit stays used.
    pub(super) fn tune(&mut self, rate: Rate, now: Instant) -> &mut Self {
        if self.rate != Some(rate) {
            if self.rate.is_some() {
                self.run_off(now);
            }
            let scale = self.rate.map_or(1, Rate::nanos);
            self.used = self.used * rate.nanos() / scale;
            self.rate = Some(rate);
        }
        self.run_off(now);
        self
    }

    fn run_off(&mut self, now: Instant) {
        let Some(rate) = self.rate else { return };
        let elapsed = now.saturating_duration_since(self.at);
        let gone = u128::from(rate.count).saturating_mul(elapsed.as_nanos());
        self.used = self.used.saturating_sub(gone);
        self.at = self.at.max(now);
    }

    fn scale(&self) -> u128 {
        self.rate.map_or(1, Rate::nanos)
    }

    fn count(&self) -> u64 {
        self.rate.map_or(0, |rate| rate.count)
    }

    /// How long until `units` more fit; `ZERO` where they fit now, `None` where they never will. More than the
    /// whole limit fits when nothing is used, and is paid for afterwards.
    pub(super) fn wait(&self, units: u64) -> Option<Duration> {
        if units == 0 {
            return Some(Duration::ZERO);
        }
        let count = self.count();
        let units = u128::from(units.min(count).max(1));
        let over =
            (self.used + units * self.scale()).saturating_sub(u128::from(count) * self.scale());
        match (over, count) {
            (0, _) => Some(Duration::ZERO),
            (_, 0) => None,
            _ => Some(nanos(over.div_ceil(count.into()))),
        }
    }

    /// Takes units, whether they fit or not.
    pub(super) fn take(&mut self, units: u64) {
        self.used += u128::from(units) * self.scale();
    }

    /// Gives units back.
    pub(super) fn give(&mut self, units: u64) {
        let units = u128::from(units) * self.scale();
        self.used = self.used.saturating_sub(units);
    }

    /// Units that still fit.
    pub(super) fn remaining(&self) -> u64 {
        self.count().saturating_sub(self.used())
    }

    /// Units in use, begun ones counted whole.
    pub(super) fn used(&self) -> u64 {
        u64::try_from(self.used.div_ceil(self.scale())).unwrap_or(u64::MAX)
    }

    /// How long until nothing is used.
    pub(super) fn reset(&self) -> Duration {
        match self.count() {
            0 => Duration::ZERO,
            count => nanos(self.used.div_ceil(count.into())),
        }
    }
}

fn nanos(nanos: u128) -> Duration {
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    /// The same rule in other words: when will everything taken so far have run off?
    struct Model {
        rate: Rate,
        clear_at: u128,
    }

    impl Model {
        fn wait(&self, now: u128, units: u64) -> u128 {
            let count = u128::from(self.rate.count);
            let full = self.rate.per.as_nanos() * count;
            let owed = self.clear_at.saturating_sub(now * count);
            let more = u128::from(units.min(self.rate.count)) * self.rate.per.as_nanos();
            (owed + more).saturating_sub(full).div_ceil(count)
        }

        fn take(&mut self, now: u128, units: u64) {
            let more = u128::from(units) * self.rate.per.as_nanos();
            self.clear_at = self.clear_at.max(now * u128::from(self.rate.count)) + more;
        }
    }

    proptest! {
        #[test]
        fn every_wait_is_exact(
            count in 1..1_000_000_u64,
            seconds in prop_oneof![Just(1_u64), Just(60), Just(3600), Just(86_400)],
            steps in prop::collection::vec((0..5_000_000_000_u64, 1..2_000_000_u64, any::<bool>()), 1..60),
        ) {
            let rate = Rate { count, per: Duration::from_secs(seconds) };
            let start = Instant::now();
            let mut bucket = Bucket::new(start);
            let mut model = Model { rate, clear_at: 0 };
            let mut now = 0_u64;
            for (pause, units, forced) in steps {
                now += pause;
                bucket.tune(rate, start + Duration::from_nanos(now));
                let wait = bucket.wait(units).unwrap();
                prop_assert_eq!(wait.as_nanos(), model.wait(now.into(), units));
                if wait > Duration::ZERO {
                    let early = start + Duration::from_nanos(now) + wait - Duration::from_nanos(1);
                    prop_assert!(bucket.clone().tune(rate, early).wait(units).unwrap() > Duration::ZERO);
                    let then = early + Duration::from_nanos(1);
                    prop_assert_eq!(bucket.clone().tune(rate, then).wait(units), Some(Duration::ZERO));
                }
                if forced || wait == Duration::ZERO {
                    bucket.take(units);
                    model.take(now.into(), units);
                }
            }
        }
    }

    #[test]
    fn a_changed_limit_keeps_what_was_used() {
        let now = Instant::now();
        let rate = |count, per| Rate { count, per };
        let mut bucket = Bucket::new(now);
        bucket.tune(rate(100, MINUTE), now).take(80);
        for (next, remaining) in [
            (rate(200, MINUTE), 120),
            (rate(50, MINUTE), 0),
            (rate(1000, MINUTE * 60), 920),
        ] {
            bucket.tune(next, now);
            assert_eq!((bucket.used(), bucket.remaining()), (80, remaining));
        }
    }

    #[test]
    fn what_was_used_before_a_restart_runs_off_meanwhile() {
        let now = Instant::now();
        let mut bucket = Bucket::restored(60, now);
        bucket.tune(
            Rate {
                count: 60,
                per: MINUTE,
            },
            now + Duration::from_secs(10),
        );
        assert_eq!(bucket.used(), 50);
        assert_eq!(bucket.reset(), Duration::from_secs(50));
    }

    #[test]
    fn a_limit_of_nothing_lets_nothing_through() {
        let now = Instant::now();
        let mut bucket = Bucket::new(now);
        bucket.tune(
            Rate {
                count: 0,
                per: MINUTE,
            },
            now,
        );
        assert_eq!(bucket.wait(1), None);
        assert_eq!(bucket.wait(0), Some(Duration::ZERO));
    }
}
