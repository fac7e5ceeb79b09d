use super::*;
use crate::metric::named;
use crate::stats::cluster::Unit;

fn cluster(values: impl IntoIterator<Item = f64>) -> Cluster {
    let mut cluster = Cluster::default();
    for sum in values {
        cluster.replace(Unit::default(), Unit { count: 1.0, sum });
    }
    cluster
}

fn rate(count: usize, good: usize) -> Cluster {
    cluster((0..count).map(|i| f64::from(u8::from(i < good))))
}

fn judge(metric: &str) -> Judge {
    Judge::new(&*named(metric), None, 10_000.0)
}

fn verdict(metric: &str, strata: &[(Cluster, Cluster)], mde: Option<f64>) -> Verdict {
    let estimate = judge(metric).estimate(strata, ALPHA);
    estimate.verdict(named(metric).better(), mde)
}

#[test]
fn without_data_nothing_is_said() {
    let nothing = judge("success").estimate(&[(rate(0, 0), rate(0, 0))], ALPHA);
    assert_eq!(
        (nothing.difference, nothing.interval, nothing.p),
        (None, None, 1.0)
    );
    let few = judge("latency").estimate(&[(cluster([1.0]), cluster([9.0]))], ALPHA);
    assert_eq!((few.interval, few.p), (None, 1.0));
    assert_eq!(few.difference, Some(8.0));
    let few = judge("success").estimate(&[(rate(29, 29), rate(29, 0))], ALPHA);
    assert_eq!(
        (few.difference, few.interval, few.p),
        (Some(-1.0), None, 1.0)
    );
}

#[test]
fn a_clear_difference_is_told_by_its_direction() {
    let (low, high) = (rate(2000, 1700), rate(2000, 1900));
    assert_eq!(verdict("success", &[(low, high)], None), Verdict::Better);
    assert_eq!(verdict("success", &[(high, low)], None), Verdict::Worse);
    let noise = |base: f64| cluster((0..400).map(|i| base + f64::from(i % 7)));
    assert_eq!(
        verdict("latency", &[(noise(100.0), noise(90.0))], None),
        Verdict::Better
    );
    assert_eq!(
        verdict("latency", &[(noise(90.0), noise(100.0))], None),
        Verdict::Worse
    );
}

#[test]
fn a_baseline_that_never_fails_does_not_hide_an_arm_that_does() {
    let strata = [(rate(150, 150), rate(150, 110))];
    assert_eq!(verdict("success", &strata, None), Verdict::Worse);
    assert!(judge("success").harmed(&strata, Better::Higher, 0.05, ALPHA));
    assert!(!judge("success").harmed(&strata, Better::Higher, 0.30, ALPHA));
}

#[test]
fn equal_arms_become_equivalent_only_with_an_mde() {
    let strata = [(rate(20_000, 18_000), rate(20_000, 18_010))];
    assert_eq!(verdict("success", &strata, None), Verdict::Undecided);
    assert_eq!(verdict("success", &strata, Some(0.02)), Verdict::Equivalent);
    assert_eq!(verdict("success", &strata, Some(0.001)), Verdict::Undecided);
}

#[test]
fn amounts_that_never_vary_are_compared_all_the_same() {
    let fixed = |value: f64| cluster(std::iter::repeat_n(value, 200));
    assert_eq!(
        verdict("tokens", &[(fixed(10.0), fixed(20.0))], None),
        Verdict::Worse
    );
    let equal = judge("cost").estimate(&[(fixed(0.0), fixed(0.0))], ALPHA);
    assert_eq!((equal.interval, equal.p), (Some((0.0, 0.0)), 1.0));
}

#[test]
fn the_interval_and_the_p_value_agree() {
    for good in (0..=2000).step_by(50) {
        let strata = [(rate(2000, 1000), rate(2000, good))];
        let estimate = judge("success").estimate(&strata, ALPHA);
        let (low, high) = estimate.interval.unwrap();
        assert_eq!(
            estimate.p < ALPHA,
            low > 0.0 || high < 0.0,
            "{good}: {estimate:?}"
        );
        let difference = estimate.difference.unwrap();
        assert!(
            low <= difference && difference <= high,
            "{good}: {estimate:?}"
        );
    }
}

#[test]
fn fm_98_a_change_of_weights_makes_no_difference_out_of_a_drift() {
    // both arms are alike in each epoch; the share of the arm grew while everything got worse
    let strata = [
        (rate(9000, 8550), rate(1000, 950)),
        (rate(1000, 700), rate(9000, 6300)),
    ];
    let estimate = judge("success").estimate(&strata, ALPHA);
    assert!(estimate.difference.unwrap().abs() < 1e-12);
    assert_eq!(estimate.verdict(Better::Higher, None), Verdict::Undecided);
    let pooled = [(rate(10_000, 9250), rate(10_000, 7250))];
    assert_eq!(
        verdict("success", &pooled, None),
        Verdict::Worse,
        "pooled raw it would be"
    );
}
