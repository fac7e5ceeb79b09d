//! What is known of a credential at an instant.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use moltbot_types::Headers;
use tokio::time::Instant;

use crate::credential::fault::Fault;

/// A token, ready to be shown.
pub(super) struct Token {
    /// The header that shows it, marked sensitive.
    pub(super) headers: Headers,
    /// When it came.
    pub(super) received: Instant,
    /// When it is of no use any longer.
    pub(super) expires: Instant,
    /// It came because the one before was refused.
    pub(super) instead: bool,
}

/// What is known of a credential; the token itself can't be seen.
#[derive(Clone, Default)]
pub struct OAuthState {
    pub(super) token: Option<Arc<Token>>,
    pub(super) fault: Option<Fault>,
    pub(super) doubted: bool,
    pub(super) skew: Option<i64>,
}

impl OAuthState {
    /// The token, while it lives.
    pub(super) fn token(&self) -> Option<&Arc<Token>> {
        let now = Instant::now();
        self.token.as_ref().filter(|token| now < token.expires)
    }

    /// A token is there, and nobody refused it.
    pub fn is_good(&self) -> bool {
        self.token().is_some() && !self.doubted
    }

    /// It was tried, and there is no good token.
    pub fn is_dead(&self) -> bool {
        self.fault.is_some() && !self.is_good()
    }

    /// Why the last renewal failed; the token before it may still be good.
    pub fn fault(&self) -> Option<&Fault> {
        self.fault.as_ref()
    }

    /// Seconds that this machine's clock is ahead of the token server's.
    pub fn skew_s(&self) -> Option<i64> {
        self.skew
    }

    /// How long the token still lives.
    pub fn lives(&self) -> Option<Duration> {
        let token = self.token()?;
        Some(token.expires.saturating_duration_since(Instant::now()))
    }
}

impl fmt::Debug for OAuthState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OAuthState")
            .field("lives", &self.lives())
            .field("fault", &self.fault)
            .field("doubted", &self.doubted)
            .field("skew", &self.skew)
            .finish()
    }
}
