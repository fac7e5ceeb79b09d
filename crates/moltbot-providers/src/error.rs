//! What can be wrong when a target or the pool is set up.

use moltbot_types::TargetId;

/// A target or the pool can't be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// TLS can't be set up, or a given root is no certificate.
    #[error("TLS can't be set up: {0}")]
    Tls(#[from] rustls::Error),
    /// The base URL of a target is none. The URL is not repeated, for it may hold a secret.
    #[error(
        "the URL of target `{target}` can't be used: {why}; write it like https://api.example.com/v1"
    )]
    Url {
        /// The target.
        target: TargetId,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The servers of a model can't be started at all.
    #[error("instance `{name}` can't be set up: {why}")]
    Instance {
        /// The name of its settings.
        name: String,
        /// What is wrong.
        why: &'static str,
    },
}
