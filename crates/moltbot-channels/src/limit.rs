//! How many messages a sender may write: a fixed window, from the first of them.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::settings::Rate;

/// Senders after which windows that are over are looked for.
const SWEEP: usize = 4096;

/// What a limit says of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is within.
    Within,
    /// It is the first one above: its sender is told, with the time until the window ends.
    Notice(Duration),
    /// One above, of which nobody is told.
    Silence,
}

/// The windows of all senders of a channel.
#[derive(Debug, Default)]
pub(crate) struct Limiter(Mutex<HashMap<String, Window>>);

#[derive(Clone, Copy, Debug)]
struct Window {
    /// Unix milliseconds.
    begun: i64,
    count: u32,
    told: bool,
}

impl Limiter {
    /// Counts a message that arrived at `at`, in Unix milliseconds. A limit that changed in between holds for the
    /// window that runs.
    pub(crate) fn hit(&self, sender: &str, at: i64, rate: Rate) -> Verdict {
        let mut windows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if windows.len() >= SWEEP && windows.len() == windows.capacity() {
            windows.retain(|_, window| !is_over(window, at, rate));
        }
        let window = windows.entry(sender.to_owned()).or_insert(Window {
            begun: at,
            count: 0,
            told: false,
        });
        if is_over(window, at, rate) {
            *window = Window {
                begun: at,
                count: 0,
                told: false,
            };
        }
        window.count = window.count.saturating_add(1);
        let verdict = look(window, at, rate);
        window.told |= matches!(verdict, Verdict::Notice(_));
        verdict
    }

    /// What a further message would be told, without counting it.
    pub(crate) fn peek(&self, sender: &str, at: i64, rate: Rate) -> Verdict {
        let windows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let window = windows
            .get(sender)
            .filter(|window| !is_over(window, at, rate));
        let mut next = window.copied().unwrap_or(Window {
            begun: at,
            count: 0,
            told: false,
        });
        next.count = next.count.saturating_add(1);
        look(&next, at, rate)
    }
}

fn look(window: &Window, at: i64, rate: Rate) -> Verdict {
    if window.count <= rate.count {
        return Verdict::Within;
    }
    if window.told {
        return Verdict::Silence;
    }
    let left = window
        .begun
        .saturating_add(millis(rate.per))
        .saturating_sub(at);
    Verdict::Notice(Duration::from_millis(left.try_into().unwrap_or(0)))
}

fn is_over(window: &Window, at: i64, rate: Rate) -> bool {
    at.saturating_sub(window.begun) >= millis(rate.per)
}

fn millis(time: Duration) -> i64 {
    time.as_millis().try_into().unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate {
        count: 2,
        per: Duration::from_secs(60),
    };

    #[test]
    fn the_window_begins_with_the_first_message_and_one_notice_is_given_in_it() {
        let limiter = Limiter::default();
        let hit = |at| limiter.hit("u1", at, RATE);
        assert_eq!((hit(0), hit(30_000)), (Verdict::Within, Verdict::Within));
        assert_eq!(
            limiter.peek("u1", 50_000, RATE),
            Verdict::Notice(Duration::from_secs(10))
        );
        assert_eq!(hit(50_000), Verdict::Notice(Duration::from_secs(10)));
        assert_eq!(
            (hit(50_001), hit(59_999)),
            (Verdict::Silence, Verdict::Silence)
        );
        assert_eq!(limiter.hit("u2", 59_999, RATE), Verdict::Within);
        assert_eq!(hit(60_000), Verdict::Within);
    }

    #[test]
    fn a_changed_limit_counts_what_was_used_in_the_running_window() {
        let limiter = Limiter::default();
        for at in 0..2 {
            assert_eq!(limiter.hit("u1", at, RATE), Verdict::Within);
        }
        let more = Rate { count: 3, ..RATE };
        assert_eq!(limiter.hit("u1", 2, more), Verdict::Within);
        assert!(matches!(limiter.hit("u1", 3, more), Verdict::Notice(_)));
        let fewer = Rate { count: 1, ..RATE };
        assert_eq!(limiter.hit("u1", 4, fewer), Verdict::Silence);
    }

    #[test]
    fn senders_that_went_away_are_forgotten() {
        let limiter = Limiter::default();
        for sender in 0..100_000 {
            limiter.hit(&sender.to_string(), i64::from(sender) * 1000, RATE);
        }
        assert!(limiter.0.lock().unwrap().len() < 20_000);
    }
}
