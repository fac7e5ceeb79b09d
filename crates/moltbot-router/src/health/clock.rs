//! Instants in one word, so that they can be read without a lock.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// Microseconds since a common start.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock(pub(super) Instant);

impl Clock {
    pub(super) fn micros(self, at: Instant) -> u64 {
        at.saturating_duration_since(self.0).as_micros() as u64
    }

    /// Rounded up, so that what is over by this clock is over by any.
    pub(super) fn micros_up(self, at: Instant) -> u64 {
        at.saturating_duration_since(self.0)
            .as_nanos()
            .div_ceil(1000) as u64
    }

    pub(super) fn instant(self, micros: u64) -> Instant {
        self.0 + Duration::from_micros(micros)
    }
}

/// A small tag and an instant in one atomic word.
#[derive(Debug, Default)]
pub(super) struct Tagged(AtomicU64);

impl Tagged {
    pub(super) fn pack(tag: u64, micros: u64) -> u64 {
        micros << 2 | tag
    }

    pub(super) fn load(&self) -> (u64, u64) {
        let word = self.0.load(Ordering::Acquire);
        (word & 3, word >> 2)
    }

    pub(super) fn store(&self, tag: u64, micros: u64) {
        self.0.store(Self::pack(tag, micros), Ordering::Release);
    }

    /// Replaces `old` unless another came first.
    pub(super) fn swap(&self, old: (u64, u64), new: (u64, u64)) -> bool {
        let (old, new) = (Self::pack(old.0, old.1), Self::pack(new.0, new.1));
        self.0
            .compare_exchange(old, new, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }
}
