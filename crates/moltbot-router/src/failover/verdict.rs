//! What the caller hears when nobody answered: the failure that all had in common, else that there was no way.

use std::time::Duration;

use moltbot_types::{CallError, Kind, ModelName};

use crate::health::Reason;

/// A caller is never told to come again sooner.
const SOONEST: Duration = Duration::from_secs(1);

/// The kinds of failure that were met.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Blame {
    /// None yet.
    #[default]
    Nobody,
    /// All of one kind.
    All(Common),
    /// Several kinds.
    Mixed,
}

/// A kind of failure that the caller should know when it is the only one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Common {
    Limited,
    Slow,
    Busy,
    Auth,
    Missing,
    Down,
}

impl Blame {
    pub(super) fn add(&mut self, kind: Kind) {
        self.meet(match kind {
            Kind::RateLimited => Common::Limited,
            Kind::Timeout => Common::Slow,
            Kind::Overloaded => Common::Busy,
            Kind::UpstreamAuth | Kind::UpstreamMoney => Common::Auth,
            Kind::ModelNotFound => Common::Missing,
            _ => Common::Down,
        });
    }

    pub(super) fn add_rest(&mut self, reason: Reason) {
        self.meet(match reason {
            Reason::Limited => Common::Limited,
            Reason::Failing | Reason::Held => Common::Down,
            Reason::Auth | Reason::Money => Common::Auth,
        });
    }

    fn meet(&mut self, common: Common) {
        *self = match *self {
            Self::Nobody => Self::All(common),
            Self::All(known) if known == common => Self::All(common),
            _ => Self::Mixed,
        };
    }
}

/// All that is known at the end of a plan.
pub(super) struct Verdict<'a> {
    pub(super) model: &'a ModelName,
    pub(super) attempts: u32,
    pub(super) blame: Blame,
    /// When the first target takes calls again.
    pub(super) opens_in: Option<Duration>,
    pub(super) last: Option<CallError>,
}

impl Verdict<'_> {
    /// The error for the caller; the last failure is its cause.
    pub(super) fn error(self) -> CallError {
        let model = self.model;
        let wait = self.opens_in.unwrap_or(SOONEST).max(SOONEST);
        let seconds = wait.as_millis().div_ceil(1000);
        let again = format!("try again in {seconds} s");
        let tried = match self.attempts {
            0 => "without an attempt, because all of its targets rest".to_owned(),
            1 => "after 1 attempt".to_owned(),
            n => format!("after {n} attempts"),
        };
        let (kind, words) = match self.blame {
            Blame::All(Common::Limited) => (
                Kind::RateLimited,
                format!("model `{model}` is rate limited upstream ({tried}); {again}"),
            ),
            Blame::All(Common::Slow) => (
                Kind::Timeout,
                format!("model `{model}` was too slow ({tried}); {again}"),
            ),
            Blame::All(Common::Busy) => (
                Kind::Overloaded,
                format!("model `{model}` has as many calls as it may have at once; {again}"),
            ),
            Blame::All(Common::Auth) => (
                Kind::UpstreamAuth,
                format!(
                    "the upstream of model `{model}` does not accept the gateway's credential \
                     ({tried}); its operator can see why with `moltctl status`"
                ),
            ),
            Blame::All(Common::Missing) => (
                Kind::ModelNotFound,
                format!(
                    "no upstream of model `{model}` knows it ({tried}); its operator can see the \
                     name that is asked for with `moltctl model show {model}`"
                ),
            ),
            Blame::All(Common::Down) | Blame::Mixed | Blame::Nobody => (
                Kind::Unavailable,
                format!("no target of model `{model}` answered ({tried}); {again}"),
            ),
        };
        let error = CallError::new(kind, words);
        let error = match kind {
            Kind::UpstreamAuth | Kind::ModelNotFound => error,
            Kind::Unavailable => error.code("all_targets_unavailable").retry_after(wait),
            _ => error.retry_after(wait),
        };
        match self.last {
            Some(last) => error.because(last),
            None => error,
        }
    }
}
