//! Budgets against independent faults at 1000 calls a second. What was computed for a minute is reached in 20 s.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::advance;

use super::FailoverSettings;
use crate::health::BreakerSettings;
use crate::testing::{House, call, path, target};
use crate::{BudgetSettings, Budgets};

const IDS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

struct Row {
    faults: f64,
    attempts: u32,
    budget: f64,
    /// In percent.
    answered: f64,
    /// Attempts a call.
    load: f64,
}

fn row(faults: f64, attempts: u32, budget: f64, answered: f64, load: f64) -> Row {
    Row {
        faults,
        attempts,
        budget,
        answered,
        load,
    }
}

fn house(row: &Row) -> House {
    path(IDS.map(|id| target(id).flaky(row.faults))).set(|house| {
        house.settings = FailoverSettings {
            max_attempts: row.attempts,
            ..FailoverSettings::default()
        };
        house.breaker = BreakerSettings {
            consecutive: u32::MAX,
            error_ratio: 1.0,
            ..BreakerSettings::default()
        };
        house.budgets = Arc::new(Budgets::new(BudgetSettings {
            retry: 0.0,
            failover: row.budget,
        }));
    })
}

#[tokio::test(start_paused = true)]
async fn fm_54_success_and_load_are_as_computed() {
    /// More than any call can use.
    const NO_BUDGET: f64 = 100.0;
    let rows = [
        row(0.20, 3, NO_BUDGET, 99.19, 1.24),
        row(0.20, 3, 0.2, 96.98, 1.21),
        row(0.20, 3, 0.5, 99.24, 1.24),
        row(0.20, 4, NO_BUDGET, 99.86, 1.25),
        row(0.20, 4, 0.2, 96.48, 1.21),
        row(0.20, 4, 0.5, 99.87, 1.25),
        row(0.20, 6, NO_BUDGET, 99.995, 1.25),
        row(0.20, 6, 0.2, 96.68, 1.21),
        row(0.20, 6, 0.5, 99.993, 1.25),
        row(0.05, 3, NO_BUDGET, 99.990, 1.05),
        row(0.05, 3, 0.2, 99.992, 1.05),
        row(0.05, 3, 0.5, 99.985, 1.05),
        row(1.00, 6, NO_BUDGET, 0.0, 6.00),
        row(1.00, 6, 0.2, 0.0, 1.21),
        row(1.00, 6, 0.5, 0.0, 1.51),
    ];
    for row in rows {
        let house = house(&row);
        let calls = 20_000;
        let mut answered = 0;
        for _ in 0..calls {
            answered += u32::from(house.send(call(false)).await.is_ok());
            advance(Duration::from_millis(1)).await;
        }
        let asked = house.asked_in_all();
        let answered = f64::from(answered) * 100.0 / f64::from(calls);
        let load = asked as f64 / f64::from(calls);
        let told = format!(
            "{} of faults, {} attempts, budget {}: {answered} % answered, {load} attempts a call",
            row.faults, row.attempts, row.budget
        );
        // Twice what chance moves 20,000 calls by.
        assert!((answered - row.answered).abs() < 0.6, "{told}");
        assert!((load - row.load).abs() < 0.015, "{told}");
    }
}
