//! Which request meets which fault: decided by the seed and the request's number alone, so that it can be replayed.

use std::time::Duration;

use crate::Fault;

/// Faults and the share of requests that each of them hits.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Mix(Vec<(Fault, f64)>);

impl Mix {
    /// No faults.
    pub fn none() -> Self {
        Self::default()
    }

    /// Every request meets `fault`.
    pub fn always(fault: Fault) -> Self {
        Self(vec![(fault, 1.0)])
    }

    /// This mix with another fault in it; `share` is from 0 to 1, and what exceeds 1 in all never happens.
    #[must_use]
    pub fn with(mut self, fault: Fault, share: f64) -> Self {
        self.0.push((fault, share));
        self
    }

    /// The faults and their shares.
    pub fn shares(&self) -> &[(Fault, f64)] {
        &self.0
    }

    /// The fault of request `number` under `seed`; the same for ever.
    pub fn pick(&self, seed: u64, number: u64) -> Option<Fault> {
        let mut at = unit(hash(seed, number));
        for (fault, share) in &self.0 {
            if at < *share {
                return Some(*fault);
            }
            at -= share;
        }
        None
    }
}

/// A port that closes for a moment again and again, and takes its idle connections along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rhythm {
    /// From one closing to the next.
    pub period: Duration,
    /// How long it stays closed.
    pub closed: Duration,
    /// When the first closing begins.
    pub phase: Duration,
}

/// A number that depends on `seed` and `number` only, each bit of it on each of theirs (splitmix64).
pub(crate) fn hash(seed: u64, number: u64) -> u64 {
    let step = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut z = seed.wrapping_mul(0xd6e8_feb8_6659_fd93).wrapping_add(step);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A number from 0 to below 1.
fn unit(hash: u64) -> f64 {
    (hash >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_meets_the_same_fault_each_time() {
        let mix = Mix::none().with(Fault::Reset, 0.3).with(Fault::Huge, 0.3);
        let run = |seed| -> Vec<_> { (0..200).map(|n| mix.pick(seed, n)).collect() };
        assert_eq!(run(7), run(7));
        assert_ne!(run(7), run(8));
    }

    #[test]
    fn faults_come_as_often_as_their_share_says() {
        let mix = Mix::none()
            .with(Fault::Status(500), 0.06)
            .with(Fault::Reset, 0.01);
        let hit = |fault| (0..100_000).filter(|n| mix.pick(1, *n) == fault).count();
        assert!(hit(Some(Fault::Status(500))).abs_diff(6_000) < 300);
        assert!(hit(Some(Fault::Reset)).abs_diff(1_000) < 150);
    }

    #[test]
    fn all_or_nothing_is_exact() {
        assert!((0..10_000).all(|n| Mix::always(Fault::Reset).pick(3, n) == Some(Fault::Reset)));
        assert!((0..10_000).all(|n| Mix::none().pick(3, n).is_none()));
    }
}
