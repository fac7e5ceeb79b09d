//! What a credential of OAuth 2.0 is made of.

use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};
use secrecy::{ExposeSecret, SecretString};

/// As which client tokens are fetched, and where.
///
/// The grant is the refresh token where one is given, else client credentials.
#[derive(Clone, Debug)]
pub struct OAuthSettings {
    /// Names the credential in `status` and the log, never its secret: `model/NAME`, `profile/NAME`.
    pub name: String,
    /// The client, as the token server knows it.
    pub client_id: String,
    /// Its secret; `None` for a public client, which needs a refresh token.
    pub client_secret: Option<SecretString>,
    /// Where tokens are fetched.
    pub token_url: String,
    /// What is asked for, words separated by blanks.
    pub scope: Option<String>,
    /// The refresh token that a person got. Where the server answers with another one, that is kept and used.
    pub refresh_token: Option<SecretString>,
    /// Longest time of one request to the token server.
    pub timeout: Duration,
    /// Longest time a call waits for a token.
    pub wait: Duration,
}

impl Default for OAuthSettings {
    fn default() -> Self {
        Self {
            name: String::new(),
            client_id: String::new(),
            client_secret: None,
            token_url: String::new(),
            scope: None,
            refresh_token: None,
            timeout: Duration::from_secs(10),
            wait: Duration::from_secs(10),
        }
    }
}

impl OAuthSettings {
    /// Equal where the same client gets the same tokens at the same place, whatever it is called. It tells
    /// nothing of the secrets, as far as they can't be guessed: it names files, and is not logged.
    pub fn fingerprint(&self) -> String {
        let mut hash = Context::new(&SHA256);
        let secret = |secret: &Option<SecretString>| {
            secret
                .as_ref()
                .map(|secret| secret.expose_secret().to_owned())
        };
        for part in [
            Some(self.client_id.clone()),
            Some(self.token_url.clone()),
            self.scope.clone(),
            secret(&self.client_secret),
            secret(&self.refresh_token),
        ] {
            let part = zeroize::Zeroizing::new(part.unwrap_or_default());
            hash.update(&part.len().to_le_bytes());
            hash.update(part.as_bytes());
        }
        hex::encode(&hash.finish().as_ref()[..16])
    }
}
