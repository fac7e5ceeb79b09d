//! The mixture sequential probability ratio test for a difference of means whose variance is estimated.
//!
//! Johari, Pekelis, Walsh, "Always valid inference" (2015). Effects are mixed over a normal prior of deviation
//! `tau`; the variance is plugged in, so it wants enough data: [`enough`].

/// Fewest units an arm has before its plug-in variance is trusted.
pub const LEAST_UNITS: f64 = 100.0;
/// Fewest events, and fewest non-events, an arm has before the plug-in variance of its rate is trusted.
pub const LEAST_EVENTS: f64 = 10.0;

/// Whether the plug-in variance of a rate may be trusted: 100 units, 10 events and 10 non-events.
pub fn enough(units: f64, events: f64) -> bool {
    units >= LEAST_UNITS && events >= LEAST_EVENTS && units - events >= LEAST_EVENTS
}

/// The test; its prior is fixed before the first observation.
///
/// ```
/// use moltbot_abtest::stats::{mixture::Mixture, p_value};
/// // 5,000 units an arm, 10 % against 12 %, an expected effect of one point.
/// let variance = (0.10 * 0.90 + 0.12 * 0.88) / 5000.0;
/// let test = Mixture::new(0.01);
/// assert!((p_value(test.ln_e(0.02, variance)) - 0.0478).abs() < 1e-4);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mixture {
    tau2: f64,
}

impl Mixture {
    /// A test that is best for differences of about `effect`, in the unit of the values.
    pub fn new(effect: f64) -> Self {
        Self {
            tau2: effect * effect,
        }
    }

    /// Evidence against "there is no difference": `difference` was seen, and `variance` is that of the difference
    /// itself (`s_A²/n_A + s_B²/n_B`).
    pub fn ln_e(&self, difference: f64, variance: f64) -> f64 {
        let ratio = self.tau2 / variance;
        let z2 = difference * difference / variance;
        // ratio / (1 + ratio), which an infinite ratio would spoil
        let weight = self.tau2 / (variance + self.tau2);
        (z2 * weight - ratio.ln_1p()) / 2.0
    }

    /// Half the width of the confidence sequence of level `1 - alpha`.
    pub fn half_width(&self, variance: f64, alpha: f64) -> f64 {
        let ratio = self.tau2 / variance;
        let weight = self.tau2 / (variance + self.tau2);
        (variance / weight * (2.0 * (1.0 / alpha).ln() + ratio.ln_1p())).sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::p_value;

    #[test]
    fn the_reference_values_hold() {
        let rates = |a: f64, b: f64| a * (1.0 - a) + b * (1.0 - b);
        for (n, difference, variance, tau2, ln_e, p) in [
            (100.0, 0.3, 2.0, 0.1_f64, 0.979_120_265, 0.375_641_842),
            (1000.0, 0.1, 2.0, 0.01, 1.187_453_599, 0.304_996_921),
            (1000.0, 0.2, 2.0, 0.01, 7.437_453_599, 0.000_588_782_567),
            (50.0, 0.0, 2.0, 1.0, -1.629_048_269, 1.0),
            (
                1000.0,
                0.03,
                rates(0.10, 0.13),
                0.001,
                0.952_144_381,
                0.385_912_592,
            ),
            (
                5000.0,
                0.02,
                rates(0.10, 0.12),
                0.0001,
                3.040_515_105,
                0.047_810_256,
            ),
            (
                10000.0,
                0.01,
                rates(0.95, 0.96),
                0.0001,
                4.091_783_921,
                0.016_709_399,
            ),
        ] {
            let got = Mixture::new(tau2.sqrt()).ln_e(difference, variance / n);
            assert!((got - ln_e).abs() < 1e-8, "n={n}: {got} is not {ln_e}");
            assert!(
                (p_value(got) / p - 1.0).abs() < 2e-6,
                "n={n}: {}",
                p_value(got)
            );
        }
        let half = Mixture::new(0.1).half_width(2.0 / 1000.0, 0.05);
        assert!((half - 0.136_673_837).abs() < 1e-9, "{half}");
    }

    #[test]
    fn at_the_edge_of_the_interval_the_p_value_is_alpha() {
        let test = Mixture::new(0.02);
        let half = test.half_width(1e-5, 0.05);
        assert!((p_value(test.ln_e(half, 1e-5)) - 0.05).abs() < 1e-9);
    }
}
