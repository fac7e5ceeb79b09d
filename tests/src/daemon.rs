//! A running `moltbotd`.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// How long anything may take before a test fails instead of hanging.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running daemon; it is killed when the test ends.
pub struct Daemon {
    child: Child,
    home: PathBuf,
    listen: String,
    admin: String,
}

impl Daemon {
    pub(crate) fn start(mut command: Command, home: &Path) -> Self {
        let bound = home.join("run/moltbotd.json");
        let _ = std::fs::remove_file(&bound);
        let child = command
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("moltbotd is built");
        let mut daemon = Self {
            child,
            home: home.to_owned(),
            listen: String::new(),
            admin: String::new(),
        };
        daemon.wait_for(|daemon| {
            if let Ok(Some(status)) = daemon.child.try_wait() {
                let mut said = String::new();
                if let Some(mut err) = daemon.child.stderr.take() {
                    use std::io::Read;
                    let _ = err.read_to_string(&mut said);
                }
                panic!("moltbotd ended with {status}: {said}");
            }
            let bound = std::fs::read(&bound).ok()?;
            let bound: Value = serde_json::from_slice(&bound).ok()?;
            daemon.listen = bound["listen"].as_str()?.to_owned();
            daemon.admin = bound["admin"].as_str()?.to_owned();
            Some(())
        });
        daemon
    }

    /// Waits until `look` finds something; a test that waits too long fails.
    #[track_caller]
    pub fn wait_for<T>(&mut self, mut look: impl FnMut(&mut Self) -> Option<T>) -> T {
        let mut waited = Duration::ZERO;
        loop {
            if let Some(found) = look(self) {
                return found;
            }
            assert!(waited < PATIENCE, "it did not happen within {PATIENCE:?}");
            std::thread::sleep(Duration::from_millis(20));
            waited += Duration::from_millis(20);
        }
    }

    /// A URL of the data plane.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.listen)
    }

    /// The address of the data plane.
    pub fn listen(&self) -> &str {
        &self.listen
    }

    /// A URL of the control plane.
    pub fn admin_url(&self, path: &str) -> String {
        format!("http://{}{path}", self.admin)
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The log lines so far, of all days.
    pub fn log(&self) -> Vec<Value> {
        let mut files: Vec<_> = std::fs::read_dir(self.home.join("logs"))
            .expect("logs/")
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|file| file.extension().is_some_and(|ending| ending == "jsonl"))
            .collect();
        files.sort();
        files
            .iter()
            .flat_map(|file| {
                let text = std::fs::read_to_string(file).expect("readable");
                text.lines()
                    .map(|line| serde_json::from_str(line).expect("a line of JSON"))
                    .collect::<Vec<Value>>()
            })
            .collect()
    }

    /// The log line of a request, once it is written.
    #[track_caller]
    pub fn line_of(&mut self, request_id: &str) -> Value {
        self.wait_for(|daemon| {
            daemon
                .log()
                .into_iter()
                .find(|line| line["request_id"] == request_id)
        })
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).expect("it runs");
    }

    /// Waits for its end.
    #[track_caller]
    pub fn ended(&mut self) -> ExitStatus {
        self.wait_for(|daemon| daemon.child.try_wait().expect("a child of ours"))
    }

    /// Asks it to end, and waits.
    #[track_caller]
    pub fn stop(mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.ended()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
