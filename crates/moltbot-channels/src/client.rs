//! The one HTTP client of this crate: to platforms, and to the addresses that answers are posted to.

use std::time::Duration;

use crate::channel::ChannelError;
use crate::send::SendError;

/// Makes the client. It is cheap to clone; clones share its connections.
///
/// No proxy and no redirects, because what is sent is a secret; connected within 5 s, answered within 30 s. A
/// request that waits longer by design, such as a poll, sets its own time.
///
/// # Errors
/// TLS can't be set up.
#[expect(clippy::disallowed_methods, reason = "the one client of this crate")]
pub fn client() -> Result<reqwest::Client, ChannelError> {
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(Duration::from_secs(5))
        .timeout(Duration::from_secs(30))
        .pool_idle_timeout(Duration::from_secs(30))
        .user_agent(concat!("moltbot/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| ChannelError(format!("TLS can't be set up: {}", causes(&error))))
}

/// A request that came back without an answer: what is known of it. Addresses are left out, for they hold
/// secrets on some platforms.
pub fn unanswered(error: reqwest::Error) -> SendError {
    let (never_left, error) = (error.is_connect(), error.without_url());
    let reason = causes(&error);
    if never_left {
        SendError::Later {
            reason,
            after: None,
        }
    } else {
        SendError::Unknown(reason)
    }
}

/// An error and its causes, joined by `: `.
pub fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text.push_str(": ");
        text.push_str(&next.to_string());
        cause = next.source();
    }
    text
}
