//! A path to one model over targets whose behaviour changes while calls run.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use futures_util::{StreamExt, stream};
use moltbot_router::health::{BreakerSettings, Health, HealthKey, TargetHealth};
use moltbot_router::tier::{Place, Role};
use moltbot_router::{
    Budgets, FailoverSettings, Route, RouteSettings, RouteTarget, Table, Timeouts, again, failover,
    times,
};
use moltbot_types::call::CallParts;
use moltbot_types::{
    Body, Call, CallError, CallService, Caller, Ending, Frames, Head, Kind, Layered, Mark, Next,
    Operation, Plain, Remembered, Reply, RequestId, Retry, boxed,
};
use moltbot_wire::OPENAI;
use tokio::time::{Instant, sleep};
use tower::ServiceBuilder;

pub(crate) const MODEL: &str = "m";

/// What a target does with a call.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// Answers.
    Says,
    /// Answers after so many milliseconds.
    SaysAfter(u64),
    /// Fails as an upstream that answered 500.
    Fails,
    /// Fails after so many milliseconds.
    FailsAfter(u64),
    /// Answers 429, with a hint of so many milliseconds.
    Limits(Option<u64>),
    /// Refuses the credential.
    Refuses,
    /// Says nothing.
    Hangs,
    /// Keeps the call waiting for so many milliseconds, as one whose answer does not come in time.
    HangsFor(u64),
    /// Begins a stream and breaks it off.
    Cuts,
}

/// Decides by the number of the call.
type Will = Box<dyn FnMut(usize) -> Act + Send>;

/// An upstream that can be told otherwise at any time.
#[derive(Clone)]
pub(crate) struct Target {
    id: &'static str,
    place: Place,
    credential: Option<&'static str>,
    will: Arc<Mutex<Will>>,
    asked: Arc<AtomicUsize>,
}

pub(crate) fn target(id: &'static str) -> Target {
    Target {
        id,
        place: Place::default(),
        credential: None,
        will: Arc::new(Mutex::new(Box::new(|_| Act::Says))),
        asked: Arc::default(),
    }
}

impl Target {
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

    /// From now on it does this.
    pub(crate) fn now(&self, act: Act) -> &Self {
        self.by(move |_| act.clone())
    }

    /// From now on it does what `will` says of the number of the call.
    pub(crate) fn by(&self, will: impl FnMut(usize) -> Act + Send + 'static) -> &Self {
        *self.will.lock().unwrap_or_else(PoisonError::into_inner) = Box::new(will);
        self
    }

    /// How often it was asked since this was last looked at.
    pub(crate) fn asked(&self) -> usize {
        self.asked.swap(0, Ordering::Relaxed)
    }
}

impl Next for Target {
    async fn call(&self, _: Call) -> Result<Reply, CallError> {
        let turn = self.asked.fetch_add(1, Ordering::Relaxed);
        let act = (self.will.lock().unwrap_or_else(PoisonError::into_inner))(turn);
        let failed = || CallError::new(Kind::Unavailable, "status 500").retry(Retry::Anywhere);
        match act {
            Act::Says => Ok(Reply::whole(&OPENAI, self.id)),
            Act::SaysAfter(millis) => {
                sleep(Duration::from_millis(millis)).await;
                Ok(Reply::whole(&OPENAI, self.id))
            }
            Act::Fails => Err(failed()),
            Act::FailsAfter(millis) => {
                sleep(Duration::from_millis(millis)).await;
                Err(failed())
            }
            Act::Limits(hint) => {
                let hint = hint.map(Duration::from_millis);
                let rest = Retry::After(hint.unwrap_or(Duration::from_secs(1)));
                let error = CallError::new(Kind::RateLimited, "status 429").retry(rest);
                Err(match hint {
                    Some(hint) => error.retry_after(hint),
                    None => error,
                })
            }
            Act::Refuses => {
                Err(CallError::new(Kind::UpstreamAuth, "status 401").retry(Retry::Elsewhere))
            }
            Act::Hangs => std::future::pending().await,
            Act::HangsFor(millis) => {
                sleep(Duration::from_millis(millis)).await;
                Err(CallError::new(Kind::Timeout, "no answer").retry(Retry::Anywhere))
            }
            Act::Cuts => Ok(Reply::stream(
                &OPENAI,
                stream::iter([
                    Ok(Frames::one(Bytes::from_static(b"half"), Mark::Content)),
                    Err(CallError::new(Kind::Cut, "reset")),
                ]),
            )),
        }
    }
}

/// The path, its targets and what is known of them.
pub(crate) struct House {
    path: CallService,
    healths: Vec<Arc<TargetHealth>>,
}

/// A path to [`MODEL`] for a node in `east`.
pub(crate) fn path<const N: usize>(targets: [&Target; N]) -> House {
    let health = Health::new(BreakerSettings::default());
    let budgets = Arc::new(Budgets::default());
    let timeouts = Timeouts {
        answer: Some(Duration::from_secs(1)),
        ..Timeouts::default()
    };
    let targets: Vec<_> = targets
        .into_iter()
        .map(|target| RouteTarget {
            id: target.id.into(),
            place: target.place.clone(),
            weight: 1.0,
            credential: target.credential.map(Arc::from),
            health: health.target(&HealthKey {
                address: target.id.into(),
                model: MODEL.into(),
                credential: target.credential.map(Arc::from),
            }),
            service: boxed(
                ServiceBuilder::new()
                    .layer(Layered::layer(again(Arc::clone(&budgets))))
                    .layer(Layered::layer(times(timeouts)))
                    .service(target.clone()),
            ),
        })
        .collect();
    let healths = targets
        .iter()
        .map(|target| Arc::clone(&target.health))
        .collect();
    let settings = RouteSettings {
        region: Some("east".into()),
        ..RouteSettings::default()
    };
    let table: Table = [Route::new(MODEL, targets, settings)].into_iter().collect();
    House {
        path: boxed(failover(
            Arc::new(table),
            budgets,
            FailoverSettings::default(),
        )),
        healths,
    }
}

fn call(stream: bool) -> Call {
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
            limited: false,
            store: false,
            size: 0,
        },
        body: Bytes::new(),
        dialect: &OPENAI,
        headers: http::HeaderMap::new(),
        query: None,
        filtered: false,
        remembered: Remembered::default(),
        begun: Instant::now(),
        deadline: None,
        skills: moltbot_types::Skills::Off,
        trail: Arc::default(),
    })
}

impl House {
    /// Asks for a whole answer, and tells who gave it.
    pub(crate) async fn ask(&self) -> Result<String, CallError> {
        let reply = Plain::new(self.path.clone()).call(call(false)).await?;
        let (_, _, body, mut holds) = reply.into_parts();
        holds.end(&Ending::Complete);
        match body {
            Body::Whole(text) => Ok(String::from_utf8_lossy(&text).into_owned()),
            Body::Stream(_) => panic!("a whole answer was asked for"),
        }
    }

    /// Reads a stream to its end, which is told.
    pub(crate) async fn stream(&self) -> Result<Ending, CallError> {
        let reply = Plain::new(self.path.clone()).call(call(true)).await?;
        let (_, _, body, mut holds) = reply.into_parts();
        let Body::Stream(frames) = body else {
            panic!("a stream was asked for");
        };
        let items: Vec<_> = frames.collect().await;
        let ending = match items.into_iter().find_map(Result::err) {
            Some(error) => Ending::Cut {
                kind: error.kind(),
                message: error.to_string(),
            },
            None => Ending::Complete,
        };
        holds.end(&ending);
        Ok(ending)
    }

    /// Asks so many times, one after another, `every` so many milliseconds; tells who answered.
    pub(crate) async fn asks(&self, times: usize, every: u64) -> Vec<Result<String, CallError>> {
        let asks = (0..times).map(|n| async move {
            sleep(Duration::from_millis(n as u64 * every)).await;
            self.ask().await
        });
        join_all(asks).await
    }

    /// Calls under way at all targets.
    pub(crate) fn inflight(&self) -> u32 {
        self.healths.iter().map(|health| health.inflight()).sum()
    }
}

/// How many of the answers came from `id`.
pub(crate) fn from(answers: &[Result<String, CallError>], id: &str) -> usize {
    answers
        .iter()
        .filter(|answer| answer.as_ref().is_ok_and(|who| who == id))
        .count()
}
