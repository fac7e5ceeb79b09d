//! What a server prints goes to the log, line by line, within bounds of length and rate.

#[cfg(test)]
mod tests;

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::Instant;
use tracing::{info, warn};

/// Longest line, in bytes; what follows is left out.
const LONGEST: usize = 2048;
/// Lines of one stream that are told in a window; what follows is counted.
const LINES: u32 = 200;
const WINDOW: Duration = Duration::from_secs(1);

/// Reads a stream of a server to its end. It always reads on: a full pipe would stop the server.
pub(super) async fn pump<R>(mut from: R, model: String, replica: usize, stream: &'static str)
where
    R: AsyncRead + Unpin,
{
    let mut lines = Lines::default();
    let mut rate = Rate::new();
    let mut chunk = vec![0; 8192];
    let mut tell = |line: &str| {
        let Some(left_out) = rate.admit() else { return };
        if left_out > 0 {
            warn!(target: "moltbot::instance", model, replica, stream, "{left_out} lines were left out");
        }
        info!(target: "moltbot::instance", model, replica, stream, "{line}");
    };
    while let Ok(read @ 1..) = from.read(&mut chunk).await {
        lines.push(&chunk[..read], &mut tell);
    }
    lines.end(&mut tell);
    if rate.left_out > 0 {
        warn!(target: "moltbot::instance", model, replica, stream, "{} lines were left out", rate.left_out);
    }
}

/// Cuts bytes into lines. A carriage return ends one too: progress bars use it.
#[derive(Debug, Default)]
struct Lines {
    line: Vec<u8>,
    cut: bool,
}

impl Lines {
    fn push(&mut self, mut bytes: &[u8], tell: &mut impl FnMut(&str)) {
        while let Some(end) = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            self.add(&bytes[..end]);
            self.end(tell);
            bytes = &bytes[end + 1..];
        }
        self.add(bytes);
    }

    fn add(&mut self, bytes: &[u8]) {
        let room = LONGEST - self.line.len();
        self.cut |= bytes.len() > room;
        self.line.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn end(&mut self, tell: &mut impl FnMut(&str)) {
        let text = String::from_utf8_lossy(&self.line);
        let text = text.trim_end();
        if self.cut {
            tell(&format!("{text}…"));
        } else if !text.is_empty() {
            tell(text);
        }
        self.line.clear();
        self.cut = false;
    }
}

/// Admits so many lines in each window of time.
#[derive(Debug)]
struct Rate {
    begun: Instant,
    told: u32,
    left_out: u64,
}

impl Rate {
    fn new() -> Self {
        Self {
            begun: Instant::now(),
            told: 0,
            left_out: 0,
        }
    }

    /// Whether a line may be told; if so, how many were left out before it.
    fn admit(&mut self) -> Option<u64> {
        if self.begun.elapsed() >= WINDOW {
            self.begun = Instant::now();
            self.told = 0;
        }
        if self.told == LINES {
            self.left_out += 1;
            return None;
        }
        self.told += 1;
        Some(std::mem::take(&mut self.left_out))
    }
}
