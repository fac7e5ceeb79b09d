//! A target that does as it is told.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use moltbot_types::{Call, CallError, Frames, Kind, Mark, Next, Reply, Retry};
use moltbot_wire::OPENAI;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::time::sleep;

use crate::tier::{Place, Role};

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

thread_local! {
    /// Faults fall the same way in every run.
    static DICE: RefCell<StdRng> = RefCell::new(StdRng::seed_from_u64(54));
}

fn fault(chance: f64) -> bool {
    DICE.with_borrow_mut(|dice| dice.random_bool(chance))
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
    pub(super) id: &'static str,
    pub(super) place: Place,
    pub(super) credential: Option<&'static str>,
    acts: Vec<Act>,
    takes: Duration,
    pub(super) limit: usize,
    pub(super) asked: Arc<AtomicUsize>,
}

pub(crate) fn target(id: &'static str) -> Target {
    Target {
        id,
        place: Place::default(),
        credential: None,
        acts: Vec::new(),
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
        self.acts.push(act);
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
            Act::Flaky(faults) if fault(*faults) => Err(failure(500)),
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
