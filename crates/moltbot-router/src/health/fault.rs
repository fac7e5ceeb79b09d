//! What a failed attempt says of its target: one place reads it from the error.

use std::time::Duration;

use moltbot_types::{CallError, Kind, Retry};

/// What counts against a target or its credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The target failed: counts in a row and for the ratio.
    Failed,
    /// It asked for a pause while failing: rests, and counts for the ratio alone.
    Overloaded(Duration),
    /// It refused for its limits: rests until the hint, or longer each time where none came; never counts.
    Limited(Option<Duration>),
    /// The credential was refused.
    Auth,
    /// The credential's account has no money left, for so long where that was stated.
    Money(Option<Duration>),
}

impl Fault {
    /// What `error` says of the target that answered so; `None` where the target is not to blame:
    /// the caller's faults, refusals of our own, calls that were given up.
    pub fn of(error: &CallError) -> Option<Self> {
        let hint = match error.decision() {
            Retry::After(wait) => Some(wait),
            _ => None,
        };
        match error.kind() {
            Kind::RateLimited if error.decision() == Retry::Never => None,
            Kind::RateLimited => Some(Self::Limited(hint)),
            Kind::UpstreamAuth => Some(Self::Auth),
            Kind::UpstreamMoney => Some(Self::Money(hint)),
            Kind::Unavailable | Kind::Timeout | Kind::BadReply | Kind::Cut => {
                Some(hint.map_or(Self::Failed, Self::Overloaded))
            }
            _ => None,
        }
    }

    /// Whether a reply that broke off after content, for a failure of `kind`, broke off on the target's side.
    pub(super) fn cuts(kind: Kind) -> bool {
        matches!(
            kind,
            Kind::Unavailable | Kind::Timeout | Kind::BadReply | Kind::Cut
        )
    }
}
