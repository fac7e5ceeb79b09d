//! What is known about a replica.

use std::fmt;
use std::net::SocketAddr;

use tokio::time::Instant;

/// Where a replica is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Its server was started and has not answered yet.
    Starting,
    /// Its server answers.
    Ready,
    /// Its server answered once, now it neither answers nor works. It is replaced if that lasts.
    Unresponsive,
    /// Its server is gone; the next start waits.
    BackingOff,
    /// It was stopped, for good.
    Stopped,
}

impl State {
    /// Its word in the status: `starting`, `ready`, `unresponsive`, `backing_off` or `stopped`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Unresponsive => "unresponsive",
            Self::BackingOff => "backing_off",
            Self::Stopped => "stopped",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// What is known about a replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Where it is in its life.
    pub state: State,
    /// Since when.
    pub since: Instant,
    /// Where its server listens.
    pub address: SocketAddr,
    /// The process of its server, while one runs.
    pub pid: Option<u32>,
    /// How many times a server was started anew.
    pub restarts: u64,
    /// Whether the last start did not become ready in time; a start that does ends it.
    pub late: bool,
    /// Why it is not ready, or why the server before this one ended.
    pub reason: Option<String>,
}

impl Status {
    pub(super) fn new(address: SocketAddr) -> Self {
        Self {
            state: State::Starting,
            since: Instant::now(),
            address,
            pid: None,
            restarts: 0,
            late: false,
            reason: None,
        }
    }

    /// Whether calls can be sent to it.
    pub fn is_ready(&self) -> bool {
        self.state == State::Ready
    }

    /// Where its server listens, as `http://127.0.0.1:PORT`.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn enter(&mut self, state: State) {
        self.state = state;
        self.since = Instant::now();
    }
}
