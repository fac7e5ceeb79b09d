//! A home in a temporary folder, and `moltctl` working on it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

use crate::Daemon;

/// A home that is removed at the end of the test.
pub struct Home {
    folder: TempDir,
}

/// What a command printed, and how it ended.
#[derive(Debug)]
pub struct Ran {
    /// The exit code.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Ran {
    fn of(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// The command was done; its standard output.
    #[track_caller]
    pub fn done(self) -> String {
        assert_eq!(self.code, 0, "{self:?}");
        self.out
    }

    /// The command failed with that exit code; its standard error.
    #[track_caller]
    pub fn failed(self, code: i32) -> String {
        assert_eq!(self.code, code, "{self:?}");
        self.err
    }

    /// The command was done; its output as JSON.
    #[track_caller]
    pub fn json(self) -> serde_json::Value {
        let out = self.done();
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}"))
    }
}

impl Home {
    /// An empty folder.
    pub fn empty() -> Self {
        let folder = tempfile::Builder::new().prefix("moltbot-test-").tempdir();
        Self {
            folder: folder.expect("a temporary folder"),
        }
    }

    /// A home with this `gateway.yaml`, on free ports, without keys.
    pub fn with(yaml: &str) -> Self {
        let home = Self::empty();
        home.configure(yaml);
        home
    }

    /// A home as `moltctl init` makes it.
    pub fn init() -> Self {
        let home = Self::empty();
        home.ctl(&["init", "--yes"]).done();
        home
    }

    /// Writes `gateway.yaml`: free ports and no keys, then `yaml`.
    pub fn configure(&self, yaml: &str) {
        let server = "server: { listen: \"127.0.0.1:0\", admin: \"127.0.0.1:0\", auth: none }\n";
        self.write("config/gateway.yaml", &format!("{server}{yaml}"));
    }

    /// Writes a file of the home.
    pub fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(path, text).expect("written");
    }

    /// Reads a file of the home.
    pub fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.path(path)).expect("readable")
    }

    /// The path of a file of the home.
    pub fn path(&self, path: &str) -> PathBuf {
        self.root().join(path)
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        self.folder.path()
    }

    /// Runs `moltctl` on this home.
    pub fn ctl(&self, arguments: &[&str]) -> Ran {
        self.ctl_with(arguments, "")
    }

    /// Runs `moltctl` with something to read.
    pub fn ctl_with(&self, arguments: &[&str], input: &str) -> Ran {
        use std::io::Write;
        let mut child = self
            .command("moltctl")
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("moltctl is built");
        let mut stdin = child.stdin.take().expect("piped");
        // A command that reads nothing may have gone already.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        Ran::of(child.wait_with_output().expect("it ends"))
    }

    /// Runs `moltbotd` to its end, for starts that must fail.
    pub fn moltbotd(&self, arguments: &[&str]) -> Ran {
        let output = self.command("moltbotd").args(arguments).output();
        Ran::of(output.expect("moltbotd is built"))
    }

    /// Starts the daemon and waits until it is ready.
    pub fn start(&self) -> Daemon {
        Daemon::start(self.command("moltbotd"), self.root())
    }

    /// The same within a network namespace; only root may enter one.
    pub fn start_in(&self, namespace: &str) -> Daemon {
        let mut command = Command::new("ip");
        command
            .args(["netns", "exec", namespace])
            .arg(built("moltbotd"))
            .env("MOLTBOT_HOME", self.root())
            .stdin(Stdio::null());
        Daemon::start(command, self.root())
    }

    /// A program of ours with this home and a clean environment.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(built(program));
        command
            .env("MOLTBOT_HOME", self.root())
            .stdin(Stdio::null());
        command
    }
}

/// A program of the workspace: built beside the test itself.
pub(crate) fn built(program: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the test's own path");
    let profile = test
        .parent()
        .and_then(Path::parent)
        .expect("target/PROFILE/deps");
    profile.join(program)
}
