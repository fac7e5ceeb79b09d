//! The programs that are measured: started on their core, ready when they answer, ended by their id.

use std::error::Error;
use std::fs::{self, File};
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use clap::ValueEnum;
use moltbot_benches::LISTENING;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use crate::client::Connection;
use crate::host::{Cores, pin};

/// The key that callers show to the daemon; the others pass it on unread.
pub(crate) const KEY: &str = "mb_0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
/// How long a program may take to start.
const START: Duration = Duration::from_secs(10);

/// A server under test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Kind {
    /// `bare-proxy`, what the others are compared with.
    Floor,
    /// `bare-proxy` a second time: how far its ratio is from 1 is the noise.
    Again,
    /// nginx, where it is installed.
    Nginx,
    /// MoltBot's daemon.
    Moltbotd,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::Again => "floor again",
            Self::Nginx => "nginx",
            Self::Moltbotd => "moltbotd",
        }
    }
}

/// A running program. Dropped, it is killed and its folder removed.
pub(crate) struct Server {
    /// Where its data plane listens.
    pub(crate) address: SocketAddr,
    pub(crate) pid: u32,
    /// From its start to the first 200.
    pub(crate) ready_after: Duration,
    child: Child,
    _home: TempDir,
}

impl Server {
    /// Kills the program and waits for its end.
    pub(crate) async fn stop(mut self) -> std::io::Result<()> {
        self.child.kill().await
    }
}

/// Where programs are found, and where they run.
pub(crate) struct Launcher {
    pub(crate) cores: Cores,
    /// The folder of `fake-upstream` and `bare-proxy`.
    pub(crate) bins: PathBuf,
    pub(crate) moltbotd: PathBuf,
}

impl Launcher {
    /// Starts the fake upstream on the generator's core.
    pub(crate) async fn upstream(&self) -> Result<Server, Box<dyn Error>> {
        let command = Command::new(self.bins.join("fake-upstream"));
        self.launch(
            command,
            self.cores.load,
            TempDir::new()?,
            Found::InLog,
            "/health",
        )
        .await
    }

    /// Starts a server under test in front of `upstream`, on its own core.
    pub(crate) async fn start(
        &self,
        kind: Kind,
        upstream: SocketAddr,
    ) -> Result<Server, Box<dyn Error>> {
        let home = TempDir::with_prefix("load-")?;
        let core = self.cores.server;
        match kind {
            Kind::Floor | Kind::Again => {
                let mut command = Command::new(self.bins.join("bare-proxy"));
                command.arg("--upstream").arg(upstream.to_string());
                self.launch(command, core, home, Found::InLog, "/health")
                    .await
            }
            Kind::Nginx => {
                let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
                let config = home.path().join("nginx.conf");
                fs::write(&config, nginx_conf(home.path(), address, upstream))?;
                let mut command = Command::new("nginx");
                command
                    .arg("-p")
                    .arg(home.path())
                    .arg("-c")
                    .arg(config)
                    .args(["-e", "stderr"]);
                self.launch(command, core, home, Found::At(address), "/health")
                    .await
            }
            Kind::Moltbotd => {
                let config = home.path().join("config");
                fs::create_dir(&config)?;
                fs::write(config.join("gateway.yaml"), gateway_yaml(upstream))?;
                let mut owner = File::options();
                let mut key = owner
                    .create_new(true)
                    .write(true)
                    .mode(0o600)
                    .open(config.join("key"))?;
                writeln!(key, "{KEY}")?;
                let mut command = Command::new(&self.moltbotd);
                command.arg("--home").arg(home.path());
                self.launch(command, core, home, Found::InRunFile, "/readyz")
                    .await
            }
        }
    }

    async fn launch(
        &self,
        mut command: Command,
        core: usize,
        home: TempDir,
        found: Found,
        ready: &str,
    ) -> Result<Server, Box<dyn Error>> {
        let log = home.path().join("output.log");
        let output = File::create(&log)?;
        command
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .kill_on_drop(true);
        pin(core)?;
        let start = Instant::now();
        let child = command.spawn();
        pin(self.cores.load)?;
        let program = command
            .as_std()
            .get_program()
            .to_string_lossy()
            .into_owned();
        let mut child = child.map_err(|error| format!("{program} does not start: {error}"))?;
        let pid = child.id().ok_or("the program ended at once")?;
        loop {
            if let Some((address, ready_at)) = found.look(home.path())
                && timeout(START, is_ready(ready_at, ready)).await?
            {
                let ready_after = start.elapsed();
                return Ok(Server {
                    address,
                    pid,
                    ready_after,
                    child,
                    _home: home,
                });
            }
            if child.try_wait()?.is_some() || start.elapsed() > START {
                let said = fs::read_to_string(&log)?;
                return Err(format!("{program} did not get ready; it said:\n{said}").into());
            }
            sleep(Duration::from_millis(1)).await;
        }
    }
}

/// How the address of a started program is learned.
enum Found {
    At(SocketAddr),
    InLog,
    InRunFile,
}

impl Found {
    /// The data plane and where to ask whether it is ready, once they are known.
    fn look(&self, home: &Path) -> Option<(SocketAddr, SocketAddr)> {
        match self {
            Self::At(address) => Some((*address, *address)),
            Self::InLog => {
                let log = fs::read_to_string(home.join("output.log")).ok()?;
                let address = log
                    .split_once('\n')?
                    .0
                    .strip_prefix(LISTENING)?
                    .parse()
                    .ok()?;
                Some((address, address))
            }
            Self::InRunFile => {
                let file = fs::read(home.join("run/moltbotd.json")).ok()?;
                let bound: serde_json::Value = serde_json::from_slice(&file).ok()?;
                let address = |name: &str| bound.get(name)?.as_str()?.parse().ok();
                Some((address("listen")?, address("admin")?))
            }
        }
    }
}

async fn is_ready(server: SocketAddr, path: &str) -> bool {
    let request = format!("GET {path} HTTP/1.1\r\nhost: {server}\r\n\r\n");
    match Connection::open(server).await {
        Ok(mut connection) => connection
            .ask(request.as_bytes())
            .await
            .is_ok_and(|answer| answer.status == 200),
        Err(_) => false,
    }
}

/// Whether nginx is installed.
pub(crate) fn nginx_is_installed() -> bool {
    std::process::Command::new("nginx")
        .arg("-v")
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// One process, so that one id ends it and all of its time is seen; an access log, because the daemon writes one too.
fn nginx_conf(home: &Path, address: SocketAddr, upstream: SocketAddr) -> String {
    let home = home.display();
    format!(
        "daemon off;
master_process off;
worker_processes 1;
pid {home}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 4096; }}
http {{
    access_log {home}/access.log combined buffer=64k flush=1s;
    client_body_temp_path {home}/body;
    proxy_temp_path {home}/proxy;
    fastcgi_temp_path {home}/fastcgi;
    uwsgi_temp_path {home}/uwsgi;
    scgi_temp_path {home}/scgi;
    client_body_buffer_size 256k;
    keepalive_requests 100000000;
    tcp_nodelay on;
    upstream model {{
        server {upstream};
        keepalive 256;
        keepalive_requests 100000000;
    }}
    server {{
        listen {address} backlog=1024;
        location / {{
            proxy_pass http://model;
            proxy_http_version 1.1;
            proxy_set_header Connection \"\";
            proxy_buffering off;
        }}
    }}
}}
"
    )
}

/// What `moltctl init` writes, but for the ports and the model: calls get the default `max_tokens` and the upstream's own model name.
fn gateway_yaml(upstream: SocketAddr) -> String {
    format!(
        "server:
  listen: 127.0.0.1:0
  admin: 127.0.0.1:0
  auth: keys
model:
  defaults:
    chat: {{ max_tokens: 2048 }}
models:
  - name: bench
    kind: chat
    provider: openai
    model: fake-model
    endpoint: http://{upstream}/v1
    auth: {{ type: none }}
logs: {{ level: info }}
"
    )
}
