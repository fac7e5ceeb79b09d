//! How many of the latest calls failed: ten exact buckets over a span, and the last few outcomes for quiet targets.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

const BUCKETS: u32 = 10;
/// Quiet targets are judged by outcomes no older than this.
const QUIET: Duration = Duration::from_secs(300);
/// Of a target that answers, one refusal for its limits to so many answers is borne.
const ANSWERS_TO_A_LIMIT: u32 = 10;
/// Most outcomes kept for quiet targets.
const RECENT: usize = 64;

/// Exact counts, because a smoothed ratio hides tight bursts.
#[derive(Debug)]
pub(super) struct Window {
    /// How long one bucket takes calls.
    slot: Duration,
    /// Number of the newest bucket, counted from `epoch`.
    newest: u64,
    epoch: Instant,
    buckets: [Counts; BUCKETS as usize],
    recent: VecDeque<(Instant, bool)>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    good: u32,
    bad: u32,
    /// Refusals for limits, for which no hint came; neither good nor bad.
    limited: u32,
}

impl Window {
    pub(super) fn new(span: Duration, now: Instant) -> Self {
        Self {
            slot: (span / BUCKETS).max(Duration::from_millis(1)),
            newest: 0,
            epoch: now,
            buckets: [Counts::default(); BUCKETS as usize],
            recent: VecDeque::new(),
        }
    }

    /// Notes how a call ended.
    pub(super) fn note(&mut self, good: bool, now: Instant) {
        self.advance(now);
        let bucket = &mut self.buckets[index(self.newest)];
        if good {
            bucket.good += 1;
        } else {
            bucket.bad += 1;
        }
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back((now, good));
    }

    /// A call that was noted as good turned out bad.
    pub(super) fn turn(&mut self, now: Instant) {
        self.advance(now);
        let newest = self.newest;
        let oldest = newest.saturating_sub(u64::from(BUCKETS) - 1);
        if let Some(slot) = (oldest..=newest)
            .rev()
            .find(|slot| self.buckets[index(*slot)].good > 0)
        {
            self.buckets[index(slot)].good -= 1;
        }
        if let Some(at) = self.recent.iter().rposition(|(_, good)| *good) {
            self.recent.remove(at);
        }
        self.note(false, now);
    }

    /// The share of bad calls among those of the span; where it holds fewer than `least`, among the
    /// last `least` ones. `None` where those are too few, too.
    pub(super) fn ratio(&mut self, least: u32, now: Instant) -> Option<f64> {
        self.advance(now);
        let (good, bad) = self.sums();
        if good + bad >= least.max(1) {
            return Some(f64::from(bad) / f64::from(good + bad));
        }
        let least = least as usize;
        let first = self.recent.len().checked_sub(least)?;
        let recent = self.recent.iter().skip(first);
        if recent
            .clone()
            .any(|(at, _)| now.duration_since(*at) > QUIET)
        {
            return None;
        }
        Some(recent.filter(|(_, good)| !good).count() as f64 / least as f64)
    }

    /// The share of bad calls of the span before its latest `run` bad ones, to which the share `before` the span
    /// is added as if `least` calls had shown it. `None` where nothing is known before the span and the span's calls
    /// are fewer than `least`.
    pub(super) fn usual(
        &mut self,
        run: u32,
        least: u32,
        before: Option<f64>,
        now: Instant,
    ) -> Option<f64> {
        self.advance(now);
        let (good, bad) = self.sums();
        let bad = bad.saturating_sub(run);
        let calls = f64::from(good + bad);
        let least = f64::from(least.max(1));
        match before {
            Some(before) => Some((f64::from(bad) + before * least) / (calls + least)),
            None => (calls >= least).then(|| f64::from(bad) / calls),
        }
    }

    /// Notes a refusal for limits that no hint came with, and tells whether it may be borne: where the span has at
    /// least `least` answers, and ten to each such refusal.
    pub(super) fn limited(&mut self, least: u32, now: Instant) -> bool {
        self.advance(now);
        self.buckets[index(self.newest)].limited += 1;
        let limited: u32 = self.buckets.iter().map(|counts| counts.limited).sum();
        let (good, _) = self.sums();
        good >= least.max(1) && limited.saturating_mul(ANSWERS_TO_A_LIMIT) <= good
    }

    fn sums(&self) -> (u32, u32) {
        self.buckets.iter().fold((0, 0), |(good, bad), counts| {
            (good + counts.good, bad + counts.bad)
        })
    }

    /// Empties the buckets that have gone out of the span.
    fn advance(&mut self, now: Instant) {
        let current = (now.duration_since(self.epoch).as_nanos() / self.slot.as_nanos()) as u64;
        let passed = current.saturating_sub(self.newest).min(u64::from(BUCKETS));
        for ahead in 0..passed {
            self.buckets[index(current - ahead)] = Counts::default();
        }
        self.newest = self.newest.max(current);
    }
}

fn index(slot: u64) -> usize {
    (slot % u64::from(BUCKETS)) as usize
}
