//! Statistics that stay valid however often one looks: pure functions over counts and sums, usable alone.
//!
//! | question | method | module |
//! |---|---|---|
//! | does a rate differ | mixture sequential probability ratio test with plug-in variance | [`mixture`] |
//! | the same with few events | exact e-processes | [`exact`], [`bounded`], [`blocks`] |
//! | does a mean (latency, tokens, cost) differ | asymptotic confidence sequence | [`asymptotic`] |
//! | where does a quantile (P95, P99) lie | quantile confidence sequence | [`quantile`] |
//! | did the arms get their shares | sequential sample-ratio test | [`ratio`] |
//! | what is the mean of a few scores in \[0, 1\] | betting | [`betting`] |
//!
//! An *e-value* is evidence against a hypothesis: while the hypothesis holds, the chance that it ever reaches
//! `1/alpha` is at most `alpha` (Ville's inequality). So `p = min(1, 1/E)` may be read after every observation, and
//! a *confidence sequence* (all values that are not rejected) covers the truth at all looks at once.
//! Logarithms are natural; `ln_e` is the logarithm of an e-value.

pub mod asymptotic;
pub mod betting;
pub mod blocks;
pub mod boundary;
pub mod bounded;
pub mod cluster;
pub mod cuped;
pub mod exact;
pub mod histogram;
pub mod mixture;
pub mod quantile;
pub mod ratio;
mod special;

#[cfg(test)]
mod property;

/// The p-value that an e-value of logarithm `ln_e` gives: `min(1, 1/E)`.
///
/// ```
/// assert_eq!(moltbot_abtest::stats::p_value(-0.3), 1.0);
/// assert!((moltbot_abtest::stats::p_value(20_f64.ln()) - 0.05).abs() < 1e-12);
/// ```
pub fn p_value(ln_e: f64) -> f64 {
    (-ln_e).exp().min(1.0)
}
