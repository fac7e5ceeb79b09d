//! The path as steps: each an async function around the next, nested by static types.
//!
//! A list of steps is a tower `ServiceBuilder`; a step becomes a tower layer with [`Layered::layer`],
//! any tower layer joins the list with [`tower()`], and [`boxed`] ends the list as one tower service.

use std::fmt;
use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use tower_layer::Layer;
use tower_service::Service;

use crate::call::Call;
use crate::error::CallError;
use crate::reply::Reply;

/// A path whose steps are hidden behind one pointer: what a workspace or a target has. Made with [`boxed`].
///
/// It is a path and a tower service. Cloning it clones the pointer, and a call costs one box, that of its future.
#[derive(Clone)]
pub struct CallService(Arc<dyn Path>);

type Answered = BoxFuture<'static, Result<Reply, CallError>>;

/// A [`Next`] whose type is hidden.
trait Path: Send + Sync {
    fn run(self: Arc<Self>, call: Call) -> Answered;
}

impl<N: Next> Path for N {
    fn run(self: Arc<Self>, call: Call) -> Answered {
        Box::pin(async move { self.call(call).await })
    }
}

impl Next for CallService {
    fn call(&self, call: Call) -> impl Future<Output = Result<Reply, CallError>> + Send {
        Arc::clone(&self.0).run(call)
    }
}

impl Service<Call> for CallService {
    type Response = Reply;
    type Error = CallError;
    type Future = Answered;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), CallError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call) -> Answered {
        Arc::clone(&self.0).run(call)
    }
}

impl fmt::Debug for CallService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallService").finish_non_exhaustive()
    }
}

/// Where every call enters: the gateway makes it, doors and channels use it.
pub trait Door: Send + Sync + 'static {
    /// Sends a call down the path that is in force now.
    fn enter(&self, call: Call) -> BoxFuture<'static, Result<Reply, CallError>>;
}

/// The rest of a path.
pub trait Next: Clone + Send + Sync + 'static {
    /// Hands the call on.
    fn call(&self, call: Call) -> impl Future<Output = Result<Reply, CallError>> + Send;
}

/// One step of a path: an async function around the next.
///
/// ```
/// use moltbot_types::{Call, CallError, Kind, Next, Reply, Step};
///
/// /// Refuses bodies over a limit.
/// #[derive(Clone)]
/// struct Limit(usize);
///
/// impl Step for Limit {
///     async fn run<N: Next>(&self, call: Call, next: &N) -> Result<Reply, CallError> {
///         if call.body.len() > self.0 {
///             return Err(CallError::new(Kind::TooLarge, "the body is too large"));
///         }
///         next.call(call).await
///     }
/// }
/// ```
pub trait Step: Clone + Send + Sync + 'static {
    /// Takes the call, hands it on or not, and answers for what climbs back.
    fn run<N: Next>(
        &self,
        call: Call,
        next: &N,
    ) -> impl Future<Output = Result<Reply, CallError>> + Send;
}

/// A step around the rest of the path; also a tower service.
#[derive(Clone, Debug)]
pub struct Layered<S, N> {
    step: S,
    next: N,
}

/// Makes layers of a step.
#[derive(Clone, Debug)]
pub struct StepLayer<S>(S);

impl<S: Step> Layered<S, ()> {
    /// The tower layer that puts `step` around what follows.
    pub fn layer(step: S) -> StepLayer<S> {
        StepLayer(step)
    }
}

impl<S: Step, N> Layer<N> for StepLayer<S> {
    type Service = Layered<S, N>;

    fn layer(&self, next: N) -> Self::Service {
        Layered {
            step: self.0.clone(),
            next,
        }
    }
}

impl<S: Step, N: Next> Next for Layered<S, N> {
    fn call(&self, call: Call) -> impl Future<Output = Result<Reply, CallError>> + Send {
        self.step.run(call, &self.next)
    }
}

impl<S: Step, N: Next> Service<Call> for Layered<S, N> {
    type Response = Reply;
    type Error = CallError;
    type Future = BoxFuture<'static, Result<Reply, CallError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), CallError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call) -> Self::Future {
        let path = self.clone();
        Box::pin(async move { path.step.run(call, &path.next).await })
    }
}

/// A tower service as the rest of a path.
#[derive(Clone, Debug)]
pub struct Plain<S>(S);

impl<S> Plain<S> {
    /// Wraps a service; it is cloned and made ready for each call.
    pub fn new(service: S) -> Self {
        Self(service)
    }
}

impl<S> Next for Plain<S>
where
    S: Service<Call, Response = Reply, Error = CallError> + Clone + Send + Sync + 'static,
    S::Future: Send,
{
    async fn call(&self, call: Call) -> Result<Reply, CallError> {
        let mut service = self.0.clone();
        poll_fn(|cx| service.poll_ready(cx)).await?;
        service.call(call).await
    }
}

impl<S: Service<Call>> Service<Call> for Plain<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, call: Call) -> S::Future {
        self.0.call(call)
    }
}

/// Any tower layer, as a layer of a path.
#[derive(Clone, Debug)]
pub struct TowerLayer<L>(L);

/// Lets a tower layer join a list of steps: `.layer(tower(my_layer))`.
pub fn tower<L>(layer: L) -> TowerLayer<L> {
    TowerLayer(layer)
}

impl<L: Layer<N>, N> Layer<N> for TowerLayer<L> {
    type Service = Plain<L::Service>;

    fn layer(&self, next: N) -> Self::Service {
        Plain(self.0.layer(next))
    }
}

/// Ends a list: hides its steps behind one pointer.
pub fn boxed<N: Next>(path: N) -> CallService {
    CallService(Arc::new(path))
}
