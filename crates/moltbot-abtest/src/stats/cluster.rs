//! Means over calls whose units (users) may make several: the ratio estimate and its variance by the delta method.
//!
//! Deng, Knoblich, Lu, "Applying the delta method in metric analytics" (2018). Calls of one user are alike, so units
//! are counted as independent, never calls. With one call a unit it is the plain mean and its plug-in variance.

use super::bounded::Seen;

/// What one unit showed so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Unit {
    /// How many values.
    pub count: f64,
    /// Their sum.
    pub sum: f64,
}

/// The sums over units of one arm; any unit may change later.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cluster {
    /// Taken from every value, so that squares of large values with little spread keep their digits.
    shift: Option<f64>,
    units: f64,
    count: f64,
    sum: f64,
    count2: f64,
    sum2: f64,
    cross: f64,
    means: f64,
}

impl Cluster {
    /// A unit that showed `old` (nothing, at first) shows `new` now.
    pub fn replace(&mut self, old: Unit, new: Unit) {
        if new.count > 0.0 && self.shift.is_none() {
            self.shift = Some(new.sum / new.count);
        }
        self.add(old, -1.0);
        self.add(new, 1.0);
    }

    fn add(&mut self, unit: Unit, sign: f64) {
        if unit.count == 0.0 {
            return;
        }
        let count = unit.count;
        let sum = unit.sum - self.shift.unwrap_or_default() * count;
        self.units += sign;
        self.count += sign * count;
        self.sum += sign * sum;
        self.count2 += sign * count * count;
        self.sum2 += sign * sum * sum;
        self.cross += sign * count * sum;
        self.means += sign * unit.sum / count;
    }

    /// Units with at least one value.
    pub fn units(&self) -> f64 {
        self.units
    }

    /// Values.
    pub fn count(&self) -> f64 {
        self.count
    }

    /// The mean over all values; 0 where there is none.
    pub fn mean(&self) -> f64 {
        match self.count > 0.0 {
            true => self.shift.unwrap_or_default() + self.sum / self.count,
            false => 0.0,
        }
    }

    /// The variance of [`Cluster::mean`].
    pub fn variance(&self) -> f64 {
        if self.count == 0.0 {
            return 0.0;
        }
        let mean = self.sum / self.count;
        let residuals = self.sum2 - 2.0 * mean * self.cross + mean * mean * self.count2;
        residuals.max(0.0) / (self.count * self.count)
    }

    /// One value a unit, its mean: what the exact method for values in \[0, 1\] takes.
    pub fn seen(&self) -> Seen {
        Seen {
            count: self.units,
            sum: self.means.clamp(0.0, self.units),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(values: &[f64]) -> Unit {
        Unit {
            count: values.len() as f64,
            sum: values.iter().sum(),
        }
    }

    fn cluster(units: &[&[f64]]) -> Cluster {
        let mut cluster = Cluster::default();
        for values in units {
            cluster.replace(Unit::default(), unit(values));
        }
        cluster
    }

    #[test]
    fn with_one_call_a_unit_it_is_the_plug_in_variance() {
        let rate = cluster(&[&[1.0], &[0.0], &[1.0], &[1.0]]);
        assert!((rate.mean() - 0.75).abs() < 1e-12);
        assert!((rate.variance() - 0.75 * 0.25 / 4.0).abs() < 1e-12);
    }

    #[test]
    fn many_calls_of_one_user_do_not_look_like_many_users() {
        let users = cluster(&[&[1.0; 100], &[0.0; 100], &[1.0; 100], &[0.0; 100]]);
        assert!((users.variance() - 0.25 / 4.0).abs() < 1e-12);
    }

    #[test]
    fn a_unit_that_changes_leaves_no_trace_of_before() {
        let mut changed = cluster(&[&[3.0], &[5.0, 7.0]]);
        changed.replace(unit(&[3.0]), unit(&[3.0, 4.0]));
        let fresh = cluster(&[&[3.0, 4.0], &[5.0, 7.0]]);
        assert!((changed.mean() - fresh.mean()).abs() < 1e-12);
        assert!((changed.variance() - fresh.variance()).abs() < 1e-12);
        assert_eq!(changed.seen(), fresh.seen());
    }

    #[test]
    fn large_values_with_little_spread_keep_their_digits() {
        let far = cluster(&[&[1e9], &[1e9 + 1.0], &[1e9 + 2.0]]);
        assert!((far.variance() - 2.0 / 9.0).abs() < 1e-9);
    }
}
