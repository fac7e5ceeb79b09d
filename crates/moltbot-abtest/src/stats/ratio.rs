//! The sequential sample-ratio test: did the arms get the shares of units that they should?
//!
//! Fabijan et al., "Diagnosing sample ratio mismatch in online controlled experiments" (2019), by the sequential test
//! of Lindon and Malek, so that it may be watched all the time.

use statrs::function::gamma::gamma_ur;

use super::exact::Multinomial;

/// Weight of the prior: it looks for deviations of about one hundredth.
pub const CONCENTRATION: f64 = 10_000.0;
/// The logarithm of the e-value at which the alarm sounds, 2000: a false alarm in one test of 2000.
pub const ALARM: f64 = 7.600_902_459_542_082;

/// Evidence that `units` (exposures of each arm) did not fall by `weights`.
///
/// ```
/// use moltbot_abtest::stats::ratio::{ALARM, ln_e};
/// assert!(ln_e(&[5100.0, 4900.0], &[1.0, 1.0]) < ALARM);
/// assert!(ln_e(&[5500.0, 4500.0], &[1.0, 1.0]) > ALARM);
/// ```
pub fn ln_e(units: &[f64], weights: &[f64]) -> f64 {
    Multinomial::new(weights, CONCENTRATION).ln_e(units)
}

/// Pearson's statistic and its p-value, for one look at a finished test alone.
pub fn chi_square(units: &[f64], weights: &[f64]) -> (f64, f64) {
    let (total, share): (f64, f64) = (units.iter().sum(), weights.iter().sum());
    let statistic: f64 = units
        .iter()
        .zip(weights)
        .map(|(count, weight)| {
            let expected = total * weight / share;
            (count - expected).powi(2) / expected
        })
        .sum();
    let freedom = units.len().saturating_sub(1) as f64;
    let p = match freedom > 0.0 && statistic > 0.0 {
        true => gamma_ur(freedom / 2.0, statistic / 2.0),
        false => 1.0,
    };
    (statistic, p)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_values_hold() {
        let even = [1.0, 1.0];
        let (statistic, p) = chi_square(&[821_588.0, 815_482.0], &even);
        assert!((statistic - 22.7744).abs() < 1e-4, "{statistic}");
        assert!((p / 1.8218e-6 - 1.0).abs() < 1e-4, "{p}");
        let sequential = ln_e(&[821_588.0, 815_482.0], &even);
        assert!((sequential - 8.765_972).abs() < 1e-6, "{sequential}");

        let (statistic, p) = chi_square(&[5100.0, 4900.0], &even);
        assert!((statistic - 4.0).abs() < 1e-12 && (p - 0.0455).abs() < 1e-4);
        let loose = Multinomial::new(&even, 100.0).ln_e(&[5100.0, 4900.0]);
        assert!((loose + 0.329_512).abs() < 1e-6, "{loose}");

        let strong = ln_e(&[5500.0, 4500.0], &even);
        assert!((strong - 24.665_093).abs() < 1e-6, "{strong}");
        assert!((ALARM.exp() - 2000.0).abs() < 1e-9);
    }
}
