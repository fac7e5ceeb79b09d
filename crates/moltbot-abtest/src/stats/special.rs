//! The special functions that several methods need.

use statrs::function::gamma::ln_gamma;

/// The logarithm of the beta function.
pub(super) fn ln_beta(a: f64, b: f64) -> f64 {
    ln_gamma(a) + ln_gamma(b) - ln_gamma(a + b)
}

/// `x ln y`, and 0 where `x` is 0: what never happened has no likelihood to lose.
pub(super) fn x_ln_y(x: f64, y: f64) -> f64 {
    if x == 0.0 { 0.0 } else { x * y.ln() }
}

/// Where `rising`, a function that is negative at `low` and positive at `high`, changes its sign; `steps` halvings.
pub(super) fn bisect(low: f64, high: f64, steps: u32, rising: impl Fn(f64) -> f64) -> f64 {
    let (mut low, mut high) = (low, high);
    for _ in 0..steps {
        let middle = f64::midpoint(low, high);
        if rising(middle) < 0.0 {
            low = middle;
        } else {
            high = middle;
        }
    }
    f64::midpoint(low, high)
}

/// Riemann's zeta function for `s > 1`, by the Euler-Maclaurin formula.
pub(super) fn zeta(s: f64) -> f64 {
    const N: u32 = 20;
    let n = f64::from(N);
    let head: f64 = (1..N).map(|k| f64::from(k).powf(-s)).sum();
    let tail = n.powf(1.0 - s) / (s - 1.0) + n.powf(-s) / 2.0;
    let first = s * n.powf(-s - 1.0) / 12.0;
    let second = s * (s + 1.0) * (s + 2.0) * n.powf(-s - 3.0) / 720.0;
    let rising = s * (s + 1.0) * (s + 2.0) * (s + 3.0) * (s + 4.0);
    let third = rising * n.powf(-s - 5.0) / 30_240.0;
    head + tail + first - second + third
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeta_has_its_known_values() {
        assert!((zeta(2.0) - std::f64::consts::PI.powi(2) / 6.0).abs() < 1e-12);
        assert!((zeta(1.4) - 3.105_547_32).abs() < 1e-3);
    }

    #[test]
    fn the_beta_function_is_that_of_factorials() {
        assert!((ln_beta(3.0, 4.0) - (1.0_f64 / 60.0).ln()).abs() < 1e-12);
    }
}
