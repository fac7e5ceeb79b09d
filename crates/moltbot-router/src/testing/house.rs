//! A path over scripted targets.

use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::StreamExt;
use moltbot_types::{
    Attempt, Body, Call, CallError, CallService, Ending, Layered, ModelName, Next, Reply, boxed,
};
use tower::ServiceBuilder;

use super::{MODEL, Target, Told, call};
use crate::health::{BreakerSettings, Health, HealthKey};
use crate::{
    Budgets, FailoverSettings, Limit, Route, RouteSettings, RouteTarget, Table, Timeouts, again,
    deadline, failover, permits, times,
};

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
    path: CallService,
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
        self.built().path.call(call).await
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
