//! The signature of Standard Webhooks: `v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`.

use std::fmt;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};

use crate::channel::Refused;

/// How far a timestamp may lie from now, in seconds, either way.
const WINDOW: i64 = 300;

/// The secret of a webhook channel. It does not print.
#[derive(Clone)]
pub struct Secret(hmac::Key);

/// A text that is no webhook secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a webhook secret is `whsec_` and the base64 of at least 16 random bytes")]
pub struct SecretError;

impl Secret {
    /// Reads `whsec_` and base64.
    ///
    /// # Errors
    /// The text is none of that, or short enough to be guessed.
    pub fn new(text: &SecretString) -> Result<Self, SecretError> {
        let text = text.expose_secret().trim();
        let encoded = text.strip_prefix("whsec_").ok_or(SecretError)?;
        let bytes = STANDARD.decode(encoded).map_err(|_| SecretError)?;
        if bytes.len() < 16 {
            return Err(SecretError);
        }
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &bytes)))
    }

    /// The value of `webhook-signature` for a post.
    pub fn sign(&self, id: &str, timestamp: &str, body: &[u8]) -> String {
        let tag = hmac::sign(&self.0, &signed(id, timestamp, body));
        format!("v1,{}", STANDARD.encode(tag.as_ref()))
    }

    /// Checks the signature over the raw bytes first, the age then.
    pub(super) fn verify(
        &self,
        id: &str,
        timestamp: &str,
        signatures: &str,
        body: &[u8],
        now: i64,
    ) -> Result<(), Refused> {
        let content = signed(id, timestamp, body);
        // While a sender changes its secret it signs with both.
        let good = signatures.split(' ').any(|signature| {
            let encoded = signature.strip_prefix("v1,").unwrap_or_default();
            let tag = STANDARD.decode(encoded).unwrap_or_default();
            hmac::verify(&self.0, &content, &tag).is_ok()
        });
        if !good {
            return Err(Refused::untrusted("the signature is wrong"));
        }
        let at: i64 = timestamp
            .parse()
            .map_err(|_| Refused::untrusted("webhook-timestamp is no number of seconds"))?;
        if now.saturating_sub(at).saturating_abs() > WINDOW {
            let reason = "webhook-timestamp is more than 300 s from now";
            return Err(Refused::untrusted(reason));
        }
        Ok(())
    }
}

fn signed(id: &str, timestamp: &str, body: &[u8]) -> Vec<u8> {
    [id.as_bytes(), b".", timestamp.as_bytes(), b".", body].concat()
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}
