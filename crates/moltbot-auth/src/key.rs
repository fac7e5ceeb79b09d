//! Keys of callers: made here, shown once, stored as a digest that tells nothing.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::{digest, hmac, rand};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use crate::error::AuthError;

/// What every key made here begins with.
pub(crate) const PREFIX: &str = "mb_";
/// Characters of the id within a key.
const ID: usize = 12;
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
    /// A new key: `mb_`, an id that may be shown, and 256 random bits.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub fn generate() -> Result<Self, AuthError> {
        let mut id = [0; ID / 2];
        let mut bytes = Zeroizing::new([0; STRENGTH]);
        let random = rand::fill(&mut id).and_then(|()| rand::fill(&mut *bytes));
        random.map_err(|_| AuthError::Random)?;
        let text = Zeroizing::new(URL_SAFE_NO_PAD.encode(*bytes));
        let text = format!("{PREFIX}{}_{}", hex::encode(id), *text);
        Ok(Self(SecretString::from(text)))
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
        id(self.expose().as_bytes()).as_str().into()
    }
}

impl fmt::Debug for CallerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CallerKey([redacted])")
    }
}

/// The id of whatever is shown as a key: the one that stands in a key made here, or one that is made of any other
/// text.
pub(crate) fn id(shown: &[u8]) -> Id {
    let within = shown.strip_prefix(PREFIX.as_bytes());
    let within = within.and_then(|rest| rest.split_at_checked(ID));
    let is_hex = |id: &[u8]| id.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let mut text = *b"key_000000000000";
    match within {
        Some((id, [b'_', ..])) if is_hex(id) => text[4..].copy_from_slice(id),
        _ => {
            let mut hash = digest::Context::new(&digest::SHA256);
            hash.update(b"moltbot key id\0");
            hash.update(shown);
            let id = hex::encode(&hash.finish().as_ref()[..ID / 2]);
            text[4..].copy_from_slice(id.as_bytes());
        }
    }
    Id(text)
}

/// An id before it is known to be somebody's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Id([u8; 4 + ID]);

impl Id {
    pub(crate) fn as_str(&self) -> &str {
        // Invariant: hexadecimal digits alone.
        std::str::from_utf8(&self.0).unwrap_or_default()
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

    /// The bytes of a new pepper, to be kept where nobody else reads.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub fn generate() -> Result<Zeroizing<[u8; 32]>, AuthError> {
        let mut bytes = Zeroizing::new([0; 32]);
        rand::fill(&mut *bytes).map_err(|_| AuthError::Random)?;
        Ok(bytes)
    }

    /// A new pepper, for digests that are not kept.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub fn random() -> Result<Self, AuthError> {
        Ok(Self::new(&*Self::generate()?))
    }

    /// What a store keeps of `key`.
    pub fn digest_of(&self, key: &CallerKey) -> [u8; 32] {
        self.digest(key.expose().as_bytes())
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
        let (id, random) = a.expose()[3..].split_once('_').unwrap();
        assert_eq!(a.id().strip_prefix("key_"), Some(id));
        assert_eq!(URL_SAFE_NO_PAD.decode(random).unwrap().len(), 32);
    }

    #[test]
    fn an_id_tells_nothing_of_a_key_that_has_none() {
        let key = CallerKey::parse(&"mb_canary0123456789abcdef".into()).unwrap();
        assert!(!key.id().contains("canary") && !key.id().contains("0123456789"));
        assert_eq!(key.id().len(), 16);
    }

    #[test]
    fn neither_debug_nor_id_shows_the_key() {
        let text = "mb_canary0123456789";
        let key = CallerKey::parse(&text.into()).unwrap();
        let pepper = Pepper::random().unwrap();
        let shown = format!("{key:?} {pepper:?} {}", key.id());
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
        let [a, b] = [[1; 32], [2; 32]].map(|bytes| Pepper::new(&bytes).digest_of(&key));
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
