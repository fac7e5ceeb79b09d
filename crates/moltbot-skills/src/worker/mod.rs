//! Scripts run in worker processes: this program started again, closed in before it reads a line of script.
//!
//! A worker reads orders from its standard input and speaks on its standard output; it opens nothing else, and
//! its sandbox sees to that. A call gets a fresh engine, made before the call arrives; whatever a script wants
//! from outside, it asks its starter for.
//!
//! ```text
//! daemon ──order: run these files──▶ worker (no files, no network, no processes, empty environment)
//!        ◀──"fetch", "kv.get", …───   cpu, wall, memory, stack: its own watch
//!        ──settle────────────────▶
//!        ◀──done─────────────────     late: killed by the daemon
//! ```

mod engine;
mod frame;
mod loader;
mod pool;
mod process;
mod protocol;
mod sandbox;
mod serve;
mod types;

use std::env::args_os;
use std::process::exit;
use std::sync::atomic::{AtomicBool, Ordering};

pub use pool::{Pool, PoolSettings};
pub use protocol::{File, Program, Syntax};
pub use sandbox::{Landlock, Sandbox, close_in};

pub(crate) use process::{Asked, Job};
pub(crate) use protocol::Failure;

/// First argument of a worker.
const WORKER: &str = "--skill-worker";

static ENTERED: AtomicBool = AtomicBool::new(false);

/// Makes this program able to run scripts: the first line of `main`, before a runtime or a thread.
///
/// Returns at once, unless the process was started as a worker; then it does that work and never returns.
pub fn enter() {
    match args_os().nth(1) {
        Some(first) if first == WORKER => exit(serve::run()),
        _ => ENTERED.store(true, Ordering::Relaxed),
    }
}

/// Whether this program can be started as a worker.
fn entered() -> bool {
    ENTERED.load(Ordering::Relaxed)
}
