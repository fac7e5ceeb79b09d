//! One process at a time works on a home.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::time::Duration;

use moltbot_config::Home;

use crate::gateway::StartError;

/// A command with the daemon down holds the lock for less than this.
const PATIENCE: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_millis(50);

/// The lock of a home; it is given back when this is dropped, and by the system when the process ends.
#[derive(Debug)]
pub struct HomeLock(#[expect(dead_code, reason = "held, not read")] File);

impl HomeLock {
    /// Takes the lock; a command that has it for a moment is waited for.
    ///
    /// # Errors
    /// Another process keeps it, or the home can't be written: one sentence with the cure.
    pub fn acquire(home: &Home) -> Result<Self, StartError> {
        let tries = PATIENCE.as_millis() / PAUSE.as_millis();
        for _ in 0..tries {
            if let Some(lock) = Self::try_acquire(home)? {
                return Ok(lock);
            }
            std::thread::sleep(PAUSE);
        }
        Self::try_acquire(home)?.ok_or_else(|| Self::busy(home))
    }

    /// Takes the lock where nobody has it.
    ///
    /// # Errors
    /// The home can't be written: one sentence with the cure.
    pub fn try_acquire(home: &Home) -> Result<Option<Self>, StartError> {
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
            Ok(()) => Ok(Some(Self(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(unusable(error)),
        }
    }

    /// What is said where another process keeps the lock.
    pub fn busy(home: &Home) -> StartError {
        StartError::failed(format!(
            "another moltbotd or moltctl already works on {}; stop it, or name another home with --home",
            home.root().display()
        ))
    }
}
