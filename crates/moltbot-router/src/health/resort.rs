//! When all targets of a model rest: one call at a time tries the one that is due first.

use std::sync::Arc;

use tokio::time::Instant;

use super::admission::{Admission, Reason, Refusal};
use super::target::{Standing, TargetHealth};

/// Asks for the right to try one of `targets`, all of which rest, before its rest is over: the one that
/// is due first, one call at a time, and at most one in each first rest. A target that is held back or whose
/// credential is of no use is never tried. Gives the target's place in `targets`, too.
///
/// # Errors
/// Every other call is refused at once, with the earliest reopening, and the reason that all of them
/// share, else [`Reason::Failing`].
pub fn last_resort<'a>(
    targets: impl IntoIterator<Item = &'a Arc<TargetHealth>>,
    now: Instant,
) -> Result<(usize, Admission), Refusal> {
    let mut refusal: Option<Refusal> = None;
    let mut first: Option<(Instant, usize, &Arc<TargetHealth>)> = None;
    let mut last_tried: Option<Instant> = None;
    for (place, target) in targets.into_iter().enumerate() {
        let Standing::Resting(its) = target.standing(now) else {
            // It came back while the others were asked.
            match target.admit() {
                Ok(admission) => return Ok((place, admission)),
                Err(_) => continue,
            }
        };
        refusal = Some(refusal.map_or(its, |all| Refusal {
            opens: all.opens.min(its.opens),
            reason: if all.reason == its.reason {
                all.reason
            } else {
                Reason::Failing
            },
        }));
        if matches!(its.reason, Reason::Auth | Reason::Money | Reason::Held) {
            continue;
        }
        last_tried = last_tried.max(target.tried());
        if first.is_none_or(|(opens, ..)| its.opens < opens) {
            first = Some((its.opens, place, target));
        }
    }
    let refusal = refusal.unwrap_or(Refusal {
        opens: now,
        reason: Reason::Failing,
    });
    let (_, place, target) = first.ok_or(refusal)?;
    if last_tried.is_some_and(|tried| now < tried + target.first_rest()) {
        return Err(refusal);
    }
    let admission = target.admit_early(now).ok_or(refusal)?;
    Ok((place, admission))
}
