//! What holds for all counts.

use proptest::prelude::*;

use super::asymptotic::Asymptotic;
use super::bounded::{self, Seen};
use super::exact::{EqualRates, Multinomial, ln_e_mean};
use super::mixture::Mixture;
use super::quantile::Quantile;
use super::{p_value, ratio};

fn seen() -> impl Strategy<Value = Seen> {
    (1_u32..10_000_000, 0.0..=1.0_f64).prop_map(|(count, share)| {
        let count = f64::from(count);
        Seen {
            count,
            sum: (count * share).round(),
        }
    })
}

proptest! {
    #[test]
    fn an_interval_holds_its_estimate_and_excludes_what_is_rejected(
        difference in -1.0..1.0_f64, variance in 1e-12..1.0_f64, effect in 1e-4..0.5_f64, alpha in 1e-4..0.2_f64,
    ) {
        let test = Mixture::new(effect);
        let half = test.half_width(variance, alpha);
        prop_assert!(half.is_finite() && half > 0.0);
        let p = p_value(test.ln_e(difference, variance));
        prop_assert!((0.0..=1.0).contains(&p));
        if (difference.abs() / half - 1.0).abs() > 1e-9 {
            prop_assert_eq!(p < alpha, difference.abs() > half);
        }
        let sequence = Asymptotic::new(1.0 / effect, alpha);
        let half = sequence.half_width(variance, 1e4, alpha);
        let p = p_value(sequence.ln_e(difference, variance, 1e4));
        if (difference.abs() / half - 1.0).abs() > 1e-9 {
            prop_assert_eq!(p < alpha, difference.abs() > half);
        }
    }

    #[test]
    fn exact_differences_stay_finite_and_mirror_at_ten_million(a in seen(), b in seen(), alpha in 1e-3..0.2_f64) {
        let (low, high) = bounded::interval(&[(a, b)], alpha);
        let difference = b.sum / b.count - a.sum / a.count;
        prop_assert!((-1.0..=1.0).contains(&low) && (-1.0..=1.0).contains(&high));
        prop_assert!(low <= difference + 1e-9 && difference <= high + 1e-9, "{low} {difference} {high}");
        let (mirror_low, mirror_high) = bounded::interval(&[(b, a)], alpha);
        prop_assert!((low + mirror_high).abs() < 1e-6 && (high + mirror_low).abs() < 1e-6);
    }

    #[test]
    fn shares_that_were_met_exactly_are_never_rejected(count in 1_u32..10_000_000, weight in 1_u32..9) {
        let (one, other) = (f64::from(count) * f64::from(weight), f64::from(count));
        let ln_e = ratio::ln_e(&[one, other], &[f64::from(weight), 1.0]);
        prop_assert!(ln_e.is_finite() && ln_e <= 1e-6, "{ln_e}");
    }

    #[test]
    fn an_e_value_of_counts_is_a_fair_bet(ones in 0_u32..200, zeros in 0_u32..200, share in 0.05..0.95_f64) {
        // under the hypothesis the next event changes the e-value by a factor whose mean is 1
        let test = Multinomial::new(&[share, 1.0 - share], 20.0);
        let now = [f64::from(ones), f64::from(zeros)];
        let grown = |add: [f64; 2]| (test.ln_e(&[now[0] + add[0], now[1] + add[1]]) - test.ln_e(&now)).exp();
        let mean = share * grown([1.0, 0.0]) + (1.0 - share) * grown([0.0, 1.0]);
        prop_assert!((mean - 1.0).abs() < 1e-8, "{mean}");
        let mean_of = |k: f64| ln_e_mean(now[0] + now[1] + 1.0, now[0] + k, share, 2.0, 3.0)
            - ln_e_mean(now[0] + now[1], now[0], share, 2.0, 3.0);
        let mean = share * mean_of(1.0).exp() + (1.0 - share) * mean_of(0.0).exp();
        prop_assert!((mean - 1.0).abs() < 1e-8, "{mean}");
    }

    #[test]
    fn the_ratio_of_rates_lies_in_its_interval(a in 1_u32..2_000_000, b in 1_u32..2_000_000) {
        let events = [f64::from(a), f64::from(b)];
        let (low, high) = EqualRates::new(0.5, 100.0).ratio(events, 0.05);
        prop_assert!(low <= events[1] / events[0] * 1.5 + 1e-9 && events[1] / events[0] <= high * 1.5);
        prop_assert!(low < high);
    }

    #[test]
    fn ranks_enclose_the_quantile(count in 0_u64..10_000_000, p in 0.01..0.99_f64) {
        let (low, high) = Quantile::new(p, 5000.0, 0.05).ranks(count, 0.05);
        let rank = (p * count as f64).ceil() as u64;
        prop_assert!(low.is_none_or(|low| 1 <= low && low <= rank.max(1)));
        prop_assert!(high.is_none_or(|high| rank <= high && high <= count));
    }
}
