//! How long a repeat on the same target waits: decorrelated jitter, so that callers who failed together do not return together.

use std::time::Duration;

/// The waits of one call.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    initial: Duration,
    max: Duration,
    previous: Duration,
}

impl Backoff {
    /// Waits between `initial` and three times the wait before, never more than `max`.
    pub(crate) fn new(initial: Duration, max: Duration) -> Self {
        Self {
            initial: initial.min(max),
            max,
            previous: initial.min(max),
        }
    }

    /// The next wait.
    pub(crate) fn next(&mut self) -> Duration {
        let longest = self.previous.saturating_mul(3).max(self.initial);
        self.previous = rand::random_range(self.initial..=longest).min(self.max);
        self.previous
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INITIAL: Duration = Duration::from_millis(100);
    const MAX: Duration = Duration::from_secs(5);

    #[test]
    fn waits_stay_between_the_first_and_the_longest() {
        for _ in 0..1000 {
            let mut backoff = Backoff::new(INITIAL, MAX);
            let mut previous = INITIAL;
            for _ in 0..10 {
                let wait = backoff.next();
                assert!((INITIAL..=(previous * 3).min(MAX)).contains(&wait));
                previous = wait;
            }
        }
    }

    #[test]
    fn waits_grow_as_computed() {
        let mut sums = [0.0; 5];
        for _ in 0..20_000 {
            let mut backoff = Backoff::new(INITIAL, MAX);
            for sum in &mut sums {
                *sum += backoff.next().as_secs_f64();
            }
        }
        for (sum, mean) in sums.iter().zip([0.20, 0.35, 0.58, 0.92, 1.33]) {
            let seen = sum / 20_000.0;
            assert!(
                (seen - mean).abs() < mean * 0.05,
                "{seen} instead of {mean}"
            );
        }
    }

    #[test]
    fn impossible_settings_do_not_panic() {
        assert_eq!(Backoff::new(MAX, INITIAL).next(), INITIAL);
        assert_eq!(
            Backoff::new(Duration::ZERO, Duration::ZERO).next(),
            Duration::ZERO
        );
        assert_eq!(
            Backoff::new(Duration::MAX, Duration::MAX).next(),
            Duration::MAX
        );
    }
}
