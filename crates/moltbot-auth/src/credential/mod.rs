//! As whom a call leaves: what is added to a request to an upstream.

mod api_key;
mod client;
mod fault;
mod missing;
mod none;
pub mod oauth;
mod trial;

use std::sync::LazyLock;

use aws_lc_rs::hmac;

use crate::key::Pepper;
pub use api_key::{ApiKey, Placement};
pub use client::AuthClient;
pub use fault::{Cause, Fault};
pub use missing::Missing;
pub use none::NoCredential;
pub use oauth::{OAuth, OAuthSettings};
pub use trial::try_at;

/// An id that tells secrets apart within this process and nowhere else, so that they can't be guessed back.
fn told_apart(kind: &str, secret: &str) -> String {
    static PEPPER: LazyLock<Option<Pepper>> = LazyLock::new(|| Pepper::random().ok());
    let Some(pepper) = &*PEPPER else {
        return kind.to_owned();
    };
    let tag = hmac::sign(pepper.key(), secret.as_bytes());
    format!("{kind}:{}", hex::encode(&tag.as_ref()[..8]))
}
