//! Places on a network, and the URLs that lead to them.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use url::{Host, Url};

use super::EdgeError;

/// A host and a port, in the one form in which two spellings of the same place are equal.
///
/// ```
/// use moltbot_auth::edge::Place;
/// let place: Place = "API.Example.com.:8443".parse()?;
/// assert_eq!(place.to_string(), "api.example.com:8443");
/// assert_eq!("0x7f.1:80".parse::<Place>()?, "127.0.0.1:80".parse()?);
/// # Ok::<(), moltbot_auth::edge::EdgeError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    pub(super) host: Name,
    pub(super) port: u16,
}

/// A host as it is looked up: a name in lower-case ASCII without a dot at its end, or an address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Name {
    Dns(Box<str>),
    Ip(IpAddr),
}

impl Place {
    /// Whether it is an address, not a name that leads to one.
    pub fn is_address(&self) -> bool {
        matches!(self.host, Name::Ip(_))
    }
}

/// Reads `host`, `host:port`, `[address]:port`; without a port it is 443.
impl FromStr for Place {
    type Err = EdgeError;

    fn from_str(text: &str) -> Result<Self, EdgeError> {
        // Whoever writes more than a place means something else.
        if text.contains(['/', '\\', '?', '#', '@', '*']) {
            return Err(EdgeError::Address);
        }
        // A port is told apart from one that was left out: https leaves its own out.
        let url = Url::parse(&format!("https://{text}/")).map_err(|_| EdgeError::Address)?;
        Self::of(&url)
    }
}

impl Place {
    /// Where a URL leads.
    pub(super) fn of(url: &Url) -> Result<Self, EdgeError> {
        let host = match url.host().ok_or(EdgeError::Address)? {
            Host::Ipv4(ip) => Name::Ip(ip.into()),
            Host::Ipv6(ip) => Name::Ip(IpAddr::from(ip).to_canonical()),
            Host::Domain(name) => match name.strip_suffix('.').unwrap_or(name) {
                name if name.split('.').any(str::is_empty) => return Err(EdgeError::Address),
                name => Name::Dns(name.into()),
            },
        };
        let port = url.port_or_known_default().ok_or(EdgeError::Address)?;
        Ok(Self { host, port })
    }
}

/// Reads a URL that somebody else wrote.
///
/// # Errors
/// [`EdgeError::Address`] where it is none, of another scheme, or names a user.
pub(super) fn url(text: &str) -> Result<Url, EdgeError> {
    let url = Url::parse(text).map_err(|_| EdgeError::Address)?;
    let plain = url.username().is_empty() && url.password().is_none();
    match url.scheme() {
        "http" | "https" if plain => Ok(url),
        _ => Err(EdgeError::Address),
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Name::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]:{}", self.port),
            Name::Ip(ip) => write!(f, "{ip}:{}", self.port),
            Name::Dns(name) => write!(f, "{name}:{}", self.port),
        }
    }
}
