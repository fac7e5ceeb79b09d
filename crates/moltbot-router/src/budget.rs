//! How much may be asked of targets beyond one attempt a call, so that failures do not become a storm.
//!
//! Limiting attempts per call is not enough: when everything fails, six attempts are six times the load
//! on targets that are down already. A budget is a share of the calls that came lately instead.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Seconds that are looked back on.
const WINDOW: usize = 10;
/// Further attempts a second that are always allowed, so that little traffic is not starved.
const FLOOR: f64 = 10.0;

/// Further attempts, as shares of the calls of the last ten seconds. Ten a second are always allowed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BudgetSettings {
    /// Repeats on the same target.
    pub retry: f64,
    /// Moves to another target.
    pub failover: f64,
}

impl Default for BudgetSettings {
    fn default() -> Self {
        Self {
            retry: 0.2,
            failover: 0.5,
        }
    }
}

/// The budgets of all calls that share them. They outlive reloads.
///
/// Invariant: repeats and moves together stay below the larger of the two shares, both floors added.
#[derive(Debug)]
pub struct Budgets(Mutex<Shares>);

#[derive(Debug)]
struct Shares {
    settings: BudgetSettings,
    slots: [Slot; WINDOW],
    now: usize,
    began: Instant,
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    calls: u32,
    repeats: u32,
    moves: u32,
}

impl Default for Budgets {
    fn default() -> Self {
        Self::new(BudgetSettings::default())
    }
}

impl Budgets {
    /// Full budgets.
    pub fn new(settings: BudgetSettings) -> Self {
        Self(Mutex::new(Shares {
            settings,
            slots: [Slot::default(); WINDOW],
            now: 0,
            began: Instant::now(),
        }))
    }

    /// Changes the shares, as a reload does; what was used in the running window stays used.
    pub fn configure(&self, settings: BudgetSettings) {
        self.with(|shares| shares.settings = settings);
    }

    /// A call came: it adds its share, whatever the number of its attempts.
    pub(crate) fn deposit(&self) {
        self.with(|shares| shares.slot().calls += 1);
    }

    /// Whether one repeat on the same target is allowed; it is taken from the budget then.
    pub(crate) fn repeat(&self) -> bool {
        self.with(|shares| {
            let allowed = shares.allows(|slot| slot.repeats, shares.settings.retry);
            shares.slot().repeats += u32::from(allowed);
            allowed
        })
    }

    /// Whether one move to another target is allowed; it is taken from the budget then.
    pub(crate) fn failover(&self) -> bool {
        self.with(|shares| {
            let allowed = shares.allows(|slot| slot.moves, shares.settings.failover);
            shares.slot().moves += u32::from(allowed);
            allowed
        })
    }

    fn with<T>(&self, f: impl FnOnce(&mut Shares) -> T) -> T {
        let mut shares = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        shares.turn();
        f(&mut shares)
    }
}

impl Shares {
    fn slot(&mut self) -> &mut Slot {
        &mut self.slots[self.now]
    }

    /// Forgets the seconds that fell out of the window.
    fn turn(&mut self) {
        let passed = self.began.elapsed().as_secs();
        for _ in 0..passed.min(WINDOW as u64) {
            self.now = (self.now + 1) % WINDOW;
            self.slots[self.now] = Slot::default();
        }
        self.began += Duration::from_secs(passed);
    }

    fn allows(&self, used: impl Fn(&Slot) -> u32, share: f64) -> bool {
        let sum =
            |of: &dyn Fn(&Slot) -> u32| self.slots.iter().map(|slot| f64::from(of(slot))).sum();
        let calls: f64 = sum(&|slot| slot.calls);
        let used: f64 = sum(&used);
        let all: f64 = sum(&|slot| slot.repeats + slot.moves);
        let floor = FLOOR * WINDOW as f64;
        let larger = self.settings.retry.max(self.settings.failover);
        used + 1.0 <= calls * share + floor && all + 1.0 <= calls * larger + 2.0 * floor
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    fn taken(take: impl Fn() -> bool) -> usize {
        (0..100_000).take_while(|_| take()).count()
    }

    #[tokio::test(start_paused = true)]
    async fn ten_a_second_are_always_allowed() {
        let budgets = Budgets::new(BudgetSettings {
            retry: 0.0,
            failover: 0.0,
        });
        assert_eq!(taken(|| budgets.failover()), 100);
        advance(Duration::from_secs(9)).await;
        assert!(!budgets.failover());
        advance(Duration::from_secs(1)).await;
        assert_eq!(taken(|| budgets.failover()), 100);
    }

    #[tokio::test(start_paused = true)]
    async fn calls_add_their_shares_and_both_budgets_share_one_ceiling() {
        let budgets = Budgets::default();
        (0..1000).for_each(|_| budgets.deposit());
        assert_eq!(taken(|| budgets.repeat()), 300);
        assert_eq!(taken(|| budgets.failover()), 400);
    }

    #[tokio::test(start_paused = true)]
    async fn repeats_do_not_eat_the_floor_of_moves() {
        let budgets = Budgets::default();
        assert_eq!(taken(|| budgets.repeat()), 100);
        assert_eq!(taken(|| budgets.failover()), 100);
    }

    #[tokio::test(start_paused = true)]
    async fn a_changed_share_is_in_force_at_once_and_keeps_what_was_used() {
        let budgets = Budgets::default();
        (0..1000).for_each(|_| budgets.deposit());
        assert_eq!(taken(|| budgets.failover()), 600);
        budgets.configure(BudgetSettings {
            retry: 0.2,
            failover: 0.6,
        });
        assert_eq!(taken(|| budgets.failover()), 100);
    }

    #[tokio::test(start_paused = true)]
    async fn old_calls_are_forgotten() {
        let budgets = Budgets::default();
        (0..1000).for_each(|_| budgets.deposit());
        advance(Duration::from_secs(3600)).await;
        assert_eq!(taken(|| budgets.failover()), 100);
    }
}
