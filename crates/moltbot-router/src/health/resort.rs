//! When all rest: one call at a time tries the target that is due first.

use std::sync::Arc;

use tokio::time::Instant;

use super::admission::{Admission, Reason, Refusal};
use super::target::TargetHealth;

/// All of `targets` rest. At most one call each first rest may try the one that is due first; never one
/// whose credential is of no use. Gives its place in `targets`.
///
/// # Errors
/// The others are refused: with the earliest reopening, and the reason that all of them share, else `Failing`.
pub fn last_resort<'a>(
    targets: impl Iterator<Item = &'a Arc<TargetHealth>> + Clone,
    now: Instant,
) -> Result<(usize, Admission), Refusal> {
    let _ = targets;
    Err(Refusal {
        opens: now,
        reason: Reason::Failing,
    })
}
