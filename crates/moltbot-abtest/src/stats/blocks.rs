//! Safe tests of two rates, block by block: one unit of each arm at a time.
//!
//! Turner, Ly, Grünwald, "Safe sequential testing and effect estimation in stratified count data" and "Generic
//! e-variables for exact sequential k-sample tests that allow for optional stopping" (2021 to 2023).

/// A test that learns both rates as it goes, from uniform priors.
#[derive(Clone, Copy, Debug)]
pub struct Blocks {
    successes: [f64; 2],
    count: f64,
    ln_e: f64,
}

impl Default for Blocks {
    fn default() -> Self {
        Self {
            successes: [0.0; 2],
            count: 0.0,
            ln_e: 0.0,
        }
    }
}

impl Blocks {
    /// Takes the next block: whether the unit of either arm succeeded. Gives the evidence so far.
    pub fn push(&mut self, block: [bool; 2]) -> f64 {
        let rate = |successes: f64| (successes + 1.0) / (self.count + 2.0);
        let rates = self.successes.map(rate);
        let null = f64::midpoint(rates[0], rates[1]);
        let chance = |rate: f64, success: bool| if success { rate } else { 1.0 - rate };
        for (arm, success) in block.into_iter().enumerate() {
            self.ln_e += (chance(rates[arm], success) / chance(null, success)).ln();
            self.successes[arm] += f64::from(u8::from(success));
        }
        self.count += 1.0;
        self.ln_e
    }
}

/// Evidence from blocks in which one arm alone succeeded, against the alternative that the odds of the first arm
/// are `odds` times those of the second.
pub fn ln_e_odds(first: u32, second: u32, odds: f64) -> f64 {
    let share = odds / (1.0 + odds);
    f64::from(first) * (2.0 * share).ln() + f64::from(second) * (2.0 * (1.0 - share)).ln()
}

/// The same with the logarithm of the odds mixed over a standard normal prior.
pub fn ln_e_normal_odds(first: u32, second: u32) -> f64 {
    const END: f64 = 12.0;
    const STEPS: u32 = 2400; // Simpson's rule
    let width = 2.0 * END / f64::from(STEPS);
    let at = |i: u32| {
        let x = -END + f64::from(i) * width;
        // the logarithm of 2 / (1 + e^-x), and of its mirror
        let ln_up = std::f64::consts::LN_2 - (-x).exp().ln_1p();
        let ln_down = std::f64::consts::LN_2 - x.exp().ln_1p();
        f64::from(first) * ln_up + f64::from(second) * ln_down - x * x / 2.0
    };
    let most = (0..=STEPS).map(at).fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = (0..=STEPS)
        .map(|i| {
            let weight = match i {
                0 | STEPS => 1.0,
                _ if i % 2 == 1 => 4.0,
                _ => 2.0,
            };
            weight * (at(i) - most).exp()
        })
        .sum();
    most + (sum * width / 3.0 / (2.0 * std::f64::consts::PI).sqrt()).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_values_hold() {
        for blocks in 0..8 {
            let e = ln_e_odds(blocks, 0, 3.0).exp();
            assert!((e - 1.5_f64.powi(blocks as i32)).abs() < 1e-9);
        }
        let mut test = Blocks::default();
        assert!(test.push([true, false]).abs() < 1e-12);
        assert!((test.push([true, false]).exp() - 16.0 / 9.0).abs() < 1e-12);
        let values = [
            1.0,
            1.173_516_143_432_372,
            1.520_548_430_297_116,
            2.105_509_009_062_085,
            3.057_222_176_662_974,
        ];
        for (blocks, value) in (1..).zip(values) {
            let e = ln_e_normal_odds(blocks, 0).exp();
            assert!((e - value).abs() < 1e-9, "{e} is not {value}");
        }
    }
}
