//! One server that runs below its guard, from start to end.

use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::Stdio;
use std::time::Duration;

use futures_util::future::join;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use super::guard;
use super::output::pump;
use super::settings::InstanceSettings;

/// How long killed processes may take to be gone.
const GONE: Duration = Duration::from_secs(5);
/// How long the rest of their output is waited for.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What is heard of a server.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// It has this process.
    Runs(u32),
    /// It is gone, for this reason.
    Ended(String),
}

/// A server, its guard and the tasks that read its output. Dropping it kills the server.
#[derive(Debug)]
pub(super) struct Process {
    guard: Child,
    events: Lines<BufReader<OwnedReadHalf>>,
    orders: OwnedWriteHalf,
    program: String,
    pid: Option<Pid>,
    output: (JoinHandle<()>, JoinHandle<()>),
}

impl Process {
    /// Starts the command on the port. A command that can't be started is an [`Event::Ended`].
    ///
    /// # Errors
    /// The guard can't be started.
    pub(super) fn start(
        settings: &InstanceSettings,
        replica: usize,
        port: u16,
        tracker: &TaskTracker,
    ) -> io::Result<Self> {
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let (events, orders) = tokio::net::UnixStream::from_std(ours)?.into_split();
        let mut command = match &settings.guard {
            Some(program) => Command::new(program),
            None => Command::new(guard::own_program()?),
        };
        command
            .arg0("instance-guard")
            .arg(guard::GUARD)
            .args(settings.command_on(port))
            .env("PORT", port.to_string())
            .stdin(OwnedFd::from(theirs))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0); // a Ctrl-C is the daemon's to hear
        for (name, _) in env::vars_os().filter(|(name, _)| is_ours(name)) {
            command.env_remove(name);
        }
        let mut guard = command.spawn()?;
        let pipes = (guard.stdout.take(), guard.stderr.take());
        let (Some(stdout), Some(stderr)) = pipes else {
            return Err(io::Error::other("no pipe for its output"));
        };
        let name = &settings.name;
        Ok(Self {
            guard,
            events: BufReader::new(events).lines(),
            orders,
            program: settings.program().to_owned(),
            pid: None,
            output: (
                tracker.spawn(pump(stdout, name.clone(), replica, "stdout")),
                tracker.spawn(pump(stderr, name.clone(), replica, "stderr")),
            ),
        })
    }

    /// Waits for the next event. Dropping the future loses none.
    pub(super) async fn next(&mut self) -> Event {
        while let Ok(Some(line)) = self.events.next_line().await {
            let (word, number) = line.split_once(' ').unwrap_or_default();
            let number: i32 = number.parse().unwrap_or_default();
            match word {
                "pid" => {
                    self.pid = Pid::from_raw(number);
                    return Event::Runs(number.unsigned_abs());
                }
                "failed" => return Event::Ended(not_started(&self.program, number)),
                "exit" => return Event::Ended(exited(number)),
                "signal" => return Event::Ended(killed(number)),
                _ => {}
            }
        }
        Event::Ended("its guard was killed, so it was ended too".to_owned())
    }

    /// Asks the server to end, and kills what is left of it after `grace`.
    pub(super) async fn stop(mut self, grace: Duration) {
        let _ = self.orders.write_all(&[guard::TERMINATE]).await;
        let ended = async { while !matches!(self.next().await, Event::Ended(_)) {} };
        let _ = timeout(grace, ended).await;
        self.end().await;
    }

    /// Kills all that is left of the server and waits until it is gone.
    pub(super) async fn end(self) {
        let mut guard = self.guard;
        drop(self.orders);
        let gone = timeout(GONE, guard.wait()).await;
        let well = matches!(gone, Ok(Ok(status)) if status.code().is_some());
        if !well {
            // The guard was killed or is stopped.
            if let Some(group) = self.pid {
                let _ = kill_process_group(group, Signal::KILL);
            }
            let _ = guard.start_kill();
            let _ = timeout(LAST_WORDS, guard.wait()).await;
        }
        let (mut stdout, mut stderr) = self.output;
        // A process that escaped may hold the pipes for ever.
        let _ = timeout(LAST_WORDS, join(&mut stdout, &mut stderr)).await;
        stdout.abort();
        stderr.abort();
    }
}

/// Variables that are meant for this program alone: its own, which may be secrets, and those by which a
/// service manager speaks with it.
fn is_ours(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    let prefixes = ["MOLTBOT_", "LISTEN_", "WATCHDOG_"];
    name == "NOTIFY_SOCKET" || prefixes.iter().any(|prefix| name.starts_with(prefix))
}

fn not_started(program: &str, number: i32) -> String {
    let error = io::Error::from_raw_os_error(number);
    match error.kind() {
        io::ErrorKind::NotFound => format!(
            "the program `{program}` was not found: install it, or write its full path in `instance.command`"
        ),
        io::ErrorKind::PermissionDenied => {
            format!("the program `{program}` can't be run: its file is not executable")
        }
        _ => format!("the program `{program}` can't be run: {error}"),
    }
}

fn exited(code: i32) -> String {
    match code {
        0 => "it ended by itself; the command must stay in the foreground".to_owned(),
        code => format!("it ended with status {code}; its output in the log may say why"),
    }
}

fn killed(signal: i32) -> String {
    let name = match signal {
        6 => "SIGABRT",
        7 => "SIGBUS",
        9 => "SIGKILL, maybe for lack of memory",
        11 => "SIGSEGV",
        15 => "SIGTERM",
        signal => return format!("it was ended by signal {signal}"),
    };
    format!("it was ended by {name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_daemons_own_variables_are_kept_from_servers() {
        assert!(is_ours(OsStr::new("MOLTBOT_SERVER__LISTEN")));
        assert!(is_ours(OsStr::new("NOTIFY_SOCKET")));
        assert!(!is_ours(OsStr::new("CUDA_VISIBLE_DEVICES")));
    }
}
