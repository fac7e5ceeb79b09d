//! Why a command failed, and with which exit code.

use std::io;

/// A failure: what to tell, and the exit code of the contract.
#[derive(Debug)]
pub(crate) struct Failure {
    /// 1 failed, 2 wrong use, 3 daemon unreachable, 4 no such thing, 5 refused by policy, 78 bad configuration.
    pub(crate) exit: u8,
    /// What happened and what to do.
    pub(crate) message: String,
}

impl Failure {
    pub(crate) fn new(exit: u8, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
        }
    }

    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::new(1, message)
    }

    pub(crate) fn unreachable(message: impl Into<String>) -> Self {
        Self::new(3, message)
    }

    /// Says it on standard error; nothing where the reader of our output has gone.
    pub(crate) fn print(&self) {
        if self.message.is_empty() {
            return;
        }
        let style = crate::output::BAD;
        anstream::eprintln!("{style}moltctl:{style:#} {}", self.message);
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::new(0, "");
        }
        Self::failed(error.to_string())
    }
}
