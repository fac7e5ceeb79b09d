//! Why there is no good token.

use std::fmt;

/// What is to blame, so that a person knows where to look first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// What we show is refused: secret, client, scope or refresh token.
    Secret,
    /// This machine's clock is off.
    Clock,
    /// The token server can't be reached, or does not do its work.
    Server,
}

impl Cause {
    /// One word: `secret`, `clock` or `server`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Secret => "secret",
            Self::Clock => "clock",
            Self::Server => "server",
        }
    }
}

/// Why there is no good token: what is to blame, what happened and what to do. It holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Fault {
    /// What is to blame.
    pub cause: Cause,
    /// What happened and what to do, in one line.
    pub words: String,
}

impl Fault {
    /// What we show is refused.
    pub(crate) fn secret(words: impl Into<String>) -> Self {
        Self::new(Cause::Secret, words)
    }

    /// The clock is off.
    pub(crate) fn clock(words: impl Into<String>) -> Self {
        Self::new(Cause::Clock, words)
    }

    /// The server is to blame.
    pub(crate) fn server(words: impl Into<String>) -> Self {
        Self::new(Cause::Server, words)
    }

    fn new(cause: Cause, words: impl Into<String>) -> Self {
        Self {
            cause,
            words: words.into(),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.cause {
            Cause::Secret => "wrong secret",
            Cause::Clock => "wrong clock",
            Cause::Server => "server",
        };
        write!(f, "{what}: {}", self.words)
    }
}
