//! What happened to a call, for the log, the metrics and the answer's headers.

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use crate::caller::Caller;
use crate::error::Kind;
use crate::id::{ModelName, RequestId, TargetId};
use crate::usage::Usage;

/// How one attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// A good answer began.
    Ok,
    /// It failed.
    Error,
    /// The upstream refused for its limits.
    RateLimited,
    /// It took too long.
    Timeout,
    /// It broke off after content.
    Cut,
    /// The caller left.
    Cancelled,
}

impl Outcome {
    /// Its word in metrics and log lines.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Error => "error",
            Self::RateLimited => "rate_limited",
            Self::Timeout => "timeout",
            Self::Cut => "cut",
            Self::Cancelled => "cancelled",
        }
    }

    /// The outcome of an attempt that failed so.
    pub fn of(kind: Kind) -> Self {
        match kind {
            Kind::RateLimited => Self::RateLimited,
            Kind::Timeout => Self::Timeout,
            Kind::Cut => Self::Cut,
            Kind::Cancelled => Self::Cancelled,
            _ => Self::Error,
        }
    }
}

/// How far an attempt went from the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Level {
    /// Another target of the same role and region.
    Instance,
    /// From primary to standby.
    Node,
    /// Another region.
    Region,
    /// Another model: `fallback`.
    Model,
}

impl Level {
    /// Its word in metrics.
    pub fn word(self) -> &'static str {
        match self {
            Self::Instance => "instance",
            Self::Node => "node",
            Self::Region => "region",
            Self::Model => "model",
        }
    }
}

/// One try at one target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The model that was asked.
    pub model: ModelName,
    /// The target that was asked.
    pub target: TargetId,
    /// How it ended.
    pub outcome: Outcome,
    /// The failure's word, where it failed: `timeout`, `upstream_auth`.
    pub reason: Option<&'static str>,
    /// The move that led here; `None` for the first attempt and for a repeat on the same target.
    pub level: Option<Level>,
    /// How long it took to its commit point or failure.
    pub took: Duration,
}

/// What remembered answers had to do with a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum CacheResult {
    /// One was given, or the call shared another's.
    Hit,
    /// One of an alike question was given.
    Semantic,
    /// There was none.
    Miss,
    /// None was looked for.
    #[default]
    Bypass,
}

impl CacheResult {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Hit, Self::Semantic, Self::Miss, Self::Bypass];

    /// Whether a remembered answer was given: no model was asked for this call.
    pub fn is_hit(self) -> bool {
        matches!(self, Self::Hit | Self::Semantic)
    }

    /// Its word in headers, metrics and log lines.
    pub fn word(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Semantic => "semantic",
            Self::Miss => "miss",
            Self::Bypass => "bypass",
        }
    }
}

/// Who answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served {
    /// The model.
    pub model: ModelName,
    /// The target.
    pub target: TargetId,
}

/// What was tried for a call, written by the steps that try.
///
/// It is shared, because a caller that leaves drops the call while whoever records it still asks.
#[derive(Default)]
pub struct Trail {
    tried: Mutex<Tried>,
    experiment: OnceLock<Arc<str>>,
    skill: OnceLock<Arc<str>>,
}

/// The content of a [`Trail`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tried {
    /// Attempts in order.
    pub attempts: Vec<Attempt>,
    /// Who was asked last: answered, or failed last.
    pub served: Option<Served>,
    /// What remembered answers had to do with it. A hit cost no tokens now, whatever its usage tells.
    pub cache: CacheResult,
    /// Filters that found something, each once.
    pub filters: Vec<&'static str>,
    /// How long the call waited between attempts, for a pause to end or before a repeat.
    pub waited: Duration,
}

impl Trail {
    /// Writes an attempt down.
    pub fn attempt(&self, attempt: Attempt) {
        let mut tried = self.tried.lock().unwrap_or_else(PoisonError::into_inner);
        tried.served = Some(Served {
            model: attempt.model.clone(),
            target: attempt.target.clone(),
        });
        tried.attempts.push(attempt);
    }

    /// No remembered answer was given.
    pub fn cached(&self, result: CacheResult) {
        let mut tried = self.tried.lock().unwrap_or_else(PoisonError::into_inner);
        tried.cache = result;
    }

    /// A remembered answer is given, or one that another call fetches now.
    pub fn recalled(&self, served: Option<Served>) {
        let mut tried = self.tried.lock().unwrap_or_else(PoisonError::into_inner);
        tried.cache = CacheResult::Hit;
        tried.served = served;
    }

    /// A filter found something in the call or its answer.
    pub fn filtered(&self, filter: &'static str) {
        let mut tried = self.tried.lock().unwrap_or_else(PoisonError::into_inner);
        if !tried.filters.contains(&filter) {
            tried.filters.push(filter);
        }
    }

    /// The call waited so long before it could go on.
    pub fn waited(&self, wait: Duration) {
        let mut tried = self.tried.lock().unwrap_or_else(PoisonError::into_inner);
        tried.waited += wait;
    }

    /// The last attempt turned out otherwise: its stream was cut.
    pub fn amend(&self, outcome: Outcome, reason: &'static str) {
        let mut tried = self.tried.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(last) = tried.attempts.last_mut() {
            last.outcome = outcome;
            last.reason = Some(reason);
        }
    }

    /// The call takes part in a comparison of models; a call joins at most one.
    pub fn join(&self, experiment: Arc<str>) {
        // a second one would be a step that stands twice on the path: the first chose the model
        let _ = self.experiment.set(experiment);
    }

    /// The comparison that the call takes part in.
    pub fn experiment(&self) -> Option<&str> {
        self.experiment.get().map(|name| &**name)
    }

    /// A skill answers in the model's place.
    pub fn answered_by(&self, skill: Arc<str>) {
        // the first one that answers ends the call's way
        let _ = self.skill.set(skill);
    }

    /// The skill that answered.
    pub fn skill(&self) -> Option<&str> {
        self.skill.get().map(|name| &**name)
    }

    /// Looks at what was tried.
    pub fn with<T>(&self, look: impl FnOnce(&Tried) -> T) -> T {
        look(&self.tried.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for Trail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.with(|tried| tried.fmt(f))
    }
}

/// One call from its first byte to its last, as one log line and its metrics tell it.
#[derive(Clone, Debug)]
pub struct CallRecord<'a> {
    /// Names the request.
    pub id: RequestId,
    /// Who asked; `None` where the caller was refused before it was known.
    pub caller: Option<&'a Caller>,
    /// The model that was asked for, as written; bounded for metrics by whoever counts.
    pub model: Option<&'a ModelName>,
    /// Whether `model` is a configured name, so that it may become a label.
    pub known: bool,
    /// The comparison of models that it took part in.
    pub experiment: Option<&'a str>,
    /// What was tried.
    pub tried: &'a Tried,
    /// The skill that answered in the model's place.
    pub skill: Option<&'a str>,
    /// The status that the caller saw.
    pub status: u16,
    /// From arrival to the last byte.
    pub latency: Duration,
    /// From arrival to the first content, for streams.
    pub first_token: Option<Duration>,
    /// Of `latency`, what was not spent waiting for upstreams or the caller.
    pub overhead: Option<Duration>,
    /// Tokens, as far as they are known.
    pub usage: Option<Usage>,
    /// What they cost at the price of that time, in billionths of a US dollar.
    pub cost_nano: u64,
    /// The failure that the caller saw: its word and the words for the log.
    pub error: Option<(&'static str, String)>,
}
