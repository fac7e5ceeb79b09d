//! How a platform fails.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Shares from 0 to 1 of what goes wrong.
#[derive(Clone, Debug)]
pub struct Faults {
    /// Sendings that are shown, but whose answer is lost.
    pub lost: f64,
    /// Sendings that are refused with 429.
    pub limited: f64,
    /// For how long a refused sender shall wait: whole seconds.
    pub wait: Duration,
    /// Calls that are answered late.
    pub slow: f64,
    /// How late.
    pub delay: Duration,
    /// Events that are delivered twice.
    pub repeated: f64,
    /// Events that are overtaken by those behind them.
    pub reordered: f64,
    /// Deliveries after which a socket is cut.
    pub cut: f64,
    /// Decides what meets which fault.
    pub seed: u64,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            lost: 0.0,
            limited: 0.0,
            wait: Duration::from_secs(1),
            slow: 0.0,
            delay: Duration::from_millis(300),
            repeated: 0.0,
            reordered: 0.0,
            cut: 0.0,
            seed: 1,
        }
    }
}

/// Faults, and the dice that decide.
pub(crate) struct Fate {
    faults: Mutex<(Faults, u64)>,
}

/// What happens to a sending.
pub(crate) enum Luck {
    Good,
    Lost,
    Limited(Duration),
}

impl Fate {
    pub(crate) fn new(faults: Faults) -> Self {
        let seed = faults.seed;
        Self {
            faults: Mutex::new((faults, seed)),
        }
    }

    pub(crate) fn set(&self, faults: Faults) {
        let mut held = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        held.0 = faults;
    }

    /// Throws the dice for a share of the faults.
    pub(crate) fn hits(&self, share: impl Fn(&Faults) -> f64) -> bool {
        let mut held = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        let share = share(&held.0);
        // The generator of Vigna's splitmix64.
        held.1 = held.1.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = held.1;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        let thrown = u32::try_from(z >> 32).unwrap_or(0);
        f64::from(thrown) < share * f64::from(u32::MAX)
    }

    /// Waits where the call is a slow one.
    pub(crate) async fn delay(&self) {
        if self.hits(|faults| faults.slow) {
            let delay = self.read(|faults| faults.delay);
            tokio::time::sleep(delay).await;
        }
    }

    /// What happens to a sending.
    pub(crate) async fn of_a_sending(&self) -> Luck {
        self.delay().await;
        if self.hits(|faults| faults.limited) {
            return Luck::Limited(self.read(|faults| faults.wait));
        }
        match self.hits(|faults| faults.lost) {
            true => Luck::Lost,
            false => Luck::Good,
        }
    }

    fn read<T>(&self, value: impl Fn(&Faults) -> T) -> T {
        value(&self.faults.lock().unwrap_or_else(PoisonError::into_inner).0)
    }
}
