//! Less variance from what was known before the test: CUPED.
//!
//! Deng, Xu, Kohavi, Walker, "Improving the sensitivity of online controlled experiments by utilizing pre-experiment
//! data" (2013).

/// How much of `values` the `covariate` of before explains: estimated over all arms together, or it would bias.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cuped {
    theta: f64,
    mean: f64,
}

impl Cuped {
    /// Fits the pairs of (covariate, value). Without variance in the covariate nothing is adjusted.
    ///
    /// ```
    /// use moltbot_abtest::stats::cuped::Cuped;
    /// let fit = Cuped::fit(&[(1.0, 2.0), (2.0, 4.0), (3.0, 5.0), (4.0, 4.0), (5.0, 5.0)]);
    /// assert!((fit.theta() - 0.6).abs() < 1e-12);
    /// ```
    pub fn fit(pairs: &[(f64, f64)]) -> Self {
        let n = pairs.len().max(1) as f64;
        let mean = pairs.iter().map(|(x, _)| x).sum::<f64>() / n;
        let level = pairs.iter().map(|(_, y)| y).sum::<f64>() / n;
        let (covariance, variance) = pairs.iter().fold((0.0, 0.0), |(c, v), (x, y)| {
            (c + (x - mean) * (y - level), v + (x - mean).powi(2))
        });
        let theta = if variance > 0.0 {
            covariance / variance
        } else {
            0.0
        };
        Self { theta, mean }
    }

    /// The slope of values over the covariate.
    pub fn theta(&self) -> f64 {
        self.theta
    }

    /// The value without what its covariate explains; the mean over all stays.
    pub fn adjust(&self, covariate: f64, value: f64) -> f64 {
        value - self.theta * (covariate - self.mean)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_values_hold() {
        let pairs = [(1.0, 2.0), (2.0, 4.0), (3.0, 5.0), (4.0, 4.0), (5.0, 5.0)];
        let fit = Cuped::fit(&pairs);
        let mean = |values: &[f64]| values.iter().sum::<f64>() / 5.0;
        let variance = |values: &[f64]| {
            values
                .iter()
                .map(|v| (v - mean(values)).powi(2))
                .sum::<f64>()
                / 4.0
        };
        let before: Vec<f64> = pairs.iter().map(|(_, y)| *y).collect();
        let after: Vec<f64> = pairs.iter().map(|(x, y)| fit.adjust(*x, *y)).collect();
        assert!((variance(&before) - 1.5).abs() < 1e-12);
        assert!((variance(&after) - 0.6).abs() < 1e-12);
        assert!((mean(&after) - 4.0).abs() < 1e-12);
    }
}
