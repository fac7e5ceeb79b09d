//! A histogram of values with a bounded relative error, so that percentiles need no list of all values.
//!
//! Buckets grow by 2 %, so a percentile is within 1 % of the value of its rank (Masson, Rim, Lee, "DDSketch", 2019).

use super::quantile::Quantile;

const GROWTH: f64 = 1.02;
const LEAST: f64 = 0.01;
/// Buckets up to about 10^9 times [`LEAST`].
const BUCKETS: usize = 1048;

/// Counts of positive values; in milliseconds it tells 10 µs from 100 days.
#[derive(Clone, Debug, Default)]
pub struct Histogram {
    buckets: Vec<u64>,
    count: u64,
    sum: f64,
}

impl Histogram {
    /// Counts a value; what is no positive number counts as 0.
    pub fn record(&mut self, value: f64) {
        let value = if value > 0.0 { value } else { 0.0 };
        let index = match value > LEAST {
            true => ((value / LEAST).ln() / GROWTH.ln()).ceil() as usize,
            false => 0,
        };
        let index = index.min(BUCKETS - 1);
        if index >= self.buckets.len() {
            self.buckets.resize(index + 1, 0);
        }
        self.buckets[index] += 1;
        self.count += 1;
        self.sum += value;
    }

    /// How many values.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Their mean; 0 where there is none.
    pub fn mean(&self) -> f64 {
        match self.count {
            0 => 0.0,
            count => self.sum / count as f64,
        }
    }

    /// The value of the nearest rank, within 1 %; `p` between 0 and 1.
    ///
    /// ```
    /// let mut latency = moltbot_abtest::stats::histogram::Histogram::default();
    /// (1..=1000).for_each(|ms| latency.record(f64::from(ms)));
    /// assert!((latency.percentile(0.99) / 990.0 - 1.0).abs() < 0.01);
    /// ```
    pub fn percentile(&self, p: f64) -> f64 {
        self.at((p * self.count as f64).ceil().max(1.0) as u64)
    }

    /// The confidence sequence of level `1 - alpha` for the `p`-quantile; `None` where a side is still open.
    pub fn interval(&self, p: f64, half_time: f64, alpha: f64) -> (Option<f64>, Option<f64>) {
        let (low, high) = Quantile::new(p, half_time, alpha).ranks(self.count, alpha);
        (
            low.map(|rank| self.at(rank)),
            high.map(|rank| self.at(rank)),
        )
    }

    /// Each bucket that holds something: its upper end and its count.
    pub fn buckets(&self) -> impl Iterator<Item = (f64, u64)> + '_ {
        let ends = (0..).map(|index| LEAST * GROWTH.powi(index));
        ends.zip(self.buckets.iter().copied())
            .filter(|(_, count)| *count > 0)
    }

    fn at(&self, rank: u64) -> f64 {
        let mut below = 0;
        for (end, count) in self.buckets() {
            below += count;
            if below >= rank {
                return end / GROWTH.sqrt();
            }
        }
        0.0
    }
}
