//! The process between this program and a model server, which ends the server when this program is gone.
//!
//! A program that is killed with SIGKILL can't clean up, so another process must. A guard is this program
//! started again; it holds one end of a socket whose other end nobody but its starter has. It starts the
//! server in a process group of its own and tells how it ends. When the socket is closed, which a killed
//! starter does too, it kills the group, and everything else that descends from the server, before it
//! ends itself.
//!
//! Between guard and server lies one more step, for the case that the guard is killed: it asks the kernel
//! to be killed when its parent ends, and then becomes the server by `exec`, which keeps that wish. Code
//! between `fork` and `exec` would do the same but is `unsafe`.
//!
//! ```text
//! daemon ──socket, closed: kill──▶ guard ──death signal──▶ server ──▶ its workers
//!        ◀──"pid 7", "exit 3"───
//! ```

use std::env::{ArgsOs, args_os};
use std::ffi::OsString;
use std::io::{self, Write};
use std::iter::Skip;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio, exit};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::process::{
    Pid, Signal, WaitOptions, WaitStatus, kill_process, kill_process_group, wait,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::sleep;

/// First argument of a guard; the command follows.
pub(super) const GUARD: &str = "--guard-instance";
/// First argument of the step that becomes the server; the command follows.
const BECOME: &str = "--become-instance";
/// The order to ask the server to end. The end of orders is the order to kill it.
pub(super) const TERMINATE: u8 = b't';
/// How a program exits that could not become the server.
const NOT_STARTED: i32 = 127;

static ENTERED: AtomicBool = AtomicBool::new(false);

/// Makes this program able to guard its servers: the first line of `main`, before a runtime or a thread
/// and before arguments are read.
///
/// Returns at once, unless the process was started as a guard; then it does that work and never returns.
pub fn enter() {
    let mut args = args_os().skip(1);
    match args.next() {
        Some(first) if first == GUARD => exit(guard(args)),
        Some(first) if first == BECOME => exit(become_server(args)),
        _ => ENTERED.store(true, Ordering::Relaxed),
    }
}

/// Whether this program can be started as a guard.
pub(super) fn entered() -> bool {
    ENTERED.load(Ordering::Relaxed)
}

/// The socket to who started this; it is standard input, which has no other use here.
fn control() -> io::Result<UnixStream> {
    let control: OwnedFd = io::stdin().as_fd().try_clone_to_owned()?;
    Ok(UnixStream::from(control))
}

fn guard(command: Skip<ArgsOs>) -> i32 {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    match runtime.and_then(|runtime| runtime.block_on(watch(command))) {
        Ok(code) => code,
        Err(error) => {
            // Whoever reads this stream logs it; the closed socket tells the rest.
            let _ = writeln!(io::stderr(), "the guard of a model server failed: {error}");
            NOT_STARTED
        }
    }
}

/// Starts the server and watches it to its end, or until nobody wants it any more.
async fn watch(command: Skip<ArgsOs>) -> io::Result<i32> {
    let control = control()?;
    control.set_nonblocking(true)?;
    let mut control = tokio::net::UnixStream::from_std(control)?;
    let mut children = signal(SignalKind::child())?;
    let mut terminate = signal(SignalKind::terminate())?;
    adopt_orphans();
    let server = spawn(command)?;
    let told = format!("pid {}\n", server.as_raw_nonzero());
    let mut wanted = control.write_all(told.as_bytes()).await.is_ok();
    let mut code = 0;
    while wanted {
        tokio::select! {
            _ = children.recv() => if let Some(status) = reap(server) {
                let (word, number) = match status.terminating_signal() {
                    Some(signal) => ("signal", signal),
                    None => ("exit", status.exit_status().unwrap_or_default()),
                };
                code = if word == "exit" { number } else { 128 + number };
                let _ = control.write_all(format!("{word} {number}\n").as_bytes()).await;
                wanted = false;
            },
            // A service manager that ends all processes of a service means the server too.
            _ = terminate.recv() => ask_to_end(server),
            order = control.read_u8() => match order {
                Ok(TERMINATE) => ask_to_end(server),
                _ => wanted = false,
            },
        }
    }
    kill_all(server).await;
    Ok(code)
}

/// Starts the step that becomes the server; its process id stays.
fn spawn(command: Skip<ArgsOs>) -> io::Result<Pid> {
    let mut server = Command::new(own_program()?);
    server.arg0("instance").arg(BECOME).args(command);
    // `kill_all` and `reap` wait for it, as for everything else that descends from here.
    #[allow(clippy::zombie_processes)]
    let child = server.process_group(0).spawn()?;
    Ok(Pid::from_child(&child))
}

fn become_server(mut command: Skip<ArgsOs>) -> i32 {
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
    let Ok(mut control) = control() else {
        return NOT_STARTED;
    };
    let program: OsString = command.next().unwrap_or_default();
    let error = Command::new(program)
        .args(command)
        .stdin(Stdio::null())
        .exec();
    let number = error.raw_os_error().unwrap_or_default();
    let _ = control.write_all(format!("failed {number}\n").as_bytes());
    NOT_STARTED
}

/// The file of this program, also after it was replaced by an upgrade.
pub(super) fn own_program() -> io::Result<std::path::PathBuf> {
    if cfg!(target_os = "linux") {
        Ok("/proc/self/exe".into())
    } else {
        std::env::current_exe()
    }
}

/// From now on a process whose parent ends becomes a child of this one instead of one of init's.
fn adopt_orphans() {
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
}

fn ask_to_end(server: Pid) {
    let _ = kill_process_group(server, Signal::TERM);
}

/// Buries the dead; the status of the server, if it is among them.
fn reap(server: Pid) -> Option<WaitStatus> {
    let mut found = None;
    while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
        if pid == server {
            found = Some(status);
        }
    }
    found
}

/// Kills the server's group and, where the system tells them, all other processes that descend from it,
/// until none is left.
async fn kill_all(server: Pid) {
    loop {
        let _ = kill_process_group(server, Signal::KILL);
        for child in children() {
            let _ = kill_process(child, Signal::KILL);
        }
        reap(server);
        match wait(WaitOptions::NOHANG) {
            Ok(_) => sleep(Duration::from_millis(20)).await,
            Err(_) => return, // no child is left
        }
    }
}

/// The children of this process. A dead parent's children become ours, so whoever kills these again and
/// again gets them all.
fn children() -> Vec<Pid> {
    let Ok(threads) = std::fs::read_dir("/proc/self/task") else {
        return Vec::new();
    };
    let lists = threads
        .flatten()
        .filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok());
    let pid = |word: &str| word.parse().ok().and_then(Pid::from_raw);
    lists
        .flat_map(|list| {
            list.split_ascii_whitespace()
                .filter_map(pid)
                .collect::<Vec<_>>()
        })
        .collect()
}
