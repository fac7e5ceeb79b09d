//! Model servers of this machine: started, watched, restarted and stopped.
//!
//! Each replica is one task that owns one server at a time. The server runs below a [`guard`], a process
//! that ends all of it when this one is gone, however it went. The life of a replica:
//!
//! ```text
//! starting ──answers──▶ ready ◀──answers── unresponsive
//!    │                    │ └──silent and idle──▲ │
//!    └─ended, never ready─┴─ended───────────────┴─┴──▶ backing_off ──wait──▶ starting
//! ```

mod backoff;
pub mod guard;
mod output;
mod port;
mod probe;
mod process;
mod settings;
mod status;
mod supervise;
mod vitals;

use std::net::{Ipv4Addr, SocketAddr};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::connect::Client;
use crate::error::SetupError;
use probe::Probe;
pub use settings::InstanceSettings;
pub use status::{State, Status};
use supervise::Supervisor;

/// The servers of one model. Their tasks live on the tracker until the token is cancelled; dropping this
/// stops nothing.
#[derive(Clone, Debug)]
pub struct Instances {
    name: String,
    replicas: Vec<Replica>,
}

impl Instances {
    /// Starts all replicas, each on a free port of its own, and returns at once: none is ready yet.
    ///
    /// Once `cancel` is cancelled the servers are asked to end, and killed after the grace of the
    /// settings; the tracker is empty when all of their processes are gone.
    ///
    /// # Errors
    /// [`SetupError::Instance`] where the command is empty, the path of readiness is none, no port is
    /// free, or [`guard::enter`] was not called. Everything else, a missing program too, is a state of
    /// the replica and tried again.
    pub fn start(
        settings: InstanceSettings,
        client: Client,
        tracker: &TaskTracker,
        cancel: CancellationToken,
    ) -> Result<Self, SetupError> {
        let fail = |why| SetupError::Instance {
            name: settings.name.clone(),
            why,
        };
        if settings.command.first().is_none_or(String::is_empty) {
            return Err(fail("its command is empty"));
        }
        if settings.guard.is_none() && !guard::entered() {
            return Err(fail(
                "call `moltbot_providers::instance::guard::enter()` first in `main`",
            ));
        }
        let path = settings.ready_path.parse();
        let path = path.map_err(|_| fail("`ready.path` is no path of a URL"))?;
        let probe = Probe::new(client, path, settings.probe_timeout);
        let mut ports = Vec::with_capacity(settings.replicas);
        for _ in 0..settings.replicas {
            let port = port::choose(&ports).map_err(|_| fail("no port of 127.0.0.1 is free"))?;
            ports.push(port);
        }
        let start = |(index, port)| {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            let (publish, status) = watch::channel(Status::new(address));
            let supervisor = Supervisor {
                settings: settings.clone(),
                replica: index,
                probe: probe.clone(),
                publish,
                tracker: tracker.clone(),
                cancel: cancel.clone(),
            };
            tracker.spawn(supervisor.run());
            Replica { index, status }
        };
        Ok(Self {
            replicas: ports.into_iter().enumerate().map(start).collect(),
            name: settings.name,
        })
    }

    /// The name of the settings.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The replicas, in the order of their indexes.
    pub fn replicas(&self) -> &[Replica] {
        &self.replicas
    }
}

/// One slot of [`Instances`]; the servers that fill it come and go. Clones see the same slot.
#[derive(Clone, Debug)]
pub struct Replica {
    index: usize,
    status: watch::Receiver<Status>,
}

impl Replica {
    /// Which one it is, from 0.
    pub fn index(&self) -> usize {
        self.index
    }

    /// Where the server listens, as `http://127.0.0.1:PORT`. It stays the same over restarts unless the
    /// port was taken meanwhile.
    pub fn base_url(&self) -> String {
        self.status.borrow().base_url()
    }

    /// Whether calls can be sent to it now.
    pub fn is_ready(&self) -> bool {
        self.status.borrow().is_ready()
    }

    /// What is known about it now.
    pub fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// Hears of every change of its [`Status`].
    pub fn watch(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }
}
