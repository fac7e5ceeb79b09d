//! What a failed attempt says of its target: the one place that reads it from the error.

use std::time::Duration;

use moltbot_types::{CallError, Kind, Retry};

/// The rest after a limit that told neither hint nor rest.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// What counts against a target or its credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The target failed: counts in a row and for the ratio.
    Failed,
    /// It failed and asked for a rest: counts for the ratio alone.
    Overloaded(Duration),
    /// It refused for its limits: it rests, and nothing is counted.
    Limited {
        /// How long.
        rest: Duration,
        /// Whether the upstream said so; if not, the rest doubles each time in a row.
        hinted: bool,
    },
    /// The credential was refused.
    Auth,
    /// The credential's account has no money left, for so long where that was stated.
    Money(Option<Duration>),
}

impl Fault {
    /// What `error` says of the target that answered so.
    ///
    /// `None` where the target is not to blame: the caller's faults, refusals of our own, calls that
    /// were given up.
    ///
    /// ```
    /// use moltbot_router::health::Fault;
    /// use moltbot_types::{CallError, Kind};
    ///
    /// let slow = CallError::new(Kind::Timeout, "no first token within 30 s");
    /// assert_eq!(Fault::of(&slow), Some(Fault::Failed));
    /// let wrong = CallError::new(Kind::Upstream, "temperature must be at most 2");
    /// assert_eq!(Fault::of(&wrong), None);
    /// ```
    pub fn of(error: &CallError) -> Option<Self> {
        let rest = match error.decision() {
            Retry::After(rest) => Some(rest),
            _ => None,
        };
        match error.kind() {
            Kind::RateLimited if error.decision() == Retry::Never && error.fault().is_none() => {
                None
            }
            Kind::RateLimited => Some(Self::Limited {
                rest: error.wait().or(rest).unwrap_or(FIRST_PAUSE),
                hinted: error.wait().is_some(),
            }),
            Kind::UpstreamAuth => Some(Self::Auth),
            Kind::UpstreamMoney => Some(Self::Money(error.wait())),
            kind if Self::cuts(kind) => Some(rest.map_or(Self::Failed, Self::Overloaded)),
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
