//! Confidence sequences for quantiles, P95 and P99 above all: they need no assumption but independent values.
//!
//! Howard, Ramdas, "Sequential estimation of quantiles with applications to A/B testing and best-arm identification"
//! (2022, arXiv 1906.09712).

use super::exact::ln_e_mean;
use super::special::bisect;

/// The sequence for one quantile.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quantile {
    p: f64,
    concentration: f64,
}

impl Quantile {
    /// The `p`-quantile (0.95 for P95); tightest after `half_time` values for a level of `1 - alpha`.
    pub fn new(p: f64, half_time: f64, alpha: f64) -> Self {
        Self {
            p,
            concentration: super::boundary::best_rho(half_time, alpha),
        }
    }

    /// The ranks, from 1, of the sorted values between which the quantile lies; `None` where that side is still open.
    ///
    /// ```
    /// use moltbot_abtest::stats::quantile::Quantile;
    /// let median = Quantile::new(0.5, 1000.0, 0.05);
    /// assert_eq!(median.ranks(5, 0.05), (None, None));
    /// let (low, high) = median.ranks(1000, 0.05);
    /// assert!((440..470).contains(&low.unwrap()) && (531..561).contains(&high.unwrap()));
    /// ```
    pub fn ranks(&self, count: u64, alpha: f64) -> (Option<u64>, Option<u64>) {
        let n = count as f64;
        let (a, b) = (
            self.concentration * self.p,
            self.concentration * (1.0 - self.p),
        );
        // convex in how many values lie at or below the quantile, least near n p
        let against = |below: f64| ln_e_mean(n, below, self.p, a, b) + alpha.ln();
        let middle = n * self.p;
        if n == 0.0 || against(middle) >= 0.0 {
            return (None, None);
        }
        let low = (against(0.0) > 0.0).then(|| bisect(0.0, middle, 60, |k| -against(k)).ceil());
        let high = (against(n) > 0.0).then(|| bisect(middle, n, 60, against).floor() + 1.0);
        (low.map(|rank| rank as u64), high.map(|rank| rank as u64))
    }
}

/// How far, at most, the empirical distribution of `count` values is from the true one at any value and any time.
///
/// The closed form of the paper's theorem 2: good for drawing a whole distribution with its band.
pub fn band(count: u64, alpha: f64) -> f64 {
    let n = (count as f64).max(1.0);
    let log = (1.0 + n.ln()).ln() + 0.8 * (1612.0 / alpha).ln();
    (0.85 * (log / n).sqrt()).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_p99_is_open_above_until_there_are_enough_values() {
        let p99 = Quantile::new(0.99, 5000.0, 0.05);
        assert_eq!(p99.ranks(100, 0.05).1, None);
        let (low, high) = p99.ranks(5000, 0.05);
        let (low, high) = (low.unwrap(), high.unwrap());
        assert!(
            (4910..4945).contains(&low) && (4960..4990).contains(&high),
            "{low} {high}"
        );
    }

    #[test]
    fn it_is_the_beta_binomial_mixture_of_the_boundaries() {
        use crate::stats::boundary::{BetaBinomial, Sides, SumMixture};
        let (p, n, k) = (0.95, 1000.0, 930.0);
        let concentration = 40.0;
        // the same mixture, told by sums: values are -p or 1 - p
        let rho = concentration * p * (1.0 - p);
        let log = 2.0 * 20_f64.ln();
        let v_opt = (rho + p * (1.0 - p)) * (log + log.ln_1p());
        let mixture = BetaBinomial::new(v_opt, 0.05, p, 1.0 - p, Sides::Two);
        let told = mixture.ln_e(k - n * p, n * p * (1.0 - p));
        let counted = ln_e_mean(n, k, p, concentration * p, concentration * (1.0 - p));
        assert!((told - counted).abs() < 1e-6, "{told} {counted}");
    }

    #[test]
    fn the_band_narrows() {
        assert!(band(1, 0.05) > band(1000, 0.05) && band(1000, 0.05) > band(1_000_000, 0.05));
        assert!(
            (band(10_000, 0.05) - 0.0277).abs() < 0.003,
            "{}",
            band(10_000, 0.05)
        );
    }
}
