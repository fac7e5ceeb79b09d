//! What outlives a reload: connections, health, permits, budgets, counters, tasks.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use moltbot_abtest::Tests;
use moltbot_auth::Keys;
use moltbot_auth::quota::Quotas;
use moltbot_config::{Config, Home};
use moltbot_providers::{Client, ClientSettings};
use moltbot_router::budget::{BudgetSettings, Budgets};
use moltbot_router::health::{BreakerSettings, Health};
use moltbot_router::permits::{Limit, Permits};
use moltbot_store::Store;
use moltbot_telemetry::Calls;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;

use crate::audit::Audit;
use crate::background::Background;
use crate::cache::Remembering;
use crate::caller::is_loopback;
use crate::credentials::Credentials;
use crate::gateway::StartError;
use crate::limits::Counted;
use crate::server::{Drain, DrainSettings, Limits};
use crate::servers::Servers;
use crate::skills::Shelf;
use crate::tls::Certificate;

/// The last request to a token server may take this long.
pub(crate) const LAST_TOKEN: Duration = Duration::from_secs(15);

/// The last rows may take this long to reach the disk.
const LAST_ROWS: Duration = Duration::from_secs(10);

/// What outlives a reload.
pub(crate) struct Runtime {
    /// Connections to model servers.
    pub(crate) client: Client,
    /// Model servers that the gateway runs itself.
    pub(crate) servers: Servers,
    /// The health of all targets, by address, model and credential.
    pub(crate) health: Arc<Health>,
    /// As whom calls leave.
    pub(crate) credentials: Credentials,
    /// Calls at once, by target.
    pub(crate) permits: Permits,
    /// Connections at once, and their patience; set once the servers stand.
    pub(crate) doors: OnceLock<Doors>,
    /// Calls at once, over all.
    pub(crate) entrance: Arc<Limit>,
    /// Repeats and moves.
    pub(crate) budgets: Arc<Budgets>,
    /// Answers that are remembered.
    pub(crate) cache: Remembering,
    /// Where every call is told of.
    pub(crate) calls: Arc<Calls>,
    /// Who may call.
    pub(crate) keys: Arc<Keys>,
    /// What callers use of their limits.
    pub(crate) quotas: Quotas,
    /// Comparisons of models.
    pub(crate) tests: Arc<Tests>,
    /// What the data plane shows where it speaks TLS.
    pub(crate) certificate: Certificate,
    /// Who changed what.
    pub(crate) audit: Audit,
    /// Requests to the control plane with a wrong token, since they were last told.
    pub(crate) refused_admin: AtomicU64,
    /// What must be remembered.
    pub(crate) store: Store,
    /// What bots can do beyond talking.
    pub(crate) skills: Arc<Shelf>,
    /// Every task of the gateway; the drain waits for them.
    pub(crate) tasks: TaskTracker,
    /// Background tasks end.
    pub(crate) stop: CancellationToken,
    /// Background tasks, and how they are.
    pub(crate) background: Background,
    /// What is in flight, and how far the end has come.
    pub(crate) drain: Drain,
}

impl Runtime {
    pub(crate) fn new(
        home: &Home,
        config: &Config,
        calls: Arc<Calls>,
        store: Store,
        keys: Keys,
        tests: Tests,
    ) -> Result<Self, StartError> {
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let skills = Shelf::new(home, config, &store, Arc::clone(&calls), tasks.clone())?;
        let client = Client::new(ClientSettings::default()).map_err(StartError::other)?;
        Ok(Self {
            client,
            servers: Servers::default(),
            health: Arc::new(Health::new(breaker(config))),
            credentials: Credentials::new(home)?,
            permits: Permits::default(),
            doors: OnceLock::new(),
            entrance: Arc::new(Limit::new(config.server.limits.concurrency)),
            budgets: Arc::new(Budgets::new(budgets(config))),
            certificate: Certificate::new(home.root()),
            audit: Audit::new(home),
            refused_admin: AtomicU64::new(0),
            quotas: Quotas::new(Counted(Arc::clone(&calls))),
            cache: Remembering::default(),
            calls,
            store,
            tests: Arc::new(tests),
            skills: Arc::new(skills),
            keys: Arc::new(keys),
            background: Background::new(tasks.clone(), stop.clone()),
            tasks,
            stop,
            drain: Drain::new(drain(&config.server.listen)),
        })
    }

    /// Ends all tasks and waits for them, for at most `within`; then closes the store.
    pub(crate) async fn end(&self, within: Duration) {
        self.stop.cancel();
        self.tasks.close();
        let _ = tokio::time::timeout(within, self.tasks.wait()).await;
        match tokio::time::timeout(LAST_ROWS, self.store.close()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => warn!(%error, "rows wait in the journal for the next start"),
            Err(_) => {
                warn!("the store did not close in time; the next start goes on from its journal")
            }
        }
    }

    /// Takes over the settings of a new configuration; what was learnt and used stays.
    pub(crate) fn configure(&self, config: &Config) {
        self.health.configure(breaker(config));
        self.budgets.configure(budgets(config));
        self.skills.configure(config);
        self.entrance.resize(config.server.limits.concurrency);
        if let Some(doors) = self.doors.get() {
            doors.configure(config);
        }
    }
}

/// What a new configuration changes of the servers.
pub(crate) struct Doors {
    /// The data plane.
    pub(crate) data: Limits,
    /// The control plane, on all its listeners. It keeps its own count of connections.
    pub(crate) control: [Limits; 2],
}

impl Doors {
    fn configure(&self, config: &Config) {
        let limits = &config.server.limits;
        self.data.set_connections(limits.connections);
        for door in std::iter::once(&self.data).chain(&self.control) {
            door.set_header_timeout(limits.header_timeout);
        }
    }
}

fn breaker(config: &Config) -> BreakerSettings {
    let breaker = &config.model.breaker;
    BreakerSettings {
        consecutive: breaker.consecutive,
        error_ratio: breaker.error_ratio,
        min_requests: breaker.min_requests,
        window: breaker.window,
        first_rest: config.model.failover.retry_interval,
        max_rest: breaker.max_rest,
    }
}

fn budgets(config: &Config) -> BudgetSettings {
    BudgetSettings {
        retry: config.model.retry.budget,
        failover: config.model.failover.budget,
    }
}

/// Load balancers must see `/readyz` fail before connections are refused; nobody balances load onto loopback.
fn drain(listen: &str) -> DrainSettings {
    let mut settings = DrainSettings::default();
    if is_loopback(listen) {
        settings.window = Duration::ZERO;
    }
    settings
}
