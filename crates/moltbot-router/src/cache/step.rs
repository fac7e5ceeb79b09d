//! The step that answers from memory, or lets equal calls share one.

use std::sync::{Arc, PoisonError};

use moltbot_types::{CacheResult, Call, CallError, Kind, Next, Reply, Retry, Step};
use tokio::time::{Instant, timeout_at};

use super::Cache;
use super::entry::Entry;
use super::flight::{Flight, Form, Heard, Listener};
use super::key::Key;
use crate::deadline::after;
use crate::table::{Route, Table};

/// Flights that a call follows and sees fail before it goes alone.
const FOLLOWED: usize = 3;

/// The step; it does nothing where there is no cache.
#[derive(Clone)]
pub struct Caching(Option<Recall>);

#[derive(Clone)]
struct Recall {
    cache: Arc<Cache>,
    routes: Arc<Table>,
}

/// What a call looks for.
#[derive(Clone, Copy)]
struct Wanted {
    key: Key,
    form: Form,
}

/// Remembers answers in `cache`. The models of `routes` have their names and identities.
pub fn caching(cache: Option<Arc<Cache>>, routes: Arc<Table>) -> Caching {
    Caching(cache.map(|cache| Recall { cache, routes }))
}

impl Step for Caching {
    async fn run<N: Next>(&self, call: Call, next: &N) -> Result<Reply, CallError> {
        let Some(recall) = &self.0 else {
            return next.call(call).await;
        };
        let Some(route) = recall.routes.get(call.head.model.as_str()) else {
            return next.call(call).await;
        };
        match recall.wanted(&call, route) {
            Some(wanted) => recall.answer(call, wanted, route, next).await,
            None => next.call(call).await,
        }
    }
}

impl Recall {
    /// What the call looks for; `None` where nothing is remembered of its kind.
    fn wanted(&self, call: &Call, route: &Route) -> Option<Wanted> {
        if call.remembered.never || call.head.store {
            return None;
        }
        let canonical = call.dialect.canonical(&call.body)?;
        let warm = canonical.temperature.is_some_and(|it| it != 0.0);
        if warm && !self.cache.settings.any_temperature {
            return None;
        }
        let (model, identity) = (route.name().as_str(), &*route.settings().identity);
        Some(Wanted {
            key: Key::of(call, model, identity, &canonical.text),
            form: match call.head.stream {
                true => Form::Stream {
                    usage: canonical.usage,
                },
                false => Form::Whole,
            },
        })
    }

    async fn answer<N: Next>(
        &self,
        call: Call,
        wanted: Wanted,
        route: &Route,
        next: &N,
    ) -> Result<Reply, CallError> {
        let end = after(call.begun, route.settings().total);
        for _ in 0..FOLLOWED {
            if !call.remembered.anew
                && let Some(reply) = self.remembered(&call, wanted).await
            {
                return Ok(reply);
            }
            let listener = self.listener(&call, wanted, route, next);
            let leads = listener.leads();
            let heard = timeout_at(end, listener.hear()).await;
            match heard.unwrap_or_else(|_| Heard::Failed(Some(late()))) {
                Heard::Reply(reply, served) => {
                    if leads {
                        self.cache.miss();
                        call.trail.cached(CacheResult::Miss);
                    } else {
                        self.cache.hit();
                        call.trail.recalled(served);
                    }
                    return Ok(reply);
                }
                Heard::Failed(Some(error)) => {
                    self.cache.miss();
                    call.trail.cached(CacheResult::Miss);
                    return Err(error);
                }
                Heard::Failed(None) if leads => return Err(ended()),
                Heard::Failed(None) => {}
            }
        }
        self.cache.miss();
        call.trail.cached(CacheResult::Miss);
        next.call(call).await
    }

    /// The answer that is remembered, if there is one that is young enough.
    async fn remembered(&self, call: &Call, wanted: Wanted) -> Option<Reply> {
        let entry = self.cache.entries.get(&wanted.key).await?;
        let oldest = self.cache.settings.ttl;
        let oldest = call
            .remembered
            .max_age
            .map_or(oldest, |age| age.min(oldest));
        if entry.since.elapsed() > oldest {
            return None;
        }
        let reply = entry.reply(wanted.form)?;
        self.cache.hit();
        call.trail.recalled(entry.served.clone());
        Some(reply)
    }

    /// Joins the flight of equal calls, or begins one.
    fn listener<N: Next>(&self, call: &Call, wanted: Wanted, route: &Route, next: &N) -> Listener {
        let place = (wanted.key, wanted.form);
        let flights = self.cache.flights.lock();
        let mut flights = flights.unwrap_or_else(PoisonError::into_inner);
        if !call.remembered.anew
            && let Some(listener) = flights.get(&place).and_then(Flight::join)
        {
            return listener;
        }
        let (flight, listener) = Flight::begin(call.caller.workspace.clone());
        flights.insert(place, Arc::clone(&flight));
        drop(flights);
        let (cache, model) = (Arc::clone(&self.cache), route.name().clone());
        let (call, next) = (call.clone(), next.clone());
        self.cache.tasks.spawn(async move {
            let (operation, begun) = (call.head.operation, call.caller.workspace.clone());
            let landed = flight.fly(call, &next).await;
            // what another model answered is no answer of this one
            let own = |served: &moltbot_types::Served| served.model == model;
            if let Some(landed) = landed.filter(|it| it.served.as_ref().is_none_or(own)) {
                let entry = Entry {
                    workspace: begun,
                    served: landed.served,
                    since: Instant::now(),
                    dialect: landed.dialect,
                    operation,
                    headers: landed.headers,
                    body: landed.body,
                    usage: landed.usage,
                };
                cache.entries.insert(place.0, Arc::new(entry)).await;
            }
            let mut flights = cache.flights.lock().unwrap_or_else(PoisonError::into_inner);
            if flights
                .get(&place)
                .is_some_and(|it| Arc::ptr_eq(it, &flight))
            {
                flights.remove(&place);
            }
        });
        listener
    }
}

fn late() -> CallError {
    CallError::new(
        Kind::Timeout,
        "the answer that this call waited for did not come in time",
    )
    .retry_after(std::time::Duration::from_secs(1))
}

fn ended() -> CallError {
    CallError::new(
        Kind::Internal,
        "an internal error ended this call; the log says more",
    )
    .retry(Retry::Never)
}
