//! The exact conditional multinomial test: do events fall into the arms by the arms' shares?
//!
//! Lindon, Malek, "Anytime-valid inference for multinomial count data" (2022, arXiv 2011.03567). It is exact at any
//! count and allows rates that drift, as long as they drift in all arms alike.

use super::special::{bisect, ln_beta, x_ln_y};
use statrs::function::gamma::ln_gamma;

/// A test that events fall into arms by fixed shares.
///
/// ```
/// use moltbot_abtest::stats::exact::Multinomial;
/// let test = Multinomial::new(&[0.5, 0.5], 2.0);
/// assert!((test.ln_e(&[5.0, 0.0]) - (16.0_f64 / 3.0).ln()).abs() < 1e-9);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Multinomial {
    shares: Vec<f64>,
    concentration: f64,
}

impl Multinomial {
    /// A test of `weights` (scaled to shares here), its Dirichlet prior `concentration` times as heavy as one event.
    pub fn new(weights: &[f64], concentration: f64) -> Self {
        let total: f64 = weights.iter().sum();
        Self {
            shares: weights.iter().map(|weight| weight / total).collect(),
            concentration,
        }
    }

    /// Evidence against the shares in `counts`, one for each arm. An arm without a share takes no part.
    pub fn ln_e(&self, counts: &[f64]) -> f64 {
        let c = self.concentration;
        let total: f64 = counts.iter().sum();
        let arms = self.shares.iter().zip(counts);
        let inside: f64 = arms
            .filter(|(share, _)| **share > 0.0)
            .map(|(share, count)| {
                let prior = c * share;
                ln_gamma(prior + count) - ln_gamma(prior) - x_ln_y(*count, *share)
            })
            .sum();
        inside + ln_gamma(c) - ln_gamma(c + total)
    }
}

/// A test that two arms have equal rates, from the events and the non-events of both.
///
/// Each stream alone is blind where its events are the common case, so both count: the mean of two e-values is one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EqualRates {
    share: f64,
    concentration: f64,
}

impl EqualRates {
    /// The second arm gets `share` of the units of both.
    pub fn new(share: f64, concentration: f64) -> Self {
        Self {
            share,
            concentration,
        }
    }

    /// Evidence against equal rates; the first of each pair belongs to the first arm.
    pub fn ln_e(&self, events: [f64; 2], others: [f64; 2]) -> f64 {
        let test = Multinomial::new(&[1.0 - self.share, self.share], self.concentration);
        let (a, b) = (test.ln_e(&events), test.ln_e(&others));
        let most = a.max(b);
        most + (((a - most).exp() + (b - most).exp()) / 2.0).ln()
    }

    /// The confidence sequence of level `1 - alpha` for the rate of the second arm's events over that of the first's.
    pub fn ratio(&self, events: [f64; 2], alpha: f64) -> (f64, f64) {
        const FAR: f64 = 40.0; // e^40: no ratio that is seen
        let odds = self.share / (1.0 - self.share);
        let against = |ln_ratio: f64| {
            let weight = odds * ln_ratio.exp();
            Multinomial::new(&[1.0, weight], self.concentration).ln_e(&events) + alpha.ln()
        };
        let seen = ((events[1] + 0.5) / (events[0] + 0.5) / odds).ln();
        let seen = seen.clamp(-FAR + 1.0, FAR - 1.0);
        if against(seen) >= 0.0 {
            // too few events, or a prior that is too narrow, to have a middle
            return (0.0, f64::INFINITY);
        }
        let low = match against(-FAR) < 0.0 {
            true => 0.0,
            false => bisect(-FAR, seen, 60, |x| -against(x)).exp(),
        };
        let high = match against(FAR) < 0.0 {
            true => f64::INFINITY,
            false => bisect(seen, FAR, 60, against).exp(),
        };
        (low, high)
    }
}

/// Evidence against "the mean of values in \[0, 1\] is `mean`": `sum` of `count` values was seen.
///
/// The mixture of Beta(`a`, `b`) over the mean; exact for rates, valid for all values in \[0, 1\].
pub fn ln_e_mean(count: f64, sum: f64, mean: f64, a: f64, b: f64) -> f64 {
    let rest = count - sum;
    ln_beta(a + sum, b + rest) - ln_beta(a, b) - x_ln_y(sum, mean) - x_ln_y(rest, 1.0 - mean)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_values_hold() {
        for (counts, concentration, ln_e) in [
            ([1.0, 0.0], 2.0, 0.0),
            ([2.0, 0.0], 2.0, (4.0_f64 / 3.0).ln()),
            ([5.0, 0.0], 2.0, (16.0_f64 / 3.0).ln()),
            ([60.0, 40.0], 2.0, -0.090_965),
            ([60.0, 40.0], 100.0, 0.658_892),
            ([5200.0, 4800.0], 100.0, 5.613_613),
        ] {
            let got = Multinomial::new(&[0.5, 0.5], concentration).ln_e(&counts);
            assert!((got - ln_e).abs() < 1e-6, "{counts:?}: {got} is not {ln_e}");
        }
    }

    #[test]
    fn both_streams_count() {
        let test = EqualRates::new(0.5, 100.0);
        // 95 % against 97 %: the successes alone say nothing, the failures do
        let (events, others) = ([9500.0, 9700.0], [500.0, 300.0]);
        let successes = Multinomial::new(&[0.5, 0.5], 100.0).ln_e(&events);
        assert!(successes < 1.0);
        assert!(test.ln_e(events, others) > 20_f64.ln());
    }

    #[test]
    fn the_interval_of_the_ratio_holds_the_ratio_that_was_seen() {
        let (low, high) = EqualRates::new(0.5, 100.0).ratio([100.0, 150.0], 0.05);
        assert!(
            low < 1.5 && 1.5 < high && low > 0.99 && high < 2.3,
            "{low} {high}"
        );
        let (low, high) = EqualRates::new(0.5, 100.0).ratio([0.0, 0.0], 0.05);
        assert_eq!((low, high), (0.0, f64::INFINITY));
    }
}
