//! Whether an arm is better: one interval and one p-value for each comparison, valid at every look.

use serde::{Deserialize, Serialize};

use crate::metric::{Better, Metric, Scale};
use crate::stats::asymptotic::Asymptotic;
use crate::stats::bounded::{self, Seen};
use crate::stats::cluster::Cluster;
use crate::stats::mixture::{self, Mixture};
use crate::stats::p_value;

/// The chance of an error over the whole life of a test, shared by its comparisons.
pub const ALPHA: f64 = 0.05;

/// Of the error of a rate, what the exact method may use while events are few; the plug-in method has the rest.
/// Whichever speaks first or later, both together stay within [`ALPHA`].
const EXACT_SHARE: f64 = 0.2;

/// The expected effect on a rate where no `mde` is given: three points.
const EFFECT: f64 = 0.031_622_776_601_683_79;

/// Fewest units an arm has before rates are compared: the exact method would be right with fewer, and say nothing.
const LEAST_OF_RATES: f64 = 30.0;

/// Fewest units an arm has before the means of amounts are compared.
const LEAST_OF_AMOUNTS: f64 = 50.0;

/// What a comparison came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The arm is better than the baseline.
    Better,
    /// It is worse.
    Worse,
    /// The difference is smaller than what matters.
    Equivalent,
    /// It can't be told yet.
    Undecided,
}

/// What is known of a difference, arm minus baseline, in the metric's unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The difference that was seen; `None` where an arm has no value yet.
    pub difference: Option<f64>,
    /// The confidence sequence; `None` while there is too little data.
    pub interval: Option<(f64, f64)>,
    /// The always-valid p-value of "there is no difference", before it is shared by comparisons.
    pub p: f64,
}

impl Estimate {
    /// The verdict: `equivalent` where the interval lies inside ±`mde`, else by the side of 0 it lies on.
    pub fn verdict(&self, better: Better, mde: Option<f64>) -> Verdict {
        let Some((low, high)) = self.interval else {
            return Verdict::Undecided;
        };
        if mde.is_some_and(|mde| -mde <= low && high <= mde) {
            return Verdict::Equivalent;
        }
        match (better, low > 0.0, high < 0.0) {
            (Better::Higher, true, _) | (Better::Lower, _, true) => Verdict::Better,
            (Better::Higher, _, true) | (Better::Lower, true, _) => Verdict::Worse,
            _ => Verdict::Undecided,
        }
    }
}

/// How one metric is judged; fixed before the first unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Judge {
    scale: Scale,
    effect: f64,
    half_time: f64,
}

/// What is seen of both arms over all epochs.
struct Sight {
    difference: f64,
    variance: f64,
    /// Units of both.
    units: f64,
    method: Method,
}

enum Method {
    /// Too little data.
    None,
    Exact(Vec<(Seen, Seen)>),
    Mixture,
    Asymptotic,
}

impl Judge {
    /// A judge of `metric`, best for differences of about `mde`, and at half of `units`, those of both arms at the end.
    pub fn new(metric: &dyn Metric, mde: Option<f64>, units: f64) -> Self {
        Self {
            scale: metric.scale(),
            effect: mde.unwrap_or(EFFECT),
            half_time: (units / 2.0).max(1.0),
        }
    }

    /// Judges the difference at a level of `1 - alpha`. Each stratum is (baseline, arm) of one epoch.
    pub fn estimate(&self, strata: &[(Cluster, Cluster)], alpha: f64) -> Estimate {
        let Some(sight) = self.look(strata) else {
            return Estimate {
                difference: None,
                interval: None,
                p: 1.0,
            };
        };
        let around = |half: f64| Some((sight.difference - half, sight.difference + half));
        let interval = match &sight.method {
            Method::None => None,
            Method::Exact(seen) => Some(bounded::interval(seen, alpha * EXACT_SHARE)),
            _ if sight.variance == 0.0 => around(0.0),
            Method::Mixture => {
                let alpha = alpha * (1.0 - EXACT_SHARE);
                around(Mixture::new(self.effect).half_width(sight.variance, alpha))
            }
            Method::Asymptotic => {
                let sequence = Asymptotic::new(self.half_time, alpha);
                around(sequence.half_width(sight.variance, sight.units, alpha))
            }
        };
        Estimate {
            difference: Some(sight.difference),
            interval: interval.map(|ends| self.possible(ends)),
            p: self.p(&sight, 0.0, alpha),
        }
    }

    /// Whether the interval of level `1 - alpha` excludes `difference`; far cheaper than the interval itself.
    pub fn excludes(&self, strata: &[(Cluster, Cluster)], difference: f64, alpha: f64) -> bool {
        let sight = self.look(strata);
        sight.is_some_and(|sight| self.p(&sight, difference, alpha) < alpha)
    }

    /// Whether the difference is certainly beyond `margin` on the bad side: the interval of level `1 - alpha` excludes
    /// all that would be borne. Cheap enough for every call.
    pub fn harmed(
        &self,
        strata: &[(Cluster, Cluster)],
        better: Better,
        margin: f64,
        alpha: f64,
    ) -> bool {
        let Some(sight) = self.look(strata) else {
            return false;
        };
        let (border, beyond) = match better {
            Better::Higher => (-margin, sight.difference < -margin),
            Better::Lower => (margin, sight.difference > margin),
        };
        beyond && self.p(&sight, border, alpha) < alpha
    }

    fn p(&self, sight: &Sight, border: f64, alpha: f64) -> f64 {
        let distance = sight.difference - border;
        match &sight.method {
            Method::None => 1.0,
            Method::Exact(seen) => {
                let border = border.clamp(-1.0, 1.0);
                (p_value(bounded::ln_e(seen, border)) / EXACT_SHARE).min(1.0)
            }
            _ if sight.variance == 0.0 => f64::from(u8::from(distance == 0.0)),
            Method::Mixture => {
                let ln_e = Mixture::new(self.effect).ln_e(distance, sight.variance);
                (p_value(ln_e) / (1.0 - EXACT_SHARE)).min(1.0)
            }
            Method::Asymptotic => {
                let sequence = Asymptotic::new(self.half_time, alpha);
                p_value(sequence.ln_e(distance, sight.variance, sight.units))
            }
        }
    }

    fn look(&self, strata: &[(Cluster, Cluster)]) -> Option<Sight> {
        let weight = |(base, arm): &(Cluster, Cluster)| {
            let both = base.units() + arm.units();
            if both > 0.0 {
                base.units() * arm.units() / both
            } else {
                0.0
            }
        };
        let total: f64 = strata.iter().map(weight).sum();
        if total <= 0.0 {
            return None;
        }
        let seen: Vec<_> = strata
            .iter()
            .filter(|pair| weight(pair) > 0.0)
            .map(|(base, arm)| (base.seen(), arm.seen()))
            .collect();
        let (mut a, mut b) = (Seen::default(), Seen::default());
        for (base, arm) in &seen {
            a.count += base.count;
            a.sum += base.sum;
            b.count += arm.count;
            b.sum += arm.sum;
        }
        let units = a.count.min(b.count);
        let method = match self.scale {
            Scale::Share if mixture::enough(a.count, a.sum) && mixture::enough(b.count, b.sum) => {
                Method::Mixture
            }
            Scale::Share if units >= LEAST_OF_RATES => Method::Exact(seen),
            Scale::Amount if units >= LEAST_OF_AMOUNTS => Method::Asymptotic,
            Scale::Share | Scale::Amount => Method::None,
        };
        let (mut difference, mut variance) = (0.0, 0.0);
        for pair in strata {
            let share = weight(pair) / total;
            if share == 0.0 {
                continue;
            }
            let (base, arm) = pair;
            let (distance, spread) = match method {
                // few events: every unit weighs the same, as in the interval
                Method::Exact(_) => (
                    arm.seen().sum / arm.units() - base.seen().sum / base.units(),
                    0.0,
                ),
                _ => (arm.mean() - base.mean(), self.variance(base, arm)),
            };
            difference += share * distance;
            variance += share * share * spread;
        }
        Some(Sight {
            difference,
            variance,
            units: a.count + b.count,
            method,
        })
    }

    /// The variance of the difference. Amounts that never varied so far get one more value in either arm, half way to
    /// the other's mean: certainty has to grow with the count.
    fn variance(&self, base: &Cluster, arm: &Cluster) -> f64 {
        let plain = base.variance() + arm.variance();
        match self.scale {
            Scale::Share => plain,
            Scale::Amount => {
                let half = (arm.mean() - base.mean()) / 2.0;
                plain + (half / base.units()).powi(2) + (half / arm.units()).powi(2)
            }
        }
    }

    /// Shares do not differ by more than 1.
    fn possible(&self, (low, high): (f64, f64)) -> (f64, f64) {
        match self.scale {
            Scale::Share => (low.max(-1.0), high.min(1.0)),
            Scale::Amount => (low, high),
        }
    }
}

#[cfg(test)]
mod tests;
