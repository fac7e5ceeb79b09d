//! The statistics agree with SciPy's on random inputs; `python/compare.py` makes the figures.

use moltbot_abtest::stats::asymptotic::Asymptotic;
use moltbot_abtest::stats::boundary::{BetaBinomial, GammaExponential, Normal, Sides, SumMixture};
use moltbot_abtest::stats::bounded::{self, Seen};
use moltbot_abtest::stats::exact::Multinomial;
use moltbot_abtest::stats::mixture::Mixture;
use moltbot_abtest::stats::quantile::Quantile;
use moltbot_abtest::stats::ratio::chi_square;

fn ours(name: &str, x: &[f64]) -> f64 {
    let seen = |at: usize| Seen {
        count: x[at],
        sum: x[at + 1],
    };
    match name {
        "multinomial" => Multinomial::new(&x[3..6], x[6]).ln_e(&x[..3]),
        "chi_square" => chi_square(&x[..3], &x[3..6]).1,
        "bounded" => bounded::ln_e(&[(seen(0), seen(2))], x[4]),
        "normal_one" => Normal::new(100.0, 0.05, Sides::One).ln_e(x[0], x[1]),
        "beta_two" => BetaBinomial::new(100.0, 0.05, x[2], x[3], Sides::Two).ln_e(x[0], x[1]),
        "beta_one" => BetaBinomial::new(100.0, 0.05, x[2], x[3], Sides::One).ln_e(x[0], x[1]),
        "gamma" => GammaExponential::new(100.0, 0.05, x[2]).ln_e(x[0], x[1]),
        "mixture" => Mixture::new(x[2]).ln_e(x[0], x[1]),
        "asymptotic" => Asymptotic::new(1000.0, 0.05).ln_e(x[0], x[1], x[2]),
        "quantile_low" => {
            let (low, _) = Quantile::new(x[1], 5000.0, 0.05).ranks(x[0] as u64, 0.05);
            low.map_or(f64::NAN, |rank| rank as f64)
        }
        _ => panic!("no statistic is called {name}"),
    }
}

#[test]
fn the_figures_are_those_of_scipy() {
    let mut lines = 0;
    for line in include_str!("scipy.csv").lines() {
        let mut parts = line.split(',');
        let name = parts.next().expect("a name");
        let numbers: Vec<f64> = parts.map(|text| text.parse().expect("a number")).collect();
        let (theirs, inputs) = numbers.split_last().expect("a value");
        let ours = ours(name, inputs);
        let off = (ours - theirs).abs() / theirs.abs().max(1.0);
        assert!(off < 1e-6, "{name}{inputs:?}: {ours} is not {theirs}");
        lines += 1;
    }
    assert_eq!(lines, 400);
}
