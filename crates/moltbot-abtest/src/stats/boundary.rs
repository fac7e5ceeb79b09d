//! Boundaries for sums that hold uniformly over time, after Howard, Ramdas, McAuliffe, Sekhon, "Time-uniform,
//! nonparametric, nonasymptotic confidence sequences" (2021, arXiv 1810.08240).
//!
//! `s` is a sum of centred values, `v` its intrinsic time (variance so far). Each mixture is an e-process; its bound
//! at level `alpha` is the sum at which the e-value reaches `1/alpha`.

use statrs::function::beta::beta_reg;
use statrs::function::erf::erfc;
use statrs::function::gamma::{gamma_lr, ln_gamma};

use super::special::{bisect, ln_beta, zeta};

/// How much a normal mixture is spread so that its two-sided bound is tightest at time `v_opt` and level `alpha`.
pub fn best_rho(v_opt: f64, alpha: f64) -> f64 {
    let log = (1.0 / alpha).ln();
    v_opt / (2.0 * log + (2.0 * log).ln_1p())
}

/// Whether sums that are too small count as evidence too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sides {
    /// Only sums that are too large.
    One,
    /// Both.
    Two,
}

impl Sides {
    fn rho(self, v_opt: f64, alpha: f64) -> f64 {
        match self {
            Self::One => best_rho(v_opt, 2.0 * alpha),
            Self::Two => best_rho(v_opt, alpha),
        }
    }
}

/// A mixture over effects: an e-process for sums.
pub trait SumMixture {
    /// Evidence against "the mean is 0" in a sum of `s` at time `v`.
    fn ln_e(&self, s: f64, v: f64) -> f64;

    /// The largest sum that can be at time `v`.
    fn most(&self, v: f64) -> f64 {
        let _ = v;
        f64::INFINITY
    }

    /// The sum that is reached with a chance of at most `alpha` at any time.
    fn bound(&self, v: f64, alpha: f64) -> f64 {
        let threshold = (1.0 / alpha).ln();
        let mut high = self.most(v);
        if high.is_infinite() {
            high = v.max(1.0);
            while self.ln_e(high, v) <= threshold && high < 1e300 {
                high *= 2.0;
            }
        } else if self.ln_e(high, v).is_nan() || self.ln_e(high, v) < threshold {
            return high;
        }
        bisect(0.0, high, 80, |s| self.ln_e(s, v) - threshold)
    }
}

/// The mixture for sums with normal tails.
#[derive(Clone, Copy, Debug)]
pub struct Normal {
    rho: f64,
    sides: Sides,
}

impl Normal {
    /// Tightest at `v_opt` and `alpha`.
    pub fn new(v_opt: f64, alpha: f64, sides: Sides) -> Self {
        Self {
            rho: sides.rho(v_opt, alpha),
            sides,
        }
    }
}

impl SumMixture for Normal {
    fn ln_e(&self, s: f64, v: f64) -> f64 {
        let spread = v + self.rho;
        let two = (self.rho / spread).ln() / 2.0 + s * s / (2.0 * spread);
        match self.sides {
            Sides::Two => two,
            Sides::One => {
                let below = erfc(-s / (2.0 * spread).sqrt()) / 2.0;
                two + std::f64::consts::LN_2 + below.ln()
            }
        }
    }
}

/// The mixture for sums of values between `-g` and `h`: rates and quantiles.
#[derive(Clone, Copy, Debug)]
pub struct BetaBinomial {
    r: f64,
    g: f64,
    h: f64,
    sides: Sides,
    normalizer: f64,
}

impl BetaBinomial {
    /// Values lie between `-g` and `h`; tightest at `v_opt` and `alpha`.
    pub fn new(v_opt: f64, alpha: f64, g: f64, h: f64, sides: Sides) -> Self {
        let r = (sides.rho(v_opt, alpha) - g * h).max(1e-3 * g * h);
        let mut mixture = Self {
            r,
            g,
            h,
            sides,
            normalizer: 0.0,
        };
        mixture.normalizer = mixture.ln_incomplete(0.0, 0.0);
        mixture
    }

    fn ln_incomplete(&self, s: f64, v: f64) -> f64 {
        let (g, h) = (self.g, self.h);
        let a = (self.r + v - g * s) / (g * (g + h));
        let b = (self.r + v + h * s) / (h * (g + h));
        match self.sides {
            Sides::Two => ln_beta(a, b),
            Sides::One => ln_beta(a, b) + beta_reg(a, b, h / (g + h)).ln(),
        }
    }
}

impl SumMixture for BetaBinomial {
    fn ln_e(&self, s: f64, v: f64) -> f64 {
        let (g, h) = (self.g, self.h);
        let ups = (v + h * s) / (h * (g + h));
        let downs = (v - g * s) / (g * (g + h));
        v / (g * h) * (g + h).ln() - ups * g.ln() - downs * h.ln() + self.ln_incomplete(s, v)
            - self.normalizer
    }

    fn most(&self, v: f64) -> f64 {
        v / self.g
    }
}

/// The mixture for sums whose upper tail is that of exponential values of scale `c`.
#[derive(Clone, Copy, Debug)]
pub struct GammaExponential {
    rho: f64,
    c: f64,
    leading: f64,
}

impl GammaExponential {
    /// Of scale `c`; tightest at `v_opt` and `alpha`.
    pub fn new(v_opt: f64, alpha: f64, c: f64) -> Self {
        let rho = Sides::One.rho(v_opt, alpha);
        let k = rho / (c * c);
        Self {
            rho,
            c,
            leading: k * k.ln() - ln_gamma(k) - gamma_lr(k, k).ln(),
        }
    }
}

impl SumMixture for GammaExponential {
    fn ln_e(&self, s: f64, v: f64) -> f64 {
        let c2 = self.c * self.c;
        let moved = (self.c * s + v) / c2;
        let shape = (v + self.rho) / c2;
        let at = moved + self.rho / c2;
        self.leading + ln_gamma(shape) + gamma_lr(shape, at).ln() - shape * at.ln() + moved
    }
}

/// The stitched bound: closed form, of the best possible growth.
///
/// `v_min` is the time from which it holds, `c` the scale of the tail (0 for normal tails), `s > 1` and `eta > 1`
/// shape it; 1.4 and 2 do well.
pub fn poly_stitching(v: f64, alpha: f64, v_min: f64, c: f64, s: f64, eta: f64) -> f64 {
    let v = v.max(v_min);
    let k1 = (eta.powf(0.25) + eta.powf(-0.25)) / std::f64::consts::SQRT_2;
    let k2 = (eta.sqrt() + 1.0) / 2.0;
    let ell = s * (eta * v / v_min).ln().ln() + (zeta(s) / eta.ln().powf(s)).ln() - alpha.ln();
    let tail = k2 * c * ell;
    (k1 * k1 * v * ell + tail * tail).sqrt() + tail
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(got: f64, want: f64) {
        assert!((got / want - 1.0).abs() < 2e-6, "{got} is not {want}");
    }

    #[test]
    fn the_reference_values_of_normal_mixtures_hold() {
        near(best_rho(100.0, 0.05), 12.60056);
        let two = Normal::new(100.0, 0.05, Sides::Two);
        near(two.ln_e(10.0, 100.0), -0.651_005_2);
        near(two.bound(100.0, 0.05), 30.35209);
        let one = Normal::new(100.0, 0.05, Sides::One);
        near(one.ln_e(10.0, 100.0), -0.065_023_91);
        near(one.bound(100.0, 0.05), 27.66071);
    }

    #[test]
    fn the_reference_values_of_beta_binomial_mixtures_hold() {
        let two = BetaBinomial::new(100.0, 0.05, 0.2, 0.8, Sides::Two);
        near(two.ln_e(10.0, 100.0), -0.694_101_2);
        near(two.bound(100.0, 0.05), 31.4308);
        let one = BetaBinomial::new(100.0, 0.05, 0.2, 0.8, Sides::One);
        near(one.ln_e(10.0, 100.0), -0.071_340_19);
        near(one.bound(100.0, 0.05), 28.41238);
    }

    #[test]
    fn the_reference_values_of_the_gamma_exponential_mixture_hold() {
        let mixture = GammaExponential::new(100.0, 0.05, 2.0);
        near(mixture.ln_e(10.0, 100.0), -0.249_016_5);
        near(mixture.bound(100.0, 0.05), 33.02017);
    }

    #[test]
    fn the_reference_value_of_the_stitched_bound_holds() {
        near(poly_stitching(100.0, 0.05, 10.0, 3.0, 1.4, 2.0), 64.48755);
    }
}
