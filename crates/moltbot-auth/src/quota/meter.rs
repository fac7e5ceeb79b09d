//! What one caller uses of all its limits.

use std::time::Duration;

use tokio::time::Instant;

use super::bucket::{Bucket, Rate};

/// Billionths of a dollar: what money is counted in.
pub(super) const NANO: f64 = 1e9;
/// Tokens that an answer is taken to have before any came and where the caller sets no limit.
const FIRST_GUESS: u64 = 256;

/// What may be taken. No limit where `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Limits {
    /// Calls.
    pub requests: Option<Rate>,
    /// Tokens, read and written.
    pub tokens: Option<Rate>,
    /// Money, in billionths of a dollar.
    pub cost: Option<Rate>,
    /// Calls at once.
    pub concurrency: Option<usize>,
}

impl Limits {
    /// A limit of so many dollars in a time, for `cost`.
    pub fn dollars(dollars: f64, per: Duration) -> Rate {
        Rate {
            count: (dollars.max(0.0) * NANO) as u64,
            per,
        }
    }

    /// Whether nothing is limited.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// What is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum What {
    /// Calls in a time.
    Requests,
    /// Tokens in a time.
    Tokens,
    /// Money in a time.
    Cost,
    /// Calls at once.
    Concurrency,
}

impl What {
    /// Its word in stores and metrics.
    pub fn word(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Tokens => "tokens",
            Self::Cost => "cost",
            Self::Concurrency => "concurrency",
        }
    }

    /// The limit of that word, where what is used of it is kept.
    pub fn of(word: &str) -> Option<Self> {
        Self::KEPT.into_iter().find(|what| what.word() == word)
    }

    pub(super) const KEPT: [Self; 3] = [Self::Requests, Self::Tokens, Self::Cost];
}

/// What a call takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Amount {
    pub(super) requests: u64,
    pub(super) tokens: u64,
    pub(super) cost: u64,
}

impl Amount {
    fn of(&self, what: What) -> u64 {
        match what {
            What::Requests => self.requests,
            What::Tokens => self.tokens,
            What::Cost => self.cost,
            What::Concurrency => 1,
        }
    }
}

/// How one limit stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// What fits into it.
    pub limit: u64,
    /// What still does.
    pub remaining: u64,
    /// When nothing will be in use, if nothing more is taken.
    pub reset: Duration,
}

/// The use of all limits of one caller.
#[derive(Clone, Debug, Default)]
pub(super) struct Meter {
    buckets: [Option<Bucket>; 3],
    running: usize,
    /// Tokens that answers had of late: rises at once, falls slowly.
    answer: Option<u64>,
}

impl Meter {
    /// Why `amount` does not fit now, and when it will: the limit that makes it wait longest.
    pub(super) fn over(
        &mut self,
        limits: &Limits,
        amount: &Amount,
        now: Instant,
    ) -> Option<(What, Duration)> {
        let mut longest = None;
        for what in What::KEPT {
            let Some(bucket) = self.tuned(limits, what, now) else {
                continue;
            };
            // What never fits is asked for again in a day at the earliest.
            let wait = bucket
                .wait(amount.of(what))
                .unwrap_or(Duration::from_secs(86_400));
            if wait > longest.map_or(Duration::ZERO, |(_, longest)| longest) {
                longest = Some((what, wait));
            }
        }
        let full = limits.concurrency.is_some_and(|most| self.running >= most);
        longest.or_else(|| full.then_some((What::Concurrency, Duration::from_secs(1))))
    }

    pub(super) fn take(&mut self, limits: &Limits, amount: &Amount, now: Instant) {
        for what in What::KEPT {
            if let Some(bucket) = self.tuned(limits, what, now) {
                bucket.take(amount.of(what));
            }
        }
        self.running += 1;
    }

    /// Puts what was really used in the place of what was reserved.
    pub(super) fn settle(&mut self, reserved: &Amount, used: &Amount, answer: Option<u64>) {
        for what in What::KEPT {
            let Some(bucket) = &mut self.buckets[what as usize] else {
                continue;
            };
            let (reserved, used) = (reserved.of(what), used.of(what));
            bucket.take(used.saturating_sub(reserved));
            bucket.give(reserved.saturating_sub(used));
        }
        self.running = self.running.saturating_sub(1);
        if let Some(tokens) = answer {
            let before = self.answer.unwrap_or(0);
            self.answer = Some(tokens.max(before - before / 10));
        }
    }

    /// Tokens that an answer is likely to have.
    pub(super) fn guess(&self) -> u64 {
        self.answer.unwrap_or(FIRST_GUESS)
    }

    pub(super) fn standing(
        &mut self,
        limits: &Limits,
        what: What,
        now: Instant,
    ) -> Option<Standing> {
        let limit = rate(limits, what)?.count;
        let bucket = self.tuned(limits, what, now)?;
        Some(Standing {
            limit,
            remaining: bucket.remaining(),
            reset: bucket.reset(),
        })
    }

    pub(super) fn restore(&mut self, what: What, used: u64, at: Instant) {
        if let Some(kept) = self.buckets.get_mut(what as usize) {
            *kept = Some(Bucket::restored(used, at));
        }
    }

    /// What is in use of each limit.
    pub(super) fn used(&self) -> impl Iterator<Item = (What, u64)> {
        What::KEPT.into_iter().filter_map(|what| {
            let used = self.buckets[what as usize].as_ref()?.used();
            (used > 0).then_some((what, used))
        })
    }

    /// Whether it can be forgotten: nothing is in use or under way.
    pub(super) fn is_idle(&mut self, limits: &Limits, now: Instant) -> bool {
        let kept = What::KEPT.into_iter();
        let mut used = kept.filter_map(|what| Some(self.tuned(limits, what, now)?.used()));
        used.all(|used| used == 0) && self.running == 0
    }

    /// The bucket of a limit, under the limit that is in force now; `None` without one.
    fn tuned(&mut self, limits: &Limits, what: What, now: Instant) -> Option<&mut Bucket> {
        let kept = &mut self.buckets[what as usize];
        match rate(limits, what) {
            Some(rate) => Some(kept.get_or_insert_with(|| Bucket::new(now)).tune(rate, now)),
            None => {
                *kept = None;
                None
            }
        }
    }
}

fn rate(limits: &Limits, what: What) -> Option<Rate> {
    match what {
        What::Requests => limits.requests,
        What::Tokens => limits.tokens,
        What::Cost => limits.cost,
        What::Concurrency => None,
    }
}
