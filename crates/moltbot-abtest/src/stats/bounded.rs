//! An exact confidence sequence for the difference of two means of values in \[0, 1\].
//!
//! Each arm's likelihood is mixed over a Jeffreys prior, Beta(1/2, 1/2), and compared with the best that two means of
//! the tested difference can do: universal inference (Wasserman, Ramdas, Balakrishnan 2020) with a mixture in the
//! numerator. It is exact with any count, also where an arm never failed, and wider than the plug-in methods.
//! For values between 0 and 1 that are no rates it stays valid: `a^x b^(1-x)` is convex in `x`.

use super::special::{bisect, ln_beta, x_ln_y};

const JEFFREYS: f64 = 0.5;

/// What one arm showed: `count` values and their `sum`, each value between 0 and 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Seen {
    /// How many values.
    pub count: f64,
    /// Their sum.
    pub sum: f64,
}

impl Seen {
    fn rest(self) -> f64 {
        (self.count - self.sum).max(0.0)
    }

    fn mean(self) -> f64 {
        self.sum / self.count
    }

    fn ln_mixture(self) -> f64 {
        ln_beta(JEFFREYS + self.sum, JEFFREYS + self.rest()) - ln_beta(JEFFREYS, JEFFREYS)
    }

    fn ln_likelihood(self, mean: f64) -> f64 {
        x_ln_y(self.sum, mean) + x_ln_y(self.rest(), 1.0 - mean)
    }

    fn slope(self, mean: f64) -> f64 {
        let up = if self.sum == 0.0 {
            0.0
        } else {
            self.sum / mean
        };
        let rest = self.rest();
        up - if rest == 0.0 {
            0.0
        } else {
            rest / (1.0 - mean)
        }
    }
}

/// Evidence against "the second mean is `difference` above the first" in one or more strata, each (first, second).
///
/// ```
/// use moltbot_abtest::stats::bounded::{Seen, interval, ln_e};
/// let baseline = Seen { count: 500.0, sum: 500.0 }; // never failed
/// let other = Seen { count: 500.0, sum: 400.0 };
/// assert!(ln_e(&[(baseline, other)], 0.0) > 20_f64.ln());
/// let (low, high) = interval(&[(baseline, other)], 0.05);
/// assert!(-0.32 < low && high < -0.1);
/// ```
pub fn ln_e(strata: &[(Seen, Seen)], difference: f64) -> f64 {
    let each = strata
        .iter()
        .map(|(first, second)| one(*first, *second, difference));
    each.sum()
}

fn one(first: Seen, second: Seen, difference: f64) -> f64 {
    let low = (-difference).max(0.0);
    let high = (1.0 - difference).min(1.0);
    // the likelihood is concave in the first mean: its slope falls
    let best = bisect(low, high, 60, |mean| {
        -(first.slope(mean) + second.slope(mean + difference))
    });
    let other = (best + difference).clamp(0.0, 1.0);
    first.ln_mixture() + second.ln_mixture()
        - first.ln_likelihood(best)
        - second.ln_likelihood(other)
}

/// The confidence sequence of level `1 - alpha` for the second mean minus the first, alike in all strata.
pub fn interval(strata: &[(Seen, Seen)], alpha: f64) -> (f64, f64) {
    let middle = least(strata);
    let against = |difference: f64| ln_e(strata, difference) + alpha.ln();
    if against(middle) >= 0.0 {
        return (-1.0, 1.0); // strata that contradict each other have no common difference
    }
    let low = match against(-1.0) < 0.0 {
        true => -1.0,
        false => bisect(-1.0, middle, 50, |difference| -against(difference)),
    };
    let high = match against(1.0) < 0.0 {
        true => 1.0,
        false => bisect(middle, 1.0, 50, against),
    };
    (low, high)
}

/// The difference that has the least evidence against it.
fn least(strata: &[(Seen, Seen)]) -> f64 {
    if let [(first, second)] = strata {
        return match first.count > 0.0 && second.count > 0.0 {
            true => second.mean() - first.mean(),
            false => 0.0,
        };
    }
    // the evidence is convex in the difference
    let (mut low, mut high) = (-1.0, 1.0);
    for _ in 0..50 {
        let third = (high - low) / 3.0;
        if ln_e(strata, low + third) < ln_e(strata, high - third) {
            high -= third;
        } else {
            low += third;
        }
    }
    f64::midpoint(low, high)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(count: f64, sum: f64) -> Seen {
        Seen { count, sum }
    }

    #[test]
    fn equal_arms_give_no_evidence() {
        assert!(ln_e(&[(seen(1000.0, 998.0), seen(1000.0, 997.0))], 0.0) < 0.0);
        assert!(ln_e(&[(seen(3.0, 3.0), seen(3.0, 3.0))], 0.0) <= 0.0);
    }

    #[test]
    fn a_difference_shows_in_either_direction_alike() {
        let up = ln_e(&[(seen(50.0, 0.0), seen(50.0, 25.0))], 0.0);
        let down = ln_e(&[(seen(50.0, 25.0), seen(50.0, 0.0))], 0.0);
        assert!((up - down).abs() < 1e-6 && up > 5.0, "{up} {down}");
    }

    #[test]
    fn the_interval_ends_where_the_evidence_does() {
        let (a, b) = (seen(200.0, 196.0), seen(200.0, 150.0));
        let (low, high) = interval(&[(a, b)], 0.05);
        for end in [low, high] {
            assert!((ln_e(&[(a, b)], end) - 20_f64.ln()).abs() < 1e-6);
        }
        assert!(low < -0.23 && -0.23 < high && high < 0.0, "{low} {high}");
    }

    #[test]
    fn a_single_value_leaves_nearly_everything_open() {
        let (low, high) = interval(&[(seen(1.0, 1.0), seen(1.0, 1.0))], 0.05);
        assert!(low < -0.9 && high > 0.9, "{low} {high}");
    }
}
