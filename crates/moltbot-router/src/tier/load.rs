//! How load spills from a tier to the next as its targets fail.

use smallvec::SmallVec;

/// A tier of two takes all load with one target left.
const SPARE_OF_TWO: f64 = 2.0;
/// A larger one takes all load with 72 % of its targets left.
const SPARE: f64 = 1.4;
/// With fewer healthy targets than this a tier cannot be relied on.
const PANIC: f64 = 0.5;

/// What a tier gets.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Load {
    /// Its share of the load, from 0 to 1.
    pub share: f64,
    /// All tiers together are too weak, and this one has fewer than half of its targets.
    ///
    /// A matter for people: a target that was ejected gets no load for it, because its calls would
    /// fail, move on, and come on top of the load of those that are left.
    pub panic: bool,
}

/// Shares load among tiers in their order, each given by its healthy targets and all its targets.
///
/// A tier keeps all load while its healthy targets, with what they have to spare, could carry it; the
/// next gets what is left. Shares add up to 1, or are all 0 where no target is healthy.
///
/// ```
/// use moltbot_router::tier::loads;
/// let all_well = loads([(4.0, 4), (4.0, 4)]);
/// assert_eq!((all_well[0].share, all_well[1].share), (1.0, 0.0));
/// let one_left = loads([(1.0, 4), (4.0, 4)]);
/// assert_eq!((one_left[0].share, one_left[1].share), (0.35, 0.65));
/// ```
pub fn loads(tiers: impl IntoIterator<Item = (f64, usize)>) -> SmallVec<[Load; 4]> {
    let healthy: SmallVec<[(f64, f64); 4]> = tiers
        .into_iter()
        .map(|(healthy, all)| {
            let spare = if all == 2 { SPARE_OF_TWO } else { SPARE };
            let healthy = healthy / all.max(1) as f64;
            (healthy, (spare * healthy).min(1.0))
        })
        .collect();
    let sum: f64 = healthy.iter().map(|(_, strength)| strength).sum();
    let total = sum.min(1.0);
    let mut left = if total > 0.0 { 1.0 } else { 0.0 };
    healthy
        .into_iter()
        .map(|(healthy, strength)| {
            let share = if left > 0.0 {
                (strength / total).min(left)
            } else {
                0.0
            };
            left -= share;
            Load {
                share,
                panic: total < 1.0 && healthy > 0.0 && healthy < PANIC,
            }
        })
        .collect()
}
