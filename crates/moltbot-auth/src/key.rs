//! Keys of callers: made here, shown once, stored as a digest that tells nothing.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::{digest, hmac, rand};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use moltbot_types::Caller;
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use crate::error::AuthError;

/// What every key made here begins with.
const PREFIX: &str = "mb_";
/// Random bytes of a key made here.
const STRENGTH: usize = 32;
/// Fewest characters of a key that was made elsewhere.
pub(crate) const SHORTEST: usize = 16;
/// Most characters of a key; longer ones are not looked at.
pub(crate) const LONGEST: usize = 512;

/// The text of a caller's key. It shows itself on request alone, and is wiped from memory at its end.
#[derive(Clone)]
pub struct CallerKey(SecretString);

impl CallerKey {
    /// A new key: `mb_` and 256 random bits.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub fn generate() -> Result<Self, AuthError> {
        let mut bytes = Zeroizing::new([0; STRENGTH]);
        rand::fill(&mut *bytes).map_err(|_| AuthError::Random)?;
        let text = Zeroizing::new(URL_SAFE_NO_PAD.encode(*bytes));
        Ok(Self(SecretString::from(format!("{PREFIX}{}", *text))))
    }

    /// A key that stands in a file, without blanks at its ends.
    ///
    /// # Errors
    /// It is empty, shorter than 16 characters, longer than 512, or not of visible ASCII alone.
    pub fn parse(text: &SecretString) -> Result<Self, AuthError> {
        let text = text.expose_secret().trim();
        match text.len() {
            0 => Err(AuthError::Empty),
            1..SHORTEST => Err(AuthError::Short),
            SHORTEST..=LONGEST if text.bytes().all(|byte| byte.is_ascii_graphic()) => {
                Ok(Self(text.into()))
            }
            SHORTEST..=LONGEST => Err(AuthError::Characters),
            _ => Err(AuthError::Long),
        }
    }

    /// The text, to be shown once or put into a file of mode 0600.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// Names the key in lists and log lines. Always the same for one key, and no help to guess it.
    pub fn id(&self) -> Arc<str> {
        let mut hash = digest::Context::new(&digest::SHA256);
        hash.update(b"moltbot key id\0");
        hash.update(self.expose().as_bytes());
        format!("key_{}", hex::encode(&hash.finish().as_ref()[..4])).into()
    }
}

impl fmt::Debug for CallerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CallerKey([redacted])")
    }
}

/// The server's own secret that goes into every stored digest, so that a stolen store is worth nothing.
#[derive(Clone)]
pub struct Pepper(hmac::Key);

impl Pepper {
    /// A pepper that was kept.
    pub fn new(bytes: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }

    /// A new pepper, for keys that are not stored.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub fn random() -> Result<Self, AuthError> {
        let mut bytes = Zeroizing::new([0; 32]);
        rand::fill(&mut *bytes).map_err(|_| AuthError::Random)?;
        Ok(Self::new(&bytes))
    }

    /// The stored form of `key`, which makes whoever shows it `caller`.
    pub fn store(&self, key: &CallerKey, caller: Caller) -> StoredKey {
        StoredKey {
            digest: self.digest(key.expose().as_bytes()),
            caller,
        }
    }

    pub(crate) fn digest(&self, shown: &[u8]) -> [u8; 32] {
        let tag = hmac::sign(&self.0, shown);
        let mut digest = [0; 32];
        digest.copy_from_slice(tag.as_ref());
        digest
    }

    pub(crate) fn key(&self) -> &hmac::Key {
        &self.0
    }
}

impl fmt::Debug for Pepper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pepper([redacted])")
    }
}

/// A key as it is stored.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredKey {
    /// HMAC-SHA-256 of the key's text with the pepper.
    pub digest: [u8; 32],
    /// Who shows it.
    pub caller: Caller,
}

impl fmt::Debug for StoredKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredKey")
            .field("caller", &self.caller)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_keys_differ_and_carry_256_bits() {
        let (a, b) = (
            CallerKey::generate().unwrap(),
            CallerKey::generate().unwrap(),
        );
        assert_ne!(a.expose(), b.expose());
        assert_ne!(a.id(), b.id());
        let random = a.expose().strip_prefix("mb_").unwrap();
        assert_eq!(URL_SAFE_NO_PAD.decode(random).unwrap().len(), 32);
    }

    #[test]
    fn neither_debug_nor_id_nor_stored_form_shows_the_key() {
        let text = "mb_canary0123456789";
        let key = CallerKey::parse(&text.into()).unwrap();
        let pepper = Pepper::random().unwrap();
        let stored = pepper.store(&key, Caller::anonymous());
        let shown = format!("{key:?} {pepper:?} {stored:?} {}", key.id());
        assert!(!shown.contains("canary"), "{shown}");
        assert_eq!(
            key.id(),
            CallerKey::parse(&" mb_canary0123456789\n".into())
                .unwrap()
                .id()
        );
    }

    #[test]
    fn another_pepper_gives_another_digest() {
        let key = CallerKey::generate().unwrap();
        let [a, b] = [[1; 32], [2; 32]]
            .map(|bytes| Pepper::new(&bytes).store(&key, Caller::anonymous()).digest);
        assert_ne!(a, b);
    }

    #[test]
    fn weak_and_broken_keys_are_refused() {
        for (text, error) in [
            (" ", AuthError::Empty),
            ("mb_short", AuthError::Short),
            ("mb_with a blank in it", AuthError::Characters),
            ("mb_ümlaut0123456789", AuthError::Characters),
        ] {
            assert_eq!(CallerKey::parse(&text.into()).unwrap_err(), error, "{text}");
        }
        let long = "x".repeat(LONGEST + 1);
        assert_eq!(
            CallerKey::parse(&long.as_str().into()).unwrap_err(),
            AuthError::Long
        );
    }
}
