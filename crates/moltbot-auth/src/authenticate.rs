//! Who is calling: the one question every door asks first.

use std::net::IpAddr;

use http::HeaderMap;
use moltbot_types::{CallError, Caller};

/// Finds out who is calling.
pub trait Authenticate: Send + Sync {
    /// The caller that `headers` prove; `peer` is the address that the request came from, `None` for a
    /// unix socket.
    ///
    /// # Errors
    /// `Unauthorized` without a key that is known, `RateLimited` after too many wrong ones, `Forbidden`
    /// where the request may not be made at all. The words help an honest caller and reveal nothing.
    fn authenticate(&self, headers: &HeaderMap, peer: Option<IpAddr>) -> Result<Caller, CallError>;
}
