//! The step that compares: it picks the arm of a call, and writes down what came of it.
//!
//! It stands above the cache and the deadline, so that the cache's key sees the arm's model and the arm's time holds,
//! and below policy, quota and filters: what they refuse never reached an arm and is no unit of a test.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::Stream;
use moltbot_types::{
    Body, Call, CallError, Caller, Edit, Ending, FrameStream, Frames, Hold, Kind, Mark, ModelName,
    Next, Reply, RequestId, Step, Trail, Usage,
};
use tokio::time::Instant;

use crate::assign::UnitId;
use crate::experiment::{Error, Experiment, Pick};
use crate::exposure::Outcome;
use crate::registry::{PREFIX, Tests};

/// What the step asks of the house around it.
pub trait House: Send + Sync + 'static {
    /// Whether the caller may use a model. It must not wait.
    fn allows(&self, caller: &Caller, model: &ModelName) -> bool {
        let _ = (caller, model);
        true
    }

    /// What a call that `model` answered costs, in USD.
    fn cost(&self, model: &ModelName, usage: Usage) -> f64 {
        let _ = (model, usage);
        0.0
    }

    /// A row could not be written: the call goes on, its test misses it.
    fn lost(&self, test: &str, error: &Error) {
        let _ = (test, error);
    }
}

/// A house where everything is allowed and free.
impl House for () {}

/// The step that compares.
#[derive(Clone)]
pub struct Comparing {
    tests: Arc<Tests>,
    house: Arc<dyn House>,
}

/// Lets calls take part in `tests`.
pub fn comparing(tests: Arc<Tests>, house: Arc<dyn House>) -> Comparing {
    Comparing { tests, house }
}

impl Step for Comparing {
    async fn run<N: Next>(&self, mut call: Call, next: &N) -> Result<Reply, CallError> {
        let found = self.tests.of_call(&call.caller.workspace, &call.head.model);
        let Some((test, by)) = found.map_err(unknown)? else {
            return next.call(call).await;
        };
        let allowed = |model: &ModelName| self.house.allows(&call.caller, model);
        let pick = match test.pick(by, call.head.user.as_deref(), call.id, allowed) {
            Ok(pick) => pick,
            Err(error) => {
                self.house.lost(&test.settings().name, &error);
                Pick {
                    model: test.settings().models[0].clone(),
                    unit: None,
                }
            }
        };
        rename(&mut call, &pick.model)?;
        let Some(unit) = pick.unit else {
            return next.call(call).await;
        };
        call.trail.join(test.settings().name.as_str().into());
        let mut watch = Watch {
            house: Arc::clone(&self.house),
            request: call.id,
            begun: call.begun,
            trail: Arc::clone(&call.trail),
            model: pick.model,
            unit,
            test,
            first_token: None,
            usage: Usage::default(),
            whole: false,
            settled: false,
        };
        match next.call(call).await {
            Ok(mut reply) => {
                watch.usage = reply.usage.unwrap_or_default();
                if let Body::Stream(_) = reply.body {
                    // a stream that got here has its first content
                    watch.first_token = Some(watch.begun.elapsed());
                    return Ok(reply.map_frames(|frames| {
                        let ends = 0;
                        Box::pin(Watched {
                            frames,
                            watch,
                            ends,
                        })
                    }));
                }
                reply.hold(watch);
                Ok(reply)
            }
            Err(error) => {
                watch.fail(&error);
                Err(error)
            }
        }
    }
}

fn unknown(name: &str) -> CallError {
    let text =
        format!("there is no model `{PREFIX}{name}` here; `moltctl test list` shows the tests");
    CallError::new(Kind::ModelNotFound, text).param("model")
}

/// The call asks `model` from here on, in its head and in its body.
fn rename(call: &mut Call, model: &ModelName) -> Result<(), CallError> {
    if call.head.model == *model {
        return Ok(());
    }
    if let Some(at) = call.head.model_at.clone() {
        let text: Arc<str> = serde_json::Value::from(model.as_str()).to_string().into();
        let end = at.start + text.len();
        call.body = call
            .dialect
            .edit(&call.head, &call.body, &[Edit::Model(text)])?;
        call.head.model_at = Some(at.start..end);
        call.head.size = call.body.len();
    }
    call.head.model = model.clone();
    Ok(())
}

/// What is to be written down of a call that takes part.
///
/// Invariant: it is written down once; a call that is dropped before has failed.
struct Watch {
    test: Arc<Experiment>,
    house: Arc<dyn House>,
    trail: Arc<Trail>,
    request: RequestId,
    unit: UnitId,
    model: ModelName,
    begun: Instant,
    first_token: Option<Duration>,
    usage: Usage,
    /// The answer has all that belongs to it.
    whole: bool,
    settled: bool,
}

impl Watch {
    /// The call failed. What was the caller's fault before any arm was asked is no outcome.
    fn fail(&mut self, error: &CallError) {
        let asked = self.trail.with(|tried| !tried.attempts.is_empty());
        match asked || error.status().is_server_error() {
            true => self.settle(false),
            false => self.settled = true,
        }
    }

    fn settle(&mut self, success: bool) {
        if std::mem::replace(&mut self.settled, true) {
            return;
        }
        let served = self.trail.with(|tried| tried.served.clone());
        let served = served.map_or_else(|| self.model.clone(), |served| served.model);
        let outcome = Outcome {
            request: self.request,
            unit: self.unit,
            success,
            latency: self.begun.elapsed(),
            first_token: self.first_token,
            usage: self.usage,
            cost: self.house.cost(&served, self.usage),
            fallback: (served != self.model).then_some(served),
        };
        if let Err(error) = self.test.record(outcome) {
            self.house.lost(&self.test.settings().name, &error);
        }
    }
}

impl Hold for Watch {
    fn end(&mut self, ending: &Ending, usage: Option<Usage>) {
        self.usage = usage.unwrap_or(self.usage);
        self.settle(*ending == Ending::Complete);
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.settle(self.whole);
    }
}

/// The frames of an answer that takes part. Its outcome is written down before its last frame goes out.
struct Watched {
    frames: FrameStream,
    watch: Watch,
    /// Marks of the proper end so far: a dialect has one, or one and a terminal marker after the usage.
    ends: usize,
}

impl Stream for Watched {
    type Item = Result<Frames, CallError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let item = ready!(this.frames.as_mut().poll_next(cx));
        let watch = &mut this.watch;
        match &item {
            Some(Ok(frames)) => {
                let told = frames.usage.is_some() || watch.usage != Usage::default();
                watch.usage = frames.usage.unwrap_or(watch.usage);
                this.ends += frames.marks().filter(|mark| *mark == Mark::End).count();
                watch.whole = this.ends > 0;
                if this.ends > 1 || (watch.whole && told) {
                    watch.settle(true);
                }
            }
            Some(Err(_)) => watch.settle(false),
            None => watch.settle(true),
        }
        Poll::Ready(item)
    }
}

#[cfg(test)]
mod tests;
