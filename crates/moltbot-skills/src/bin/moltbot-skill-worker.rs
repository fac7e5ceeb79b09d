//! A worker and nothing else, for programs whose own file can't be started again.

use std::process::ExitCode;

fn main() -> ExitCode {
    moltbot_skills::worker::enter();
    eprintln!("moltbot-skill-worker is started by a pool of workers, not by hand");
    ExitCode::from(2)
}
