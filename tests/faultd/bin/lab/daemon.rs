//! A real `moltbotd` in a home of its own.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Method, Request, Response};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

use crate::client::Client;
use crate::lab::{Failure, Lab};

/// How long the daemon may take to start.
const START: Duration = Duration::from_secs(15);

/// A running daemon; dropped, it is killed and its home removed.
pub(crate) struct Daemon {
    /// Callers' way in.
    pub(crate) client: Arc<Client>,
    admin: Client,
    token: String,
    // Before its home: a running daemon would write into a folder that is being removed.
    process: Process,
    home: TempDir,
}

/// A program that runs for a scenario; dropped, it is killed.
pub(crate) struct Process {
    child: Child,
    pid: u32,
}

impl Process {
    /// Starts a program. What it says goes into `output.log` in `folder`.
    pub(crate) fn start(mut command: Command, folder: &TempDir) -> Result<Self, Failure> {
        let output = fs::File::create(folder.path().join("output.log"))?;
        command
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .kill_on_drop(true);
        let child = command.spawn()?;
        let pid = child.id().ok_or("the program ended at once")?;
        Ok(Self { child, pid })
    }

    /// Whether it still runs.
    pub(crate) fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// The most memory it ever had resident, in MiB; 0 where it is gone.
    pub(crate) fn max_rss(&self) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
        kib.unwrap_or(0.0) / 1024.0
    }

    /// The descriptors that it has open; 0 where it is gone.
    pub(crate) fn fds(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.pid)).map_or(0, Iterator::count)
    }
}

impl Daemon {
    /// Starts it with this `gateway.yaml` below the `server` of the laboratory, and waits until it is ready.
    pub(crate) async fn start(lab: &Lab, yaml: &str) -> Result<Self, Failure> {
        Self::start_with(lab, "{}", yaml).await
    }

    /// The same, with `server.limits`.
    pub(crate) async fn start_with(lab: &Lab, limits: &str, yaml: &str) -> Result<Self, Failure> {
        let home = TempDir::with_prefix("moltbot-lab-")?;
        fs::create_dir(home.path().join("config"))?;
        fs::write(
            home.path().join("config/gateway.yaml"),
            configuration(limits, yaml),
        )?;
        let mut command = Command::new(&lab.moltbotd);
        command.arg("--home").arg(home.path());
        for (name, _) in
            std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("MOLTBOT_"))
        {
            command.env_remove(name);
        }
        let mut process = Process::start(command, &home)?;
        let start = Instant::now();
        loop {
            if let Some((listen, admin, token)) = bound(&home) {
                let daemon = Self {
                    client: Arc::new(Client::new(listen)),
                    admin: Client::new(admin),
                    token,
                    home,
                    process,
                };
                return match daemon
                    .admin(Method::GET, "/readyz", "")
                    .await?
                    .status()
                    .as_u16()
                {
                    200 => Ok(daemon),
                    status => Err(format!("moltbotd is not ready: {status}").into()),
                };
            }
            if !process.is_alive() || start.elapsed() > START {
                let said = fs::read_to_string(home.path().join("output.log"))?;
                return Err(format!("moltbotd does not start; it said: {said}").into());
            }
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// Where callers reach it.
    pub(crate) fn address(&self) -> SocketAddr {
        self.client.address()
    }

    pub(crate) fn process(&self) -> &Process {
        &self.process
    }

    pub(crate) fn is_alive(&mut self) -> bool {
        self.process.is_alive()
    }

    fn config_file(&self) -> PathBuf {
        self.home.path().join("config/gateway.yaml")
    }

    /// Replaces `gateway.yaml`, as it stands here.
    pub(crate) fn write(&self, text: &[u8]) -> Result<(), Failure> {
        let new = self.config_file().with_extension("new");
        fs::write(&new, text)?;
        Ok(fs::rename(new, self.config_file())?)
    }

    /// Asks the control plane.
    pub(crate) async fn admin(
        &self,
        method: Method,
        path: &str,
        body: &str,
    ) -> Result<Response<Bytes>, Failure> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", self.admin.address().to_string())
            .header("authorization", format!("Bearer {}", self.token))
            .header("content-type", "application/json")
            .body(Full::new(Bytes::copy_from_slice(body.as_bytes())))?;
        self.admin.ask(request).await
    }

    /// Lets another model answer for `model`, or itself again.
    ///
    /// # Errors
    /// When the daemon refuses it.
    pub(crate) async fn switch(&self, model: &str, to: &str) -> Result<(), Failure> {
        let path = format!("/admin/v1/models/{model}/switch");
        let body = format!("{{\"to\":\"{to}\"}}");
        let answer = self.admin(Method::POST, &path, &body).await?;
        match answer.status().is_success() {
            true => Ok(()),
            false => Err(format!("switch: {}", String::from_utf8_lossy(answer.body())).into()),
        }
    }

    /// The sum of a metric over all its labels.
    pub(crate) async fn metric(&self, name: &str) -> Result<f64, Failure> {
        let answer = self.admin(Method::GET, "/metrics", "").await?;
        let text = String::from_utf8_lossy(answer.body());
        let lines = text.lines().filter_map(|line| line.strip_prefix(name));
        let own = lines.filter(|rest| rest.starts_with([' ', '{']));
        Ok(own
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum())
    }
}

/// `gateway.yaml` with the `server` of the laboratory.
pub(crate) fn configuration(limits: &str, yaml: &str) -> String {
    format!(
        "server: {{ listen: \"127.0.0.1:0\", admin: \"127.0.0.1:0\", auth: none, limits: {limits} }}\n{yaml}"
    )
}

fn bound(home: &TempDir) -> Option<(SocketAddr, SocketAddr, String)> {
    let bound = fs::read(home.path().join("run/moltbotd.json")).ok()?;
    let bound: Value = serde_json::from_slice(&bound).ok()?;
    let address = |name: &str| bound.get(name)?.as_str()?.parse().ok();
    let token = fs::read_to_string(home.path().join("run/admin.token")).ok()?;
    Some((
        address("listen")?,
        address("admin")?,
        token.trim().to_owned(),
    ))
}
