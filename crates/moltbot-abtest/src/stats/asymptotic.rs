//! The asymptotic confidence sequence for a difference of means: it asks no more than a finite variance.
//!
//! Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas, "Time-uniform central limit theory and asymptotic confidence
//! sequences" (2024, arXiv 2103.06476). Values with very heavy tails are better capped at a value set beforehand.

/// The sequence; where it is tightest is fixed before the first observation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Asymptotic {
    rho2: f64,
}

impl Asymptotic {
    /// Tightest after `half_time` observations, for a level of `1 - alpha`.
    pub fn new(half_time: f64, alpha: f64) -> Self {
        let log = -2.0 * alpha.ln();
        Self {
            rho2: (log + log.ln_1p()) / half_time,
        }
    }

    /// The square root of the mixture's precision, as the paper names it.
    pub fn rho(&self) -> f64 {
        self.rho2.sqrt()
    }

    /// Evidence after `time` observations against "there is no difference"; `variance` is that of the difference.
    pub fn ln_e(&self, difference: f64, variance: f64, time: f64) -> f64 {
        let spread = time * self.rho2;
        (difference * difference / variance * (spread / (spread + 1.0)) - spread.ln_1p()) / 2.0
    }

    /// Half the width of the sequence of level `1 - alpha` after `time` observations.
    pub fn half_width(&self, variance: f64, time: f64, alpha: f64) -> f64 {
        let spread = time * self.rho2;
        let log = spread.ln_1p() / 2.0 - alpha.ln();
        (variance * 2.0 * (spread + 1.0) / spread * log).sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_values_hold() {
        for (time, rho) in [
            (100.0, 0.281_711_814),
            (1000.0, 0.089_085_098),
            (10000.0, 0.028_171_181),
        ] {
            assert!((Asymptotic::new(time, 0.05).rho() - rho).abs() < 1e-9);
        }
        let sequence = Asymptotic::new(1000.0, 0.05);
        for (time, half) in [
            (100.0, 0.385_505_463),
            (500.0, 0.137_901_385),
            (1000.0, 0.095_981_736),
            (5000.0, 0.044_590_584),
            (20000.0, 0.023_595_146),
        ] {
            let got = sequence.half_width(1.0 / time, time, 0.05);
            assert!((got - half).abs() < 1e-9, "t={time}: {got} is not {half}");
        }
        let fixed = 1.959_963_985 / 1000_f64.sqrt();
        assert!((sequence.half_width(0.001, 1000.0, 0.05) / fixed - 1.5486).abs() < 1e-4);
    }

    #[test]
    fn it_is_the_curve_of_the_normal_mixture() {
        use crate::stats::boundary::{Normal, Sides, SumMixture};
        let sequence = Asymptotic::new(100.0, 0.05);
        let mixture = Normal::new(100.0, 0.05, Sides::Two);
        let half = sequence.half_width(1.0 / 250.0, 250.0, 0.05);
        assert!((half * 250.0 - mixture.bound(250.0, 0.05)).abs() < 1e-6);
    }

    #[test]
    fn at_the_edge_of_the_interval_the_p_value_is_alpha() {
        let sequence = Asymptotic::new(1000.0, 0.05);
        let half = sequence.half_width(0.3, 400.0, 0.05);
        assert!((crate::stats::p_value(sequence.ln_e(half, 0.3, 400.0)) - 0.05).abs() < 1e-9);
    }
}
