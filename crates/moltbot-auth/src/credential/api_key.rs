//! A fixed key in a header.

use std::fmt;

use async_trait::async_trait;
use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue};
use moltbot_types::{CallError, Credential, Headers};
use secrecy::{ExposeSecret, SecretString};
use smallvec::smallvec;
use zeroize::Zeroizing;

use crate::error::AuthError;

/// Where a dialect wants the key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Placement {
    /// `authorization: Bearer KEY`.
    #[default]
    Bearer,
    /// The key alone, in a header of that name.
    Header(HeaderName),
}

/// A fixed key. Its header is made once, and marked sensitive.
///
/// ```
/// use moltbot_auth::credential::{ApiKey, Placement};
/// use moltbot_types::Credential;
///
/// let key = ApiKey::new(&"sk-very-secret".into(), &Placement::Bearer)?;
/// let headers = key.ready().unwrap();
/// assert_eq!(headers[0].1, "Bearer sk-very-secret");
/// assert!(!format!("{key:?}").contains("secret"));
/// # Ok::<(), moltbot_auth::AuthError>(())
/// ```
#[derive(Clone)]
pub struct ApiKey {
    id: String,
    headers: Headers,
}

impl ApiKey {
    /// A credential of that key, without blanks at its ends.
    ///
    /// # Errors
    /// The key is empty, or no header can carry it.
    pub fn new(key: &SecretString, placement: &Placement) -> Result<Self, AuthError> {
        let key = key.expose_secret().trim();
        if key.is_empty() {
            return Err(AuthError::Empty);
        }
        let (name, text) = match placement {
            Placement::Bearer => (AUTHORIZATION, Zeroizing::new(format!("Bearer {key}"))),
            Placement::Header(name) => (name.clone(), Zeroizing::new(key.to_owned())),
        };
        if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(AuthError::Characters);
        }
        let mut value = HeaderValue::from_str(&text).map_err(|_| AuthError::Characters)?;
        value.set_sensitive(true);
        Ok(Self {
            id: super::told_apart("api_key", &text),
            headers: smallvec![(name, value)],
        })
    }
}

#[async_trait]
impl Credential for ApiKey {
    fn id(&self) -> &str {
        &self.id
    }

    fn ready(&self) -> Option<Headers> {
        Some(self.headers.clone())
    }

    async fn fetch(&self) -> Result<Headers, CallError> {
        Ok(self.headers.clone())
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKey")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CANARY: &str = "sk-canary-0123456789";

    fn key(text: &str, placement: Placement) -> Result<ApiKey, AuthError> {
        ApiKey::new(&text.into(), &placement)
    }

    #[test]
    fn the_secret_shows_in_no_debug_output_and_no_id() {
        let key = key(CANARY, Placement::Bearer).unwrap();
        let shown = format!("{key:?} {:?} {}", key.ready(), key.id());
        assert!(!shown.contains("canary"), "{shown}");
    }

    #[test]
    fn equal_keys_have_one_id_and_others_another() {
        let id = |text| key(text, Placement::Bearer).unwrap().id().to_owned();
        assert_eq!(id(CANARY), id(" sk-canary-0123456789\n"));
        assert_ne!(id(CANARY), id("sk-other"));
    }

    #[tokio::test]
    async fn the_key_stands_where_the_dialect_wants_it() {
        let name = HeaderName::from_static("x-api-key");
        let key = key(CANARY, Placement::Header(name.clone())).unwrap();
        let headers = key.fetch().await.unwrap();
        assert_eq!(headers[0], (name, HeaderValue::from_static(CANARY)));
        assert!(headers[0].1.is_sensitive());
    }

    #[test]
    fn a_key_that_no_header_carries_is_refused() {
        assert_eq!(key(" \n", Placement::Bearer).unwrap_err(), AuthError::Empty);
        for wrong in ["a\nb", "a b", "schlüssel"] {
            let error = key(wrong, Placement::Bearer).unwrap_err();
            assert_eq!(error, AuthError::Characters, "{wrong}");
        }
    }
}
