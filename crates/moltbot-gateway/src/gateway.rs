//! A gateway from its start to the end of its drain.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use moltbot_config::{Home, Loaded, Overrides, Problems, Watch};
use moltbot_telemetry::{LogSettings, Telemetry, TelemetrySettings};
use moltbot_types::Door;
use serde_json::json;
use tokio::time::Instant;
use tracing::{info, warn};

use crate::admin::{Admin, AdminDoor};
use crate::channels::Channels;
use crate::entrance::Entrance;
use crate::http::Front;
use crate::live::{self, Live};
use crate::lock::HomeLock;
use crate::runtime::{Doors, Runtime};
use crate::server::{Listen, Server, ServerSettings};
use crate::tls::Certificate;

/// How long tasks may take to end; a model server alone has 5 s before it is killed.
const TASKS_END: Duration = Duration::from_secs(12);

/// Why a gateway does not start.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct StartError {
    message: String,
    exit_code: u8,
}

impl StartError {
    /// The configuration is to blame: exit code 78.
    pub fn config(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            exit_code: 78,
        }
    }

    /// Something else is: exit code 1.
    pub fn failed(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            exit_code: 1,
        }
    }

    /// Some part says why, in its own words.
    pub fn other(error: impl fmt::Display) -> Self {
        Self::failed(error.to_string())
    }

    /// The exit code that tells a supervisor whether a restart may help: 78 for a configuration that must
    /// be mended first, else 1.
    pub fn exit_code(&self) -> u8 {
        self.exit_code
    }
}

impl From<Problems> for StartError {
    fn from(problems: Problems) -> Self {
        Self::config(problems.to_string())
    }
}

/// Checks a home as a start would, without starting. Gives what a person should know all the same.
///
/// # Errors
/// Every problem of its files, also of parts that a start leaves out of service.
pub fn check(home: &Home, overrides: &Overrides) -> Result<Vec<String>, StartError> {
    let loaded = moltbot_config::load(home, overrides)?;
    let key = live::caller_key(home)?;
    let stored = crate::caller::may_be_stored(&loaded.config);
    crate::caller::check(&loaded.config, key.as_deref(), stored)?;
    Certificate::new(home.root()).read(&loaded.config)?;
    if !loaded.parts.0.is_empty() {
        return Err(loaded.parts.into());
    }
    Ok(loaded.notices)
}

/// A home whose configuration is valid, locked for this process.
pub struct Prepared {
    home: Home,
    overrides: Overrides,
    loaded: Loaded,
    lock: HomeLock,
}

impl Prepared {
    /// Worker threads that the configuration asks for; 0 there is one per core.
    pub fn workers(&self) -> usize {
        match self.loaded.config.server.workers {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            workers => workers,
        }
    }

    /// Starts it within the present runtime.
    ///
    /// # Errors
    /// A port in use, a home that can't be written, a part that can't be built.
    pub async fn start(self) -> Result<Gateway, StartError> {
        Gateway::start(self, Telemetry::new).await
    }

    /// The same, and makes its log and metrics the process's own: for a program that is a gateway.
    ///
    /// # Errors
    /// As [`Prepared::start`], and something else is installed already.
    pub async fn start_installed(self) -> Result<Gateway, StartError> {
        Gateway::start(self, Telemetry::install).await
    }
}

/// A running gateway.
pub struct Gateway {
    home: Home,
    live: Arc<Live>,
    rt: Arc<Runtime>,
    channels: Arc<Channels>,
    listen: SocketAddr,
    admin: SocketAddr,
    telemetry: Telemetry,
    _lock: HomeLock,
}

impl Gateway {
    /// Reads and checks a home, and locks it.
    ///
    /// # Errors
    /// Every problem of its files; another process that works on it.
    pub fn prepare(home: Home, overrides: Overrides) -> Result<Prepared, StartError> {
        let loaded = moltbot_config::load(&home, &overrides)?;
        let lock = HomeLock::acquire(&home)?;
        Ok(Prepared {
            home,
            overrides,
            loaded,
            lock,
        })
    }

    async fn start(
        prepared: Prepared,
        telemetry: impl FnOnce(
            &TelemetrySettings,
        ) -> Result<Telemetry, moltbot_telemetry::TelemetryError>,
    ) -> Result<Self, StartError> {
        let Prepared {
            home,
            overrides,
            loaded,
            lock,
        } = prepared;
        let begun = Instant::now();
        let config = &loaded.config;
        let telemetry = telemetry(&TelemetrySettings {
            log: LogSettings {
                dir: home.logs_dir(),
                level: live::level(config.logs.level),
                keep: config.logs.keep,
                archived: config.archive.is_some(),
                ..LogSettings::default()
            },
            ..TelemetrySettings::default()
        })
        .map_err(StartError::other)?;
        let store = crate::store::open(config)
            .await
            .map_err(StartError::other)?;
        let calls = Arc::clone(telemetry.calls());
        let keys = crate::caller::keys(&home, &store).await?;
        let tests = crate::experiments::load(&store)
            .await
            .map_err(StartError::other)?;
        let rt = Arc::new(Runtime::new(&home, config, calls, store, keys, tests)?);
        crate::limits::restore(&rt.quotas, &rt.store).await?;
        let (listen, admin) = (config.server.listen.clone(), config.server.admin.clone());
        let limits = config.server.limits.clone();
        let watched = loaded.watched.clone();
        let live = Live::start(
            home.clone(),
            overrides,
            loaded,
            Arc::clone(&rt),
            telemetry.level(),
        )?;
        let live = Arc::new(live);

        let settings = ServerSettings {
            header_timeout: limits.header_timeout,
            connections: limits.connections,
            ..ServerSettings::default()
        };
        let data = bind("server.listen", &listen, settings.clone()).await?;
        // Few speak to the control plane, and always the same way.
        let control = ServerSettings {
            connections: 256,
            http2: false,
            ..settings
        };
        let control_tcp = bind("server.admin", &admin, control.clone()).await?;
        let control_unix =
            Server::bind(Listen::from(home.admin_socket()), control).map_err(StartError::other)?;
        let (listen, admin) = (address(&data)?, address(&control_tcp)?);
        // Nobody else sets them.
        let _ = rt.doors.set(Doors {
            data: data.limits(),
            control: [control_tcp.limits(), control_unix.limits()],
        });

        let token = crate::admin::write_token(&home)?;
        let entrance = Entrance::new(Arc::clone(&live), Arc::clone(&rt));
        let channels = Channels::new(Arc::clone(&rt), Arc::clone(&live), Arc::new(entrance));
        let channels = Arc::new(channels);
        let service = Admin::online(
            home.clone(),
            Arc::clone(&live),
            Arc::clone(&rt),
            Arc::clone(&channels),
            begun,
        );
        crate::skills::start(&live, &rt, &channels).await;
        let front = Front::new(Arc::clone(&live), Arc::clone(&rt), Arc::clone(&channels));
        let gateway = Self {
            listen,
            admin,
            live,
            rt,
            channels,
            home,
            telemetry,
            _lock: lock,
        };
        let data = data.tls(gateway.rt.certificate.shown());
        gateway.serve("server.listen", data, move |request, peer| {
            front.clone().answer(request, peer)
        });
        for (name, server, token) in [
            ("server.admin", control_tcp, Some(token)),
            ("admin socket", control_unix, None),
        ] {
            let door = AdminDoor::new(service.clone(), token, Arc::clone(&gateway.rt));
            gateway.serve(name, server, move |request, peer| {
                door.clone().answer(request, peer)
            });
        }
        gateway.watch(watched);
        gateway.keep_up();
        gateway.archive();
        gateway.forget();
        let noting = Arc::clone(&gateway.rt);
        let note = move || crate::caller::note_uses(Arc::clone(&noting));
        gateway.rt.background.keep("key uses", note);
        let saving = Arc::clone(&gateway.rt);
        let save = move || crate::limits::keep(Arc::clone(&saving));
        gateway.rt.background.keep("limits", save);
        let (live, rt) = (Arc::clone(&gateway.live), Arc::clone(&gateway.rt));
        let look = move || crate::tls::keep(Arc::clone(&live), Arc::clone(&rt));
        gateway.rt.background.keep("certificate", look);
        gateway.run_channels();
        gateway.write_bound()?;
        info!(listen = %listen, admin = %admin, version = env!("CARGO_PKG_VERSION"), "the gateway is up");
        Ok(gateway)
    }

    fn serve<H, F, B>(&self, name: &'static str, server: Server, handler: H)
    where
        H: Fn(::http::Request<hyper::body::Incoming>, crate::server::Peer) -> F
            + Clone
            + Send
            + Sync
            + 'static,
        F: Future<Output = ::http::Response<B>> + Send + 'static,
        B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let metrics = Arc::clone(self.telemetry.metrics());
        let server = server.on_panic(move || metrics.panicked());
        let (tasks, drain) = (self.rt.tasks.clone(), self.rt.drain.clone());
        let serving = server.serve(handler, tasks, drain);
        self.rt.background.run(name, serving);
    }

    /// Reloads when a file changes.
    fn watch(&self, files: Vec<std::path::PathBuf>) {
        let (live, rt) = (Arc::clone(&self.live), Arc::clone(&self.rt));
        self.rt.background.keep("file watch", move || {
            let mut watch = Watch::new(files.clone(), &rt.tasks, rt.stop.clone());
            let live = Arc::clone(&live);
            async move {
                // Nobody looked between the last reading and this watch.
                let mut changed = live.outdated().await;
                while changed || watch.changed().await {
                    changed = false;
                    // The problems of a rejected file stand in the log, in the metric and in `status`.
                    if let Ok(reloaded) = live.reload_settled().await {
                        watch.follow(reloaded.watched);
                    }
                }
            }
        });
    }

    /// Sends closed days of the log to the archive that the configuration names.
    fn archive(&self) {
        let (live, rt, home) = (
            Arc::clone(&self.live),
            Arc::clone(&self.rt),
            self.home.clone(),
        );
        self.rt.background.keep("archive", move || {
            crate::archive::keep(home.clone(), Arc::clone(&live), Arc::clone(&rt))
        });
    }

    /// Keeps histograms small and the state of targets fresh.
    fn keep_up(&self) {
        let (live, rt) = (Arc::clone(&self.live), Arc::clone(&self.rt));
        self.rt.background.keep("upkeep", move || {
            let (live, rt) = (Arc::clone(&live), Arc::clone(&rt));
            async move {
                let mut tick = tokio::time::interval(Duration::from_secs(5));
                tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
                loop {
                    tokio::select! {
                        _ = tick.tick() => rt.calls.metrics().upkeep(),
                        () = rt.stop.cancelled() => return,
                    }
                    crate::status::publish(&live.snapshot(), &rt);
                }
            }
        });
    }

    /// Keeps the ledger short.
    fn forget(&self) {
        let rt = Arc::clone(&self.rt);
        self.rt.background.keep("ledger", move || {
            crate::store::forget(rt.store.clone(), rt.stop.clone())
        });
    }

    /// Runs the channels of each configuration in force.
    fn run_channels(&self) {
        let channels = Arc::clone(&self.channels);
        self.rt.background.keep("channels", move || {
            let channels = Arc::clone(&channels);
            async move { channels.keep().await }
        });
    }

    /// Tells other programs of this machine where the gateway is.
    fn write_bound(&self) -> Result<(), StartError> {
        let bound = json!({
            "pid": std::process::id(),
            "listen": self.listen.to_string(),
            "admin": self.admin.to_string(),
        });
        crate::admin::write_private(&self.home.run_file(), bound.to_string().as_bytes())
    }

    /// Where the data plane listens.
    pub fn listen(&self) -> SocketAddr {
        self.listen
    }

    /// Where the control plane listens.
    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// The way in for calls that do not come over HTTP.
    pub fn door(&self) -> Arc<dyn Door> {
        Arc::new(Entrance::new(Arc::clone(&self.live), Arc::clone(&self.rt)))
    }

    /// Reads the files anew. What came of it stands in the log, the metric and `status`.
    pub async fn reload(&self) -> bool {
        self.live.reload().await.is_ok()
    }

    /// Leaves in good order: takes nothing new, lets bodies end, ends every task, writes the last lines.
    pub async fn drain(self) {
        info!("draining");
        // What is being answered is answered; what waits is on disk, for the next start.
        self.channels.stop();
        let cut = self.rt.drain.run().await;
        if cut > 0 {
            warn!(cut, "calls were cut at the end of the drain");
        }
        self.rt.end(TASKS_END).await;
        for path in [self.home.run_file(), self.home.admin_token_file()] {
            let _ = std::fs::remove_file(path);
        }
        info!("the gateway is down");
        drop(self.telemetry);
    }
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway")
            .field("listen", &self.listen)
            .field("admin", &self.admin)
            .finish_non_exhaustive()
    }
}

async fn bind(key: &str, at: &str, settings: ServerSettings) -> Result<Server, StartError> {
    let failed = |why: String| StartError::failed(format!("{key}: {why}"));
    let address = tokio::net::lookup_host(at)
        .await
        .and_then(|mut found| found.next().ok_or_else(|| io::Error::other("no such host")))
        .map_err(|error| failed(format!("{at} is no address to listen on: {error}")))?;
    Server::bind(Listen::from(address), settings).map_err(|error| failed(error.to_string()))
}

fn address(server: &Server) -> Result<SocketAddr, StartError> {
    match server.local_addr() {
        Listen::Tcp(address) => Ok(*address),
        Listen::Unix(path) => Err(StartError::failed(format!("{} is no port", path.display()))),
    }
}
