//! Scripted targets and a path over them, so that tests read like facts.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::HeaderMap;
use moltbot_types::call::CallParts;
use moltbot_types::{
    Attempt, Body, Call, CallError, Caller, Dialect, Ending, Frames, Head, Kind, Layered, Mark,
    ModelName, Next, Operation, Outcome, Reply, RequestId, Retry, Step, boxed,
};
use moltbot_wire::OPENAI;
use tokio::time::{Instant, sleep};
use tower::ServiceBuilder;

use crate::health::{BreakerSettings, Health, HealthKey};
use crate::tier::{Place, Role};
use crate::{
    Budgets, FailoverSettings, Limit, Route, RouteSettings, RouteTarget, Table, Timeouts, again,
    deadline, failover, permits, times,
};

/// The model that is asked for.
pub(crate) const MODEL: &str = "m";

/// One piece of a scripted stream.
#[derive(Clone, Debug)]
pub(crate) enum Piece {
    Frame(Frames),
    Wait(Duration),
    Fails(u16),
}

pub(crate) fn ping() -> Piece {
    Piece::Frame(Frames::one(Bytes::from_static(b":\n\n"), Mark::Ping))
}

pub(crate) fn role() -> Piece {
    Piece::Frame(Frames::one(Bytes::from_static(b""), Mark::Role))
}

pub(crate) fn content(text: &'static str) -> Piece {
    Piece::Frame(Frames::one(
        Bytes::from_static(text.as_bytes()),
        Mark::Content,
    ))
}

pub(crate) fn end() -> Piece {
    Piece::Frame(Frames::one(Bytes::from_static(b"."), Mark::End))
}

/// An error frame, and the failure that it told.
pub(crate) fn error_frame(status: u16) -> [Piece; 2] {
    let frame = Frames::one(Bytes::from_static(b"!"), Mark::Error);
    [Piece::Frame(frame), Piece::Fails(status)]
}

pub(crate) fn wait(seconds: u64) -> Piece {
    Piece::Wait(Duration::from_secs(seconds))
}

/// What a target does with one call.
#[derive(Clone)]
enum Act {
    Says(&'static str),
    Fails(Arc<dyn Fn() -> CallError + Send + Sync>),
    Hangs,
    Streams(Vec<Piece>),
    Flaky(f64),
}

/// A target that does as it is told: act by act, the last one again and again.
#[derive(Clone)]
pub(crate) struct Target {
    id: &'static str,
    place: Place,
    credential: Option<&'static str>,
    acts: VecDeque<Act>,
    takes: Duration,
    limit: usize,
    asked: Arc<AtomicUsize>,
}

pub(crate) fn target(id: &'static str) -> Target {
    Target {
        id,
        place: Place::default(),
        credential: None,
        acts: VecDeque::new(),
        takes: Duration::ZERO,
        limit: 1000,
        asked: Arc::default(),
    }
}

/// The failure of an upstream that answered with `status`.
pub(crate) fn failure(status: u16) -> CallError {
    let (kind, retry) = match status {
        400 => (Kind::BadRequest, Retry::Never),
        401 | 403 => (Kind::UpstreamAuth, Retry::Elsewhere),
        402 => (Kind::UpstreamMoney, Retry::Elsewhere),
        404 => (Kind::ModelNotFound, Retry::Elsewhere),
        429 => (Kind::RateLimited, Retry::After(Duration::from_secs(1))),
        _ => (Kind::Unavailable, Retry::Anywhere),
    };
    CallError::new(kind, format!("status {status}")).retry(retry)
}

impl Target {
    fn then(mut self, act: Act) -> Self {
        self.acts.push_back(act);
        self
    }

    pub(crate) fn says(self, text: &'static str) -> Self {
        self.then(Act::Says(text))
    }

    pub(crate) fn fails(self, status: u16) -> Self {
        self.fails_with(move || failure(status))
    }

    pub(crate) fn fails_with(
        self,
        failure: impl Fn() -> CallError + Send + Sync + 'static,
    ) -> Self {
        self.then(Act::Fails(Arc::new(failure)))
    }

    pub(crate) fn hangs(self) -> Self {
        self.then(Act::Hangs)
    }

    pub(crate) fn streams(self, pieces: impl IntoIterator<Item = Piece>) -> Self {
        self.then(Act::Streams(pieces.into_iter().collect()))
    }

    /// Says yes, but fails that share of its calls.
    pub(crate) fn flaky(self, faults: f64) -> Self {
        self.then(Act::Flaky(faults))
    }

    pub(crate) fn takes(mut self, millis: u64) -> Self {
        self.takes = Duration::from_millis(millis);
        self
    }

    pub(crate) fn region(mut self, region: &str) -> Self {
        self.place.region = Some(region.into());
        self
    }

    pub(crate) fn standby(mut self) -> Self {
        self.place.role = Role::Standby;
        self
    }

    pub(crate) fn credential(mut self, id: &'static str) -> Self {
        self.credential = Some(id);
        self
    }

    pub(crate) fn limit(mut self, calls: usize) -> Self {
        self.limit = calls;
        self
    }
}

impl Next for Target {
    async fn call(&self, _: Call) -> Result<Reply, CallError> {
        let turn = self.asked.fetch_add(1, Ordering::Relaxed);
        if !self.takes.is_zero() {
            sleep(self.takes).await;
        }
        match &self.acts[turn.min(self.acts.len() - 1)] {
            Act::Says(text) => Ok(Reply::whole(&OPENAI, *text)),
            Act::Fails(failure) => Err(failure()),
            Act::Hangs => std::future::pending().await,
            Act::Flaky(faults) if rand::random_bool(*faults) => Err(failure(500)),
            Act::Flaky(_) => Ok(Reply::whole(&OPENAI, "yes")),
            Act::Streams(pieces) => Ok(Reply::stream(
                &OPENAI,
                stream::iter(pieces.clone()).filter_map(|piece| async {
                    match piece {
                        Piece::Frame(frames) => Some(Ok(frames)),
                        Piece::Fails(status) => Some(Err(failure(status))),
                        Piece::Wait(time) => {
                            sleep(time).await;
                            None
                        }
                    }
                }),
            )),
        }
    }
}

/// A call for [`MODEL`].
pub(crate) fn call(stream: bool) -> Call {
    let dialect: &'static dyn Dialect = &OPENAI;
    Call::new(CallParts {
        id: RequestId::new(),
        caller: Caller::anonymous(),
        head: Head {
            operation: Operation::Chat,
            model: MODEL.into(),
            model_at: None,
            stream,
            tools: false,
            user: None,
            max_tokens: None,
            store: false,
            size: 0,
        },
        body: Bytes::new(),
        dialect,
        headers: HeaderMap::new(),
        query: None,
        begun: Instant::now(),
        deadline: None,
        trail: Arc::default(),
    })
}

/// What a caller heard in the end.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Told {
    text: String,
    from: Option<String>,
    error: Option<(u16, &'static str)>,
    attempts: usize,
}

pub(crate) fn answer(text: &str) -> Told {
    Told {
        text: text.to_owned(),
        attempts: 1,
        ..Told::default()
    }
}

pub(crate) fn refusal(status: u16, word: &'static str) -> Told {
    Told {
        error: Some((status, word)),
        attempts: 1,
        ..Told::default()
    }
}

impl Told {
    pub(crate) fn from(mut self, target: &str) -> Self {
        self.from = Some(target.to_owned());
        self
    }

    pub(crate) fn after(mut self, attempts: usize) -> Self {
        self.attempts = attempts;
        self
    }

    pub(crate) fn then_cut(mut self, status: u16, word: &'static str) -> Self {
        self.error = Some((status, word));
        self
    }
}

/// Models with scripted targets, and the path that leads to them.
pub(crate) struct House {
    models: Vec<(&'static str, Vec<Target>, RouteSettings)>,
    pub(crate) settings: FailoverSettings,
    pub(crate) timeouts: Timeouts,
    pub(crate) breaker: BreakerSettings,
    pub(crate) budgets: Arc<Budgets>,
    built: OnceLock<Built>,
}

struct Built {
    path: moltbot_types::CallService,
    table: Arc<Table>,
    limits: Vec<Arc<Limit>>,
}

/// A path to [`MODEL`] by these targets.
pub(crate) fn path(targets: impl IntoIterator<Item = Target>) -> House {
    House {
        models: Vec::new(),
        settings: FailoverSettings::default(),
        timeouts: Timeouts::default(),
        breaker: BreakerSettings::default(),
        budgets: Arc::default(),
        built: OnceLock::new(),
    }
    .model(MODEL, targets)
}

impl House {
    /// Adds a model.
    pub(crate) fn model(
        mut self,
        name: &'static str,
        targets: impl IntoIterator<Item = Target>,
    ) -> Self {
        let targets = targets.into_iter().collect();
        self.models.push((name, targets, RouteSettings::default()));
        self
    }

    /// Changes what holds for the model that was added last.
    pub(crate) fn with(mut self, change: impl FnOnce(&mut RouteSettings)) -> Self {
        change(&mut self.models.last_mut().unwrap().2);
        self
    }

    /// What answers when [`MODEL`] does not.
    pub(crate) fn fallback(mut self, names: &[&str]) -> Self {
        self.models[0].2.fallback = names.iter().map(|name| ModelName::from(*name)).collect();
        self
    }

    pub(crate) fn set(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    fn built(&self) -> &Built {
        self.built.get_or_init(|| {
            let health = Health::new(self.breaker);
            let mut limits = Vec::new();
            let routes = self.models.iter().map(|(name, targets, settings)| {
                let targets = targets.iter().map(|target| {
                    let limit = Arc::new(Limit::new(target.limit));
                    limits.push(Arc::clone(&limit));
                    let steps = ServiceBuilder::new()
                        .layer(Layered::layer(again(Arc::clone(&self.budgets))))
                        .layer(Layered::layer(permits(limit, Duration::from_millis(100))))
                        .layer(Layered::layer(times(self.timeouts)))
                        .service(target.clone());
                    RouteTarget {
                        id: target.id.into(),
                        place: target.place.clone(),
                        weight: 1.0,
                        credential: target.credential.map(Arc::from),
                        health: health.target(&HealthKey {
                            address: target.id.into(),
                            model: (*name).into(),
                            credential: target.credential.map(Arc::from),
                        }),
                        service: boxed(steps),
                    }
                });
                Route::new(*name, targets.collect(), settings.clone())
            });
            let table: Arc<Table> = Arc::new(routes.collect());
            let end = failover(Arc::clone(&table), Arc::clone(&self.budgets), self.settings);
            let path = ServiceBuilder::new()
                .layer(Layered::layer(deadline(Arc::clone(&table))))
                .service(end);
            Built {
                path: boxed(path),
                table,
                limits,
            }
        })
    }

    /// Sends a call down the path.
    pub(crate) async fn send(&self, call: Call) -> Result<Reply, CallError> {
        moltbot_types::Plain::new(self.built().path.clone())
            .call(call)
            .await
    }

    async fn told(&self, stream: bool) -> Told {
        let call = call(stream);
        let trail = Arc::clone(&call.trail);
        let mut told = Told::default();
        match self.send(call).await {
            Ok(reply) => {
                told.from = trail.with(|tried| tried.served.as_ref().map(|s| s.target.to_string()));
                let (_, _, body, mut holds) = reply.into_parts();
                match body {
                    Body::Whole(text) => told.text = String::from_utf8(text.to_vec()).unwrap(),
                    Body::Stream(mut frames) => {
                        while let Some(item) = frames.next().await {
                            match item {
                                Ok(frames) => {
                                    told.text += std::str::from_utf8(frames.raw()).unwrap();
                                }
                                Err(error) => {
                                    told.error = Some((error.status().as_u16(), error.word()));
                                }
                            }
                        }
                    }
                }
                holds.end(&Ending::Complete);
            }
            Err(error) => told.error = Some((error.status().as_u16(), error.word())),
        }
        told.attempts = trail.with(|tried| tried.attempts.len());
        told
    }

    /// Asks for a whole answer.
    pub(crate) async fn ask(&self) -> Told {
        self.told(false).await
    }

    /// Asks for a stream and reads it to its end.
    pub(crate) async fn stream(&self) -> Told {
        self.told(true).await
    }

    /// Asks for a whole answer that cannot be had.
    pub(crate) async fn refused(&self) -> CallError {
        self.send(call(false)).await.unwrap_err()
    }

    /// Asks, and tells the attempts that it took.
    pub(crate) async fn attempts(&self) -> Vec<Attempt> {
        let call = call(false);
        let trail = Arc::clone(&call.trail);
        let _ = self.send(call).await;
        trail.with(|tried| tried.attempts.clone())
    }

    /// A target by its id.
    pub(crate) fn target(&self, id: &str) -> &Target {
        let mut targets = self.models.iter().flat_map(|(_, targets, _)| targets);
        targets.find(|target| target.id == id).unwrap()
    }

    /// How often a target was asked.
    pub(crate) fn asked(&self, id: &str) -> usize {
        self.target(id).asked.load(Ordering::Relaxed)
    }

    /// How often all targets were asked.
    pub(crate) fn asked_in_all(&self) -> usize {
        let targets = self.models.iter().flat_map(|(_, targets, _)| targets);
        targets
            .map(|target| target.asked.load(Ordering::Relaxed))
            .sum()
    }

    /// Calls under way, as permits and health count them.
    pub(crate) fn under_way(&self) -> (usize, u32) {
        let built = self.built();
        let targets = built.table.routes().flat_map(|(_, route)| route.targets());
        (
            built.limits.iter().map(|limit| limit.taken()).sum(),
            targets.map(|target| target.health.inflight()).sum(),
        )
    }
}

/// One step around one target.
pub(crate) async fn through(
    step: impl Step,
    target: &Target,
    call: Call,
) -> Result<Reply, CallError> {
    step.run(call, target).await
}

/// How attempts ended, in words.
pub(crate) fn outcomes(attempts: &[Attempt]) -> Vec<(&str, Outcome)> {
    attempts
        .iter()
        .map(|attempt| (attempt.target.as_str(), attempt.outcome))
        .collect()
}
