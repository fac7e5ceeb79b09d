//! HAProxy in front of the same upstreams, for comparison.

use std::fmt::Write;
use std::fs;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use moltbot_faultd::Server;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::sleep;

use crate::client::Client;
use crate::daemon::Process;
use crate::lab::Failure;

/// A running HAProxy; dropped, it is killed.
pub(crate) struct Haproxy {
    pub(crate) client: Arc<Client>,
    pub(crate) process: Process,
    _folder: TempDir,
}

impl Haproxy {
    /// Starts it where it is installed; else says so once and gives `None`.
    ///
    /// `backup`: the upstreams after the first stand by.
    pub(crate) async fn start(upstreams: &[Server], backup: bool) -> Result<Option<Self>, Failure> {
        let Some(program) = installed() else {
            eprintln!("  haproxy is not installed: skipped");
            return Ok(None);
        };
        let folder = TempDir::with_prefix("moltbot-lab-haproxy-")?;
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let config = folder.path().join("haproxy.cfg");
        fs::write(
            &config,
            configuration(&address.to_string(), upstreams, backup)?,
        )?;
        let mut command = Command::new(program);
        command.arg("-db").arg("-f").arg(config);
        let process = Process::start(command, &folder)?;
        for _ in 0..200 {
            if TcpStream::connect(address).await.is_ok() {
                return Ok(Some(Self {
                    client: Arc::new(Client::new(address)),
                    process,
                    _folder: folder,
                }));
            }
            sleep(Duration::from_millis(25)).await;
        }
        let said = fs::read_to_string(folder.path().join("output.log"))?;
        Err(format!("haproxy does not start; it said: {said}").into())
    }
}

fn installed() -> Option<&'static str> {
    let places = ["haproxy", "/usr/sbin/haproxy"];
    places.into_iter().find(|program| {
        let version = std::process::Command::new(program).arg("-v").output();
        version.is_ok_and(|output| output.status.success())
    })
}

/// Five retries on another server, on everything that HAProxy can retry; passive health as the gateway's breaker.
fn configuration(address: &str, upstreams: &[Server], backup: bool) -> Result<String, Failure> {
    let mut text = format!(
        "global
  maxconn 8000
defaults
  mode http
  timeout connect 1s
  timeout client 30s
  timeout server 300ms
  timeout queue 5s
  retries 5
  option redispatch 1
  retry-on all-retryable-errors 401 425 500 502 503 504
listen lab
  bind {address}
  option http-buffer-request
  http-reuse safe
  default-server observe layer4 error-limit 5 on-error mark-down check inter 1s rise 1
"
    );
    for (at, server) in upstreams.iter().enumerate() {
        let role = if backup && at > 0 { " backup" } else { "" };
        writeln!(
            text,
            "  server {} {}{role}",
            server.name(),
            server.address()
        )?;
    }
    Ok(text)
}
