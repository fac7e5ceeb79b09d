//! Ports of 127.0.0.1 for servers that are about to start.

use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::ops::RangeInclusive;

/// Below the ports that systems give to outgoing connections: between two starts of a server none of
/// those takes its port, and a probe can't connect to itself.
const RANGE: RangeInclusive<u16> = 20_000..=29_999;
/// Ports that are tried before the system is asked for one.
const TRIES: usize = 64;

/// A free port that is none of `taken`. It is free now; who starts a server on it must be prepared to
/// find it taken.
pub(super) fn choose(taken: &[u16]) -> io::Result<u16> {
    for _ in 0..TRIES {
        let port = rand::random_range(RANGE);
        if !taken.contains(&port) && is_free(port) {
            return Ok(port);
        }
    }
    // Outside of the range, so none of those that were chosen from it.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?.port())
}

/// Whether a server could listen on the port.
pub(super) fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_someone_listens_on_is_not_free() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(!is_free(port));
        drop(listener);
        assert!(is_free(port));
    }

    #[test]
    fn chosen_ports_differ() {
        let mut ports = Vec::new();
        for _ in 0..20 {
            ports.push(choose(&ports).unwrap());
        }
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 20);
    }
}
