//! One process at a time works on a home.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;

use moltbot_config::Home;

use crate::gateway::StartError;

/// The lock of a home; it is given back when this is dropped, and by the system when the process ends.
#[derive(Debug)]
pub struct HomeLock(#[expect(dead_code, reason = "held, not read")] File);

impl HomeLock {
    /// Takes the lock.
    ///
    /// # Errors
    /// Another process has it, or the home can't be written: one sentence with the cure.
    pub fn acquire(home: &Home) -> Result<Self, StartError> {
        let run = home.run_dir();
        let unusable = |error: std::io::Error| {
            StartError::failed(format!(
                "{} can't be written: {error}; give the user that runs this access to it, or name another home with --home",
                run.display()
            ))
        };
        std::fs::create_dir_all(&run).map_err(unusable)?;
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(run.join("lock"))
            .map_err(unusable)?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(StartError::failed(format!(
                "another moltbotd or moltctl already works on {}; stop it, or name another home with --home",
                home.root().display()
            ))),
            Err(TryLockError::Error(error)) => Err(unusable(error)),
        }
    }
}
