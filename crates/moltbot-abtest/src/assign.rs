//! Which arm a unit gets: always the same one, by a salted hash, without asking anyone.

use std::fmt;

use aws_lc_rs::digest::{Context, SHA256};
use moltbot_types::{RequestId, Workspace};

/// A unit of one test: a user or a request, known by its hash alone, so that no store keeps users' names.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UnitId(u128);

impl UnitId {
    /// The unit that a store wrote down with [`UnitId::to_bits`].
    pub fn from_bits(bits: u128) -> Self {
        Self(bits)
    }

    /// Its 128 bits, for a store.
    pub fn to_bits(self) -> u128 {
        self.0
    }

    /// Where the unit stands between 0 and 1; evenly spread over units.
    pub fn point(self) -> f64 {
        // the 53 bits that a float holds exactly
        (self.0 >> 75) as f64 / (1_u64 << 53) as f64
    }
}

impl fmt::Debug for UnitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// What makes one test's assignment independent of another's: its workspace and name, hashed once.
#[derive(Clone)]
pub struct Salt(Context);

impl Salt {
    /// The salt of a test.
    ///
    /// ```
    /// use moltbot_abtest::assign::{Salt, Split};
    /// let salt = Salt::new(&"default".into(), "model-comparison");
    /// let split = Split::new(&[1.0, 1.0]);
    /// assert_eq!(split.arm(salt.user("ann")), split.arm(salt.user("ann")));
    /// ```
    pub fn new(workspace: &Workspace, test: &str) -> Self {
        let mut context = Context::new(&SHA256);
        for part in [workspace.as_str(), test] {
            // with its length before it no part can run into the next
            context.update(&(part.len() as u64).to_le_bytes());
            context.update(part.as_bytes());
        }
        Self(context)
    }

    /// The unit of a user of the workspace.
    pub fn user(&self, name: &str) -> UnitId {
        self.hash(b'u', name.as_bytes())
    }

    /// The unit of a single request.
    pub fn request(&self, id: RequestId) -> UnitId {
        self.hash(b'r', id.encode(&mut [0; 36]).as_bytes())
    }

    fn hash(&self, kind: u8, name: &[u8]) -> UnitId {
        let mut context = self.0.clone();
        context.update(&[kind]);
        context.update(name);
        let digest = context.finish();
        let bytes = digest.as_ref().iter().take(16);
        UnitId(bytes.fold(0, |bits, byte| bits << 8 | u128::from(*byte)))
    }
}

impl fmt::Debug for Salt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Salt")
    }
}

/// Shares of the arms between 0 and 1, in order.
#[derive(Clone, Debug, PartialEq)]
pub struct Split {
    weights: Vec<f64>,
    ends: Vec<f64>,
}

impl Split {
    /// A split by `weights`, of any scale.
    pub fn new(weights: &[f64]) -> Self {
        let total: f64 = weights.iter().sum();
        let ends = weights.iter().scan(0.0, |end, weight| {
            *end += weight / total;
            Some(*end)
        });
        Self {
            weights: weights.to_vec(),
            ends: ends.collect(),
        }
    }

    /// The arm of a unit, by its place between 0 and 1.
    pub fn arm(&self, unit: UnitId) -> usize {
        let point = unit.point();
        let arm = self.ends.iter().position(|end| point < *end);
        // rounding may leave the last end a hair below 1
        arm.unwrap_or(self.ends.len().saturating_sub(1))
    }

    /// The weights as they were given.
    pub fn weights(&self) -> &[f64] {
        &self.weights
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::ratio;

    #[test]
    fn units_fall_by_their_weights() {
        let salt = Salt::new(&Workspace::default(), "t");
        let split = Split::new(&[3.0, 1.0, 1.0]);
        let mut counts = [0.0; 3];
        for user in 0..50_000 {
            counts[split.arm(salt.user(&user.to_string()))] += 1.0;
        }
        let (_, p) = ratio::chi_square(&counts, &[3.0, 1.0, 1.0]);
        assert!(p > 1e-3, "{counts:?}");
    }

    #[test]
    fn tests_are_independent_of_each_other() {
        let split = Split::new(&[1.0, 1.0]);
        let salts = ["one", "two"].map(|name| Salt::new(&Workspace::default(), name));
        let same = (0..10_000).filter(|user| {
            let name = user.to_string();
            split.arm(salts[0].user(&name)) == split.arm(salts[1].user(&name))
        });
        let same = same.count();
        assert!((4_750..5_250).contains(&same), "{same}");
    }

    #[test]
    fn neither_names_nor_kinds_run_into_each_other() {
        let unit = |workspace: &str, test: &str| Salt::new(&workspace.into(), test).user("x");
        assert_ne!(unit("a", "bc"), unit("ab", "c"));
        let salt = Salt::new(&Workspace::default(), "t");
        let id = RequestId::new();
        assert_ne!(salt.request(id), salt.user(&id.to_string()));
    }

    #[test]
    fn the_assignment_of_a_unit_never_changes_between_versions() {
        let unit = Salt::new(&Workspace::default(), "model-comparison").user("ann");
        let again = UnitId::from_bits(unit.to_bits());
        assert_eq!(again, unit);
        // SHA-256 of the length-prefixed workspace and name, `u`, and the user, cut to 128 bits
        assert_eq!(format!("{unit:?}"), "d21ccfd23ef0b12214d9b83ff5a88b09");
    }
}
