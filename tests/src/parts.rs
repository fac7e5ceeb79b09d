//! Real parts that `tests/setup/install` put in place.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// The folder of the installed parts.
///
/// # Panics
/// Where they are not installed: `tests/run tools` does it.
pub fn tools() -> PathBuf {
    let folder = std::env::var_os("MOLTBOT_TEST_TOOLS").map_or_else(
        || {
            let cache = std::env::var_os("XDG_CACHE_HOME").map_or_else(
                || PathBuf::from(std::env::var_os("HOME").expect("HOME")).join(".cache"),
                PathBuf::from,
            );
            cache.join("moltbot/tools")
        },
        PathBuf::from,
    );
    assert!(
        folder.join("bin/llama-server").exists(),
        "the real parts are not installed in {}: run `tests/run tools`",
        folder.display()
    );
    folder
}

/// A real llama.cpp server with a real small model.
pub struct ModelServer {
    child: Child,
    port: u16,
}

impl ModelServer {
    /// Starts it and waits until it is ready. It knows its model as `smol`.
    pub async fn start(arguments: &[&str]) -> Self {
        let tools = tools();
        let port = free_port();
        let child = Command::new(tools.join("bin/llama-server"))
            .arg("--model")
            .arg(tools.join("model.gguf"))
            .args(["--alias", "smol", "--port", &port.to_string()])
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the model server starts");
        let server = Self { child, port };
        let client = crate::client().build().expect("a client");
        for _ in 0..300 {
            let health = client
                .get(format!("http://127.0.0.1:{port}/health"))
                .send()
                .await;
            if health.is_ok_and(|answer| answer.status().is_success()) {
                return server;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("the model server was not ready within 30 s");
    }

    /// The command of an `instance:` that serves the same model under the same name.
    pub fn command() -> serde_json::Value {
        let tools = tools();
        serde_json::json!([
            tools.join("bin/llama-server"),
            "--model",
            tools.join("model.gguf"),
            "--alias",
            "smol",
            "--port",
            "{port}",
            "--threads",
            "1"
        ])
    }

    /// Its base URL.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/v1", self.port)
    }

    /// Ends it as a crash would.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for ModelServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The processes that descend from `pid` and run, each with its command, oldest first.
pub fn descendants(pid: u32) -> Vec<(u32, String)> {
    let mut found = Vec::new();
    let mut open = vec![pid];
    while let Some(pid) = open.pop() {
        let threads = std::fs::read_dir(format!("/proc/{pid}/task"));
        for thread in threads.into_iter().flatten().flatten() {
            let children = std::fs::read_to_string(thread.path().join("children"));
            let children = children.unwrap_or_default();
            open.extend(
                children
                    .split_ascii_whitespace()
                    .flat_map(str::parse::<u32>),
            );
        }
        found.extend(command(pid).map(|command| (pid, command)));
    }
    found.retain(|(found, _)| *found != pid);
    found.sort_unstable();
    found
}

/// The command of a process that runs; one that has ended has none, though nobody may have noticed yet.
pub fn command(pid: u32) -> Option<String> {
    let command = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let command = String::from_utf8_lossy(&command).replace('\0', " ");
    (!command.is_empty()).then_some(command)
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("bound").port()
}

/// A real server of object storage whose buckets are the folders of a folder.
pub struct S3 {
    child: Child,
    port: u16,
}

impl S3 {
    /// The one key that it knows.
    pub const KEY: &str = "moltbotkey";
    /// The secret of the key.
    pub const SECRET: &str = "moltbotsecret";

    /// Starts it and waits until it listens.
    pub fn start(folder: &std::path::Path) -> Self {
        let port = free_port();
        let child = Command::new(tools().join("bin/rclone"))
            .args(["serve", "s3", "--addr", &format!("127.0.0.1:{port}")])
            .args(["--auth-key", &format!("{},{}", Self::KEY, Self::SECRET)])
            .arg(folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the server of object storage starts");
        let server = Self { child, port };
        for _ in 0..300 {
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return server;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("the server of object storage did not listen within 30 s");
    }

    /// Its base URL.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
