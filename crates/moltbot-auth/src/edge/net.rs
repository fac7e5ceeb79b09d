//! Names to addresses, and connections to those that may be asked.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use async_trait::async_trait;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tracing::debug;

use super::address::{Reach, reach};
use super::place::{Name, Place};
use super::{EdgeError, EdgeSettings};

/// How long one of several addresses may take before the next one is tried.
const PATIENCE: Duration = Duration::from_secs(3);
/// Addresses of one name that are tried.
const MOST: usize = 4;

/// What the guard needs of a network; tests have one of their own.
#[async_trait]
pub(super) trait Net: Send + Sync {
    /// The addresses of a name.
    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>>;

    /// A connection.
    async fn dial(&self, address: SocketAddr) -> io::Result<TcpStream>;
}

/// The system's resolver and sockets.
pub(super) struct System;

#[async_trait]
impl Net for System {
    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let found = tokio::net::lookup_host((name, 0)).await?;
        Ok(found.map(|address| address.ip()).collect())
    }

    async fn dial(&self, address: SocketAddr) -> io::Result<TcpStream> {
        TcpStream::connect(address).await
    }
}

/// Connects to a place, at an address that was checked after the name was looked up.
pub(super) async fn connect(
    net: &dyn Net,
    settings: &EdgeSettings,
    place: &Place,
) -> Result<TcpStream, EdgeError> {
    let found = match &place.host {
        Name::Ip(ip) => vec![*ip],
        Name::Dns(name) => net.resolve(name).await.unwrap_or_default(),
    };
    let allowed = found.iter().filter(|ip| !refused(**ip, place, settings));
    for ip in allowed.take(MOST) {
        let address = SocketAddr::new(*ip, place.port);
        let Ok(Ok(stream)) = timeout(PATIENCE, net.dial(address)).await else {
            continue;
        };
        if is_own(&stream, place, settings) {
            break;
        }
        return Ok(stream);
    }
    debug!(%place, ?found, "an untrusted URL gives no answer");
    Err(EdgeError::Unreachable)
}

/// Whether an address may not be asked for the sake of `place`.
pub(super) fn refused(ip: IpAddr, place: &Place, settings: &EdgeSettings) -> bool {
    let named = || settings.private.contains(place);
    match reach(ip) {
        Reach::Public => false,
        Reach::Private => !named(),
        Reach::Sensitive => !(place.is_address() && named()),
        Reach::Never => true,
    }
}

/// Whether a connection leads back to this machine where it may not: by one of its public addresses, or
/// to one of our own listeners.
fn is_own(stream: &TcpStream, place: &Place, settings: &EdgeSettings) -> bool {
    let (Ok(local), Ok(peer)) = (stream.local_addr(), stream.peer_addr()) else {
        return true;
    };
    let here = local.ip() == peer.ip();
    let ours = settings.own.iter().any(|own| own.port() == peer.port());
    here && (ours || !settings.private.contains(place))
}
