//! The guard for untrusted URLs: the only way to an HTTP client for addresses that somebody else wrote.
//!
//! A URL is brought into one form before anything is decided, so that no spelling of an address escapes.
//! Each connection is made to an address that was just checked, and none is kept, so that a name which
//! changes its mind gains nothing. Errors tell apart what is written in the URL, and nothing of what
//! stands behind it.

mod address;
mod exchange;
mod net;
mod place;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::LOCATION;
use http::{HeaderMap, Method, StatusCode};
use rustls::pki_types::CertificateDer;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tracing::debug;
use url::Url;

use net::{Net, System};
pub use place::Place;

/// What the guard lets through.
#[derive(Clone, Debug)]
pub struct EdgeSettings {
    /// The only places that may be asked, with their ports; `None` is every public one, on `ports`.
    pub only: Option<Vec<Place>>,
    /// Places that may be asked although they are private or have another port. Link-local addresses
    /// must be named themselves; a name that leads to one is not enough.
    pub private: Vec<Place>,
    /// The ports of all other places.
    pub ports: Vec<u16>,
    /// Where we listen ourselves: never asked on this machine, whatever else is allowed.
    pub own: Vec<SocketAddr>,
    /// Redirects that are followed, each checked like the first URL. With none, a redirect is an answer
    /// like others.
    pub redirects: usize,
    /// Most bytes of an answer's body.
    pub body: usize,
    /// The longest that a fetch may take, redirects and body included.
    pub within: Duration,
}

impl Default for EdgeSettings {
    fn default() -> Self {
        Self {
            only: None,
            private: Vec::new(),
            ports: vec![80, 443],
            own: Vec::new(),
            redirects: 0,
            body: 5 << 20,
            within: Duration::from_secs(10),
        }
    }
}

impl EdgeSettings {
    /// Only these places; one that is private is asked only where its address itself is among them.
    pub fn only(places: Vec<Place>) -> Self {
        Self {
            private: places
                .iter()
                .filter(|place| place.is_address())
                .cloned()
                .collect(),
            only: Some(places),
            ..Self::default()
        }
    }
}

/// Why a URL was not fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EdgeError {
    /// It is no `http` or `https` URL, or names a user.
    #[error("this is no address that can be fetched: write http:// or https://, without a user")]
    Address,
    /// As written it leads where it may not: a host or port that is not allowed, a private address.
    #[error("this address may not be fetched")]
    Refused,
    /// There is no answer: no such name, a name that leads where it may not, nobody there, no TLS, no
    /// HTTP, too many redirects, too slow. Which of them, whoever wrote the URL does not learn.
    #[error("this address gives no answer")]
    Unreachable,
    /// The answer is larger than allowed.
    #[error("the answer is too large")]
    TooLarge,
    /// The request can't be sent: a header of the connection or a value that HTTP can't carry.
    #[error("the request can't be sent")]
    Request,
    /// TLS can't be set up at all.
    #[error("TLS can't be set up")]
    Tls,
}

/// A request to an untrusted URL.
#[derive(Clone, Debug)]
pub struct EdgeRequest {
    /// `GET`, `POST` …
    pub method: Method,
    /// The URL as somebody wrote it.
    pub url: String,
    /// Headers; those that belong to the connection are left out.
    pub headers: HeaderMap,
    /// The body, empty where there is none.
    pub body: Bytes,
}

impl EdgeRequest {
    /// A `GET` without headers.
    pub fn get(url: impl Into<String>) -> Self {
        Self {
            method: Method::GET,
            url: url.into(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
        }
    }
}

/// What an untrusted URL answered.
#[derive(Clone, Debug)]
pub struct EdgeResponse {
    /// Its status.
    pub status: StatusCode,
    /// Its headers, without cookies and those of the connection.
    pub headers: HeaderMap,
    /// Its whole body.
    pub body: Bytes,
}

/// Fetches untrusted URLs. No cookies, no proxies, no connection that outlives its fetch; dropping a
/// fetch ends it.
#[derive(Clone)]
pub struct Edge {
    settings: Arc<EdgeSettings>,
    net: Arc<dyn Net>,
    tls: TlsConnector,
}

impl Edge {
    /// A guard that trusts the system's certificate authorities.
    ///
    /// # Errors
    /// [`EdgeError::Tls`].
    pub fn new(settings: EdgeSettings) -> Result<Self, EdgeError> {
        Self::trusting(settings, Vec::new())
    }

    /// The same, trusting these authorities too.
    ///
    /// # Errors
    /// [`EdgeError::Tls`] where one is no certificate.
    pub fn trusting(
        settings: EdgeSettings,
        roots: Vec<CertificateDer<'static>>,
    ) -> Result<Self, EdgeError> {
        Ok(Self {
            settings: Arc::new(settings),
            net: Arc::new(System),
            tls: exchange::tls(roots)?,
        })
    }

    /// The same guard with other settings. Cheap: whom it trusts is shared.
    pub fn with(&self, settings: EdgeSettings) -> Self {
        Self {
            settings: Arc::new(settings),
            ..self.clone()
        }
    }

    /// Fetches a URL and reads its whole answer, whatever its status.
    ///
    /// # Errors
    /// Each variant of [`EdgeError`] but `Tls`.
    pub async fn fetch(&self, request: EdgeRequest) -> Result<EdgeResponse, EdgeError> {
        let fetching = timeout(self.settings.within, self.follow(request));
        fetching.await.unwrap_or(Err(EdgeError::Unreachable))
    }

    async fn follow(&self, request: EdgeRequest) -> Result<EdgeResponse, EdgeError> {
        let mut url = place::url(&request.url)?;
        let mut request = exchange::Sent::new(request);
        let mut left = self.settings.redirects;
        loop {
            let place = self.check(&url)?;
            let stream = net::connect(&*self.net, &self.settings, &place).await?;
            let answer = exchange::send(
                &self.tls,
                stream,
                &place,
                &url,
                &request,
                self.settings.body,
            )
            .await?;
            let next = match next(&url, &answer) {
                Some(next) if self.settings.redirects > 0 => next?,
                _ => return Ok(answer),
            };
            left = left.checked_sub(1).ok_or(EdgeError::Unreachable)?;
            request.redirect(answer.status, url.origin() == next.origin());
            url = next;
        }
    }

    /// Whether a URL may be asked, as far as it says itself.
    fn check(&self, url: &Url) -> Result<Place, EdgeError> {
        let settings = &*self.settings;
        let place = Place::of(url)?;
        let named = settings.private.contains(&place);
        let allowed = match &settings.only {
            Some(only) => only.contains(&place),
            None => named || settings.ports.contains(&place.port),
        };
        let refused = match &place.host {
            place::Name::Ip(ip) => net::refused(*ip, &place, settings),
            place::Name::Dns(_) => false,
        };
        if allowed && !refused {
            return Ok(place);
        }
        debug!(%place, "an untrusted URL leads where it may not");
        Err(EdgeError::Refused)
    }
}

impl std::fmt::Debug for Edge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Edge")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// Where a redirect leads. Never from TLS to a place without.
fn next(from: &Url, answer: &EdgeResponse) -> Option<Result<Url, EdgeError>> {
    if !matches!(answer.status.as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let location = answer.headers.get(LOCATION)?;
    let next = || {
        let text = location.to_str().map_err(|_| EdgeError::Unreachable)?;
        let next = from.join(text).map_err(|_| EdgeError::Unreachable)?;
        let next = place::url(next.as_str())?;
        match (from.scheme(), next.scheme()) {
            ("https", "http") => Err(EdgeError::Refused),
            _ => Ok(next),
        }
    };
    Some(next())
}

#[cfg(test)]
mod tests;
