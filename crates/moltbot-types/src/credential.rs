//! As whom a call leaves.

use async_trait::async_trait;
use http::{HeaderName, HeaderValue};
use smallvec::SmallVec;

use crate::error::CallError;

/// The headers a credential adds to an upstream request; their values are marked sensitive.
pub type Headers = SmallVec<[(HeaderName, HeaderValue); 2]>;

/// What proves to an upstream who is calling.
#[async_trait]
pub trait Credential: Send + Sync + 'static {
    /// Tells credentials apart without telling the secret; health and rests are kept by it.
    fn id(&self) -> &str;

    /// The headers at hand, without waiting. `None`: ask [`Credential::fetch`].
    fn ready(&self) -> Option<Headers>;

    /// The headers, fetched first where that is needed.
    ///
    /// # Errors
    /// A [`CallError`] of kind `UpstreamAuth` that says `Elsewhere`: the credential is dead or missing.
    async fn fetch(&self) -> Result<Headers, CallError>;

    /// The upstream answered 401 to `shown`. True: a new one is there, the call may be repeated once.
    async fn refused(&self, shown: &Headers) -> bool {
        let _ = shown;
        false
    }

    /// What is wrong with it, in words for `status`; `None` where nothing is known to be.
    fn problem(&self) -> Option<String> {
        None
    }
}
