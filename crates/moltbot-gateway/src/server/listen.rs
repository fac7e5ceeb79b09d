//! Listeners: a TCP port or a Unix socket, and the words for what is wrong with one.

use std::fmt;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use socket2::{Domain, SockAddr, Socket, TcpKeepalive, Type};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use super::Peer;

/// Connections the kernel keeps until they are accepted.
const BACKLOG: i32 = 1024;

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    /// A TCP address; port 0 takes a free one.
    Tcp(SocketAddr),
    /// The path of a Unix socket, which only the daemon's user may open (mode 0600).
    Unix(PathBuf),
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

impl From<SocketAddr> for Listen {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp(address)
    }
}

impl From<PathBuf> for Listen {
    fn from(path: PathBuf) -> Self {
        Self::Unix(path)
    }
}

/// Why a server cannot listen: one sentence with the cure.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another program has the port.
    #[error(
        "{0} is already in use: stop the program that listens there, or choose another address"
    )]
    InUse(SocketAddr),
    /// A daemon answers on the socket.
    #[error("another daemon answers on {}: stop it, or give this one another home", .0.display())]
    Alive(PathBuf),
    /// The path holds something that is not a socket.
    #[error("{} is not a socket: move it away, or choose another path", .0.display())]
    NotASocket(PathBuf),
    /// The system does not let us.
    #[error(
        "no permission to listen on {0}: choose a port above 1023 or a path of your own, or run as a user who may"
    )]
    Denied(Listen),
    /// The address belongs to no interface of this machine.
    #[error(
        "{0} is not an address of this machine: choose 127.0.0.1, 0.0.0.0 or one that `ip address` shows"
    )]
    NotHere(SocketAddr),
    /// Anything else.
    #[error("cannot listen on {at}: {source}")]
    Io {
        /// The address.
        at: Listen,
        /// What the system said.
        source: io::Error,
    },
}

/// An open listener.
#[derive(Debug)]
pub(super) enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener, SocketFile),
}

/// An accepted connection.
#[derive(Debug)]
pub(super) enum Accepted {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Listener {
    pub(super) fn bind(at: &Listen) -> Result<Self, BindError> {
        match at {
            Listen::Tcp(address) => {
                tcp(*address)
                    .map(Self::Tcp)
                    .map_err(|source| match source.kind() {
                        io::ErrorKind::AddrInUse => BindError::InUse(*address),
                        io::ErrorKind::AddrNotAvailable => BindError::NotHere(*address),
                        _ => refused(at, source),
                    })
            }
            Listen::Unix(path) => {
                make_way(path)?;
                let (listener, file) = unix(path).map_err(|source| refused(at, source))?;
                Ok(Self::Unix(listener, file))
            }
        }
    }

    pub(super) fn local_addr(&self) -> io::Result<Listen> {
        match self {
            Self::Tcp(listener) => listener.local_addr().map(Listen::Tcp),
            Self::Unix(_, file) => Ok(Listen::Unix(file.path.clone())),
        }
    }

    pub(super) async fn accept(&self) -> io::Result<(Accepted, Peer)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                Ok((Accepted::Tcp(stream), Peer::Tcp(peer)))
            }
            Self::Unix(listener, _) => {
                let (stream, _) = listener.accept().await?;
                Ok((Accepted::Unix(stream), Peer::Unix))
            }
        }
    }
}

fn tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM.nonblocking(),
        None,
    )?;
    socket.set_reuse_address(true)?;
    // Accepted sockets inherit what follows, which saves the calls on each of them.
    socket.set_tcp_nodelay(true)?;
    let probes = TcpKeepalive::new()
        .with_time(Duration::from_secs(30))
        .with_interval(Duration::from_secs(10))
        .with_retries(3);
    socket.set_tcp_keepalive(&probes)?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(Duration::from_secs(30)))?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Removes what a dead daemon left behind.
fn make_way(path: &Path) -> Result<(), BindError> {
    let Ok(found) = fs::symlink_metadata(path) else {
        return Ok(());
    };
    if !found.file_type().is_socket() {
        return Err(BindError::NotASocket(path.to_owned()));
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(|source| refused(&Listen::Unix(path.to_owned()), source))
        }
        Err(source) => Err(refused(&Listen::Unix(path.to_owned()), source)),
        Ok(_) => Err(BindError::Alive(path.to_owned())),
    }
}

fn unix(path: &Path) -> io::Result<(UnixListener, SocketFile)> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None)?;
    socket.bind(&SockAddr::unix(path)?)?;
    // Nobody can connect before `listen`, so the file is never open to others.
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    socket.listen(BACKLOG)?;
    let file = SocketFile {
        path: path.to_owned(),
        inode: fs::symlink_metadata(path)?.ino(),
    };
    Ok((UnixListener::from_std(socket.into())?, file))
}

fn refused(at: &Listen, source: io::Error) -> BindError {
    match source.kind() {
        io::ErrorKind::PermissionDenied => BindError::Denied(at.clone()),
        _ => BindError::Io {
            at: at.clone(),
            source,
        },
    }
}

/// Removes the socket's file when the listener ends, unless another daemon has put its own there.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    inode: u64,
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if fs::symlink_metadata(&self.path).is_ok_and(|found| found.ino() == self.inode) {
            let _ = fs::remove_file(&self.path);
        }
    }
}
