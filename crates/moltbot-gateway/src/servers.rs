//! Model servers that the gateway runs: kept over reloads, and stopped when the last call that uses them ended.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use arc_swap::ArcSwap;
use moltbot_config::config::Instance;
use moltbot_providers::instance::{Replica, Status};
use moltbot_providers::{Client, Http, InstanceSettings, Instances, SetupError, TargetSpec};
use moltbot_router::health::{Held, TargetHealth};
use moltbot_types::{Call, CallError, Ending, Hold, Kind, Next, Reply, Usage};
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::runtime::Runtime;

/// The servers that run, by model and settings. Snapshots own them; this finds them again.
#[derive(Default)]
pub(crate) struct Servers(Mutex<HashMap<(String, Instance), Weak<Running>>>);

/// The servers of one model. They are told to end when this is dropped.
pub(crate) struct Running {
    instances: Instances,
    _stop: DropGuard,
}

impl Servers {
    /// The servers of a model: those that run already where its settings are the same, else new ones.
    ///
    /// # Errors
    /// As [`Instances::start`].
    pub(crate) fn of(
        &self,
        model: &str,
        instance: &Instance,
        rt: &Runtime,
    ) -> Result<Arc<Running>, SetupError> {
        let mut servers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        servers.retain(|_, running| running.strong_count() > 0);
        let key = (model.to_owned(), instance.clone());
        if let Some(running) = servers.get(&key).and_then(Weak::upgrade) {
            return Ok(running);
        }
        let settings = InstanceSettings {
            name: model.to_owned(),
            command: instance.command.clone(),
            replicas: instance.replicas,
            ready_path: instance.ready.path.clone(),
            ready_within: instance.ready.within,
            ..InstanceSettings::default()
        };
        let stop = rt.stop.child_token();
        let running = Arc::new(Running {
            instances: Instances::start(settings, rt.client.clone(), &rt.tasks, stop.clone())?,
            _stop: stop.drop_guard(),
        });
        servers.insert(key, Arc::downgrade(&running));
        Ok(running)
    }

    /// The servers that run for a model, if any do.
    pub(crate) fn find(&self, model: &str, instance: &Instance) -> Option<Arc<Running>> {
        let servers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let running = servers.get(&(model.to_owned(), instance.clone()))?;
        running.upgrade()
    }
}

impl Running {
    /// The servers, in the order of their targets.
    pub(crate) fn replicas(&self) -> &[Replica] {
        self.instances.replicas()
    }
}

/// The end of the path to one server: asks it wherever it listens now.
#[derive(Clone)]
pub(crate) struct Server(Arc<Parts>);

struct Parts {
    spec: TargetSpec,
    client: Client,
    status: watch::Receiver<Status>,
    now: ArcSwap<(SocketAddr, Http)>,
    running: Arc<Running>,
    _follow: DropGuard,
}

impl Server {
    /// The path to a replica. While it is not ready, `health` is held back.
    ///
    /// # Errors
    /// As [`Http::new`].
    pub(crate) fn new(
        running: &Arc<Running>,
        replica: &Replica,
        spec: TargetSpec,
        health: Arc<TargetHealth>,
        rt: &Runtime,
    ) -> Result<Self, SetupError> {
        let mut status = replica.watch();
        let end = rt.stop.child_token();
        let seen = status.borrow_and_update().clone();
        let held = hold(&health, &seen);
        let follow = follow(status.clone(), health, held, end.clone());
        rt.tasks.spawn(follow);
        Ok(Self(Arc::new(Parts {
            now: ArcSwap::from_pointee(reach(&spec, seen.address, &rt.client)?),
            spec,
            client: rt.client.clone(),
            status,
            running: Arc::clone(running),
            _follow: end.drop_guard(),
        })))
    }

    fn http(&self) -> Result<Http, SetupError> {
        let parts = &*self.0;
        let address = parts.status.borrow().address;
        let now = parts.now.load();
        if now.0 == address {
            return Ok(now.1.clone());
        }
        let moved = reach(&parts.spec, address, &parts.client)?;
        let http = moved.1.clone();
        parts.now.store(Arc::new(moved));
        Ok(http)
    }
}

impl Next for Server {
    async fn call(&self, call: Call) -> Result<Reply, CallError> {
        let http = self.http().map_err(|error| {
            CallError::new(Kind::Internal, "the model server has no usable address").because(error)
        })?;
        let mut reply = http.call(call).await?;
        reply.hold(InUse(Arc::clone(&self.0.running)));
        Ok(reply)
    }
}

/// Keeps servers running until the last byte of a reply.
struct InUse(#[expect(dead_code, reason = "held, not read")] Arc<Running>);

impl Hold for InUse {
    fn end(&mut self, _: &Ending, _: Option<Usage>) {}
}

fn reach(
    spec: &TargetSpec,
    address: SocketAddr,
    client: &Client,
) -> Result<(SocketAddr, Http), SetupError> {
    let mut spec = spec.clone();
    spec.base_url = format!("http://{address}");
    Ok((address, Http::new(spec, client.clone())?))
}

/// Holds the target back while its server is not ready, until `end` or the server's own end.
async fn follow(
    mut status: watch::Receiver<Status>,
    health: Arc<TargetHealth>,
    mut held: Option<Held>,
    end: CancellationToken,
) {
    loop {
        let changed = tokio::select! {
            () = end.cancelled() => break,
            changed = status.changed() => changed,
        };
        if changed.is_err() {
            end.cancelled().await;
            break;
        }
        held = hold(&health, &status.borrow_and_update());
    }
    drop(held);
}

fn hold(health: &Arc<TargetHealth>, status: &Status) -> Option<Held> {
    if status.is_ready() {
        return None;
    }
    let word = status.state.word();
    Some(match &status.reason {
        Some(reason) => health.hold(format!("{word}: {reason}")),
        None => health.hold(word),
    })
}
