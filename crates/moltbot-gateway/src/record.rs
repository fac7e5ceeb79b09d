//! The record of one call: begun at the door before authentication, settled at the last byte.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use moltbot_store::ledger::LedgerRow;
use moltbot_types::{
    CallError, CallRecord, Caller, Ending, Hold, Kind, ModelName, Outcome, RequestId, Trail, Tried,
    Usage,
};
use tokio::time::Instant;

use crate::price::Prices;
use crate::runtime::Runtime;

/// What is known of a call so far. It is settled exactly once: at the reply's end, or when it is
/// dropped, which means that the caller left.
pub(crate) struct Recording(Box<Facts>);

struct Facts {
    rt: Arc<Runtime>,
    id: RequestId,
    begun: Instant,
    caller: Option<Caller>,
    model: Option<ModelName>,
    known: bool,
    /// Of the configuration that the call met.
    prices: Prices,
    stream: bool,
    generates: bool,
    prompt_bytes: usize,
    trail: Arc<Trail>,
    status: Option<u16>,
    first_token: Option<Duration>,
    overhead: Option<Duration>,
    error: Option<(&'static str, String)>,
    settled: bool,
}

/// The status in the log of a call whose caller left before an answer.
const LEFT: u16 = 499;

impl Recording {
    pub(crate) fn begin(
        rt: &Arc<Runtime>,
        id: RequestId,
        begun: Instant,
        trail: Arc<Trail>,
    ) -> Self {
        rt.calls.begin();
        Self(Box::new(Facts {
            rt: Arc::clone(rt),
            id,
            begun,
            caller: None,
            model: None,
            known: false,
            prices: Prices::default(),
            stream: false,
            generates: false,
            prompt_bytes: 0,
            trail,
            status: None,
            first_token: None,
            overhead: None,
            error: None,
            settled: false,
        }))
    }

    pub(crate) fn id(&self) -> RequestId {
        self.0.id
    }

    /// Authentication found the caller.
    pub(crate) fn caller(&mut self, caller: &Caller) {
        self.0.caller = Some(caller.clone());
    }

    /// The body named a model; `known`: one that the caller can see.
    pub(crate) fn model(&mut self, call: &moltbot_types::Head, known: bool, prices: &Prices) {
        self.0.prices = prices.clone();
        self.0.model = Some(call.model.clone());
        self.0.known = known;
        self.0.stream = call.stream;
        self.0.generates = call.operation.generates();
        self.0.prompt_bytes = call.size;
    }

    /// Bytes of the request's body.
    pub(crate) fn prompt_bytes(&self) -> usize {
        self.0.prompt_bytes
    }

    /// Tokens of a whole answer of that size which tells none.
    pub(crate) fn estimate(&self, bytes: usize) -> Usage {
        let output = if self.0.generates { bytes } else { 0 };
        Usage::estimate(self.0.prompt_bytes, output)
    }

    /// The comparison that the call takes part in.
    pub(crate) fn experiment(&self) -> Option<&str> {
        self.0.trail.experiment()
    }

    /// Looks at what was tried.
    pub(crate) fn tried(&self, look: impl FnOnce(&Tried)) {
        self.0.trail.with(look);
    }

    /// An answer of that status begins. Gives the time that was ours: all but the attempts and the waits
    /// between them.
    pub(crate) fn answered(&mut self, status: u16) -> Duration {
        let facts = &mut *self.0;
        let so_far = facts.begun.elapsed();
        let elsewhere = facts.trail.with(|tried| {
            let attempts = tried.attempts.iter().map(|attempt| attempt.took);
            attempts.sum::<Duration>() + tried.waited
        });
        let overhead = so_far.saturating_sub(elsewhere);
        facts.status = Some(status);
        facts.overhead = Some(overhead);
        if facts.stream && status < 300 {
            facts.first_token = Some(so_far);
        }
        overhead
    }

    /// The caller is told an error. Gives the time that was ours.
    pub(crate) fn failed(&mut self, error: &CallError) -> Duration {
        self.0.error = Some((error.word(), error.chain()));
        self.answered(error.status().as_u16())
    }

    fn settle(&mut self, usage: Option<Usage>) {
        let facts = &mut *self.0;
        if std::mem::replace(&mut facts.settled, true) {
            return;
        }
        let error = facts.error.take();
        facts.trail.with(|tried| {
            let call = CallRecord {
                id: facts.id,
                caller: facts.caller.as_ref(),
                model: facts.model.as_ref(),
                known: facts.known,
                experiment: facts.trail.experiment(),
                tried,
                skill: facts.trail.skill(),
                status: facts.status.unwrap_or(LEFT),
                latency: facts.begun.elapsed(),
                first_token: facts.first_token,
                overhead: facts.overhead,
                usage,
                cost_nano: cost(usage, tried, &facts.prices),
                error,
            };
            enter(&facts.rt, &call);
            facts.rt.calls.record(&call);
        });
    }
}

/// What the model that answered takes for it; a remembered answer costs nothing.
fn cost(usage: Option<Usage>, tried: &Tried, prices: &Prices) -> u64 {
    match (usage, &tried.served) {
        (Some(usage), Some(served)) if !tried.cache.is_hit() => prices.of(&served.model, usage),
        _ => 0,
    }
}

/// Enters a call in the ledger, where a model was asked for it: the row is the system's before the last byte leaves.
fn enter(rt: &Runtime, call: &CallRecord<'_>) {
    let (Some(caller), Some(model), Some(served)) = (call.caller, call.model, &call.tried.served)
    else {
        return;
    };
    let row = LedgerRow {
        request: call.id,
        at: Timestamp::now(),
        workspace: caller.workspace.clone(),
        model: model.clone(),
        served: served.model.clone(),
        key: caller.key.as_deref().map(str::to_owned),
        usage: call.usage.unwrap_or_default(),
        cost_nano: i64::try_from(call.cost_nano).unwrap_or(i64::MAX),
        cached: call.tried.cache.is_hit(),
        status: call.status,
    };
    // A row that the disk does not take waits in memory; the store says so, and counts what it must give up.
    let _ = rt.store.ledger.append(&row);
}

impl Recording {
    /// A good answer broke off. An error that the caller was told before stays what it was.
    fn broke(&mut self, error: &CallError) {
        if self.0.error.is_none() {
            self.0.trail.amend(Outcome::of(error.kind()), error.word());
            self.0.error = Some((error.word(), error.chain()));
        }
    }
}

impl Hold for Recording {
    fn end(&mut self, ending: &Ending, usage: Option<Usage>) {
        match ending {
            Ending::Complete => {}
            Ending::Cut { kind, message } => self.broke(&CallError::new(*kind, message.clone())),
            Ending::Cancelled => self.broke(&left()),
        }
        self.settle(usage);
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        if !self.0.settled {
            let left = left();
            self.0.error.get_or_insert((left.word(), left.chain()));
            self.settle(None);
        }
    }
}

fn left() -> CallError {
    CallError::new(Kind::Cancelled, "the caller left before the end")
}
