//! Betting on a mean of scores in \[0, 1\]: exact, and tight with few of them.
//!
//! Waudby-Smith, Ramdas, "Estimating means of bounded random variables by betting" (2024, arXiv 2010.09686).

/// A gambler who bets that the mean is above `mean`, one side of the hedged capital process.
#[derive(Clone, Copy, Debug)]
pub struct Bet {
    mean: f64,
    ln_capital: f64,
}

/// The predictable plug-in stake: it depends on the past alone.
#[derive(Clone, Copy, Debug)]
pub struct Stakes {
    log: f64,
    count: f64,
    sum: f64,
    squares: f64,
    last: f64,
}

impl Stakes {
    /// Stakes for a sequence of level `1 - alpha`. Mean and variance start from one imagined score (1/2, 1/4).
    pub fn new(alpha: f64) -> Self {
        Self {
            log: 2.0 * (2.0 / alpha).ln(),
            count: 0.0,
            sum: 0.5,
            squares: 0.25,
            last: 0.0,
        }
    }

    /// The stake on the next score, before any cap.
    fn next(&mut self) -> f64 {
        let t = self.count + 1.0;
        let variance = self.squares / t;
        self.last = (self.log / (variance * t * t.ln_1p())).sqrt();
        self.last
    }

    fn learn(&mut self, score: f64) {
        self.count += 1.0;
        self.sum += score;
        let mean = self.sum / (self.count + 1.0);
        self.squares += (score - mean).powi(2);
    }
}

impl Bet {
    /// Bets against `mean`.
    pub fn new(mean: f64) -> Self {
        Self {
            mean,
            ln_capital: 0.0,
        }
    }

    fn push(&mut self, stake: f64, score: f64) {
        let stake = stake.min(0.5 / self.mean);
        self.ln_capital += (stake * (score - self.mean)).ln_1p();
    }
}

/// Evidence that the mean of `scores`, each in \[0, 1\], is above `mean`.
///
/// ```
/// use moltbot_abtest::stats::betting::ln_e_above;
/// assert!(ln_e_above(&[0.9; 40], 0.5, 0.05) > 20_f64.ln());
/// ```
pub fn ln_e_above(scores: &[f64], mean: f64, alpha: f64) -> f64 {
    let (mut stakes, mut bet) = (Stakes::new(alpha), Bet::new(mean));
    for score in scores {
        let stake = stakes.next();
        bet.push(stake, *score);
        stakes.learn(*score);
    }
    bet.ln_capital
}

/// The confidence sequence of level `1 - alpha` for the mean of `scores`, on a grid of `steps` candidates.
pub fn interval(scores: &[f64], alpha: f64, steps: u32) -> (f64, f64) {
    let mirrored: Vec<f64> = scores.iter().map(|score| 1.0 - score).collect();
    let threshold = (2.0 / alpha).ln(); // each side half
    let grid = (1..steps).map(|i| f64::from(i) / f64::from(steps));
    let kept = grid.filter(|mean| {
        ln_e_above(scores, *mean, alpha) < threshold
            && ln_e_above(&mirrored, 1.0 - mean, alpha) < threshold
    });
    let (low, high) = kept.fold((1.0_f64, 0.0_f64), |(low, high), mean| {
        (low.min(mean), high.max(mean))
    });
    let step = 1.0 / f64::from(steps); // the ends lie between two candidates
    ((low - step).max(0.0), (high + step).min(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scores(count: usize) -> Vec<f64> {
        let cycle = [1.0, 1.0, 0.0, 1.0, 1.0, 1.0, 0.0, 1.0, 1.0, 1.0];
        cycle.into_iter().cycle().take(count).collect()
    }

    fn stake(count: usize) -> f64 {
        let mut stakes = Stakes::new(0.05);
        for score in scores(count) {
            stakes.next();
            stakes.learn(score);
        }
        stakes.last
    }

    #[test]
    fn the_reference_values_hold() {
        for (count, mean, ln_e) in [
            (10, 0.5, 1.857_427),
            (20, 0.5, 3.620_053),
            (50, 0.5, 7.792_199),
            (100, 0.5, 12.671_900),
            (10, 0.75, -0.153_089),
            (50, 0.75, -0.673_386),
            (100, 0.75, -0.502_323),
        ] {
            let got = ln_e_above(&scores(count), mean, 0.05);
            assert!(
                (got - ln_e).abs() < 1e-6,
                "t={count} m={mean}: {got} is not {ln_e}"
            );
        }
        assert!((stake(20) - 0.891_348).abs() < 1e-6);
        assert!((stake(100) - 0.320_032).abs() < 1e-6);
        assert!(stake(10) > 1.0, "at 10 the stake is still at its cap");
    }

    #[test]
    fn the_interval_closes_in_on_the_mean() {
        let (low, high) = interval(&scores(400), 0.05, 200);
        assert!(
            low > 0.7 && low < 0.8 && high > 0.8 && high < 0.87,
            "{low} {high}"
        );
    }
}
