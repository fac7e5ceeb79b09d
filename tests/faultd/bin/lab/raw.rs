//! Bytes on a connection, for callers who do not speak HTTP as they should.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A connection to `address`.
pub(crate) async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = timeout(Duration::from_secs(10), TcpStream::connect(address)).await??;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// The head of a call whose body has `length` bytes.
pub(crate) fn head(address: SocketAddr, length: usize) -> String {
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    )
}

/// What came back for some bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reply {
    /// The statuses of the answers; informational ones left out.
    pub(crate) statuses: Vec<u16>,
    /// Whether the other side closed the connection.
    pub(crate) closed: bool,
}

/// Sends `bytes` and reads until the other side closes, or is quiet for `quiet` after its first answer, or `patience` is over.
pub(crate) async fn exchange(
    address: SocketAddr,
    bytes: &[u8],
    patience: Duration,
    quiet: Duration,
) -> io::Result<Reply> {
    let mut stream = connect(address).await?;
    // It may refuse and close before it has read all.
    let sent = timeout(patience, stream.write_all(bytes)).await;
    let mut got = Vec::new();
    let mut closed = false;
    loop {
        let wait = if statuses(&got).is_empty() {
            patience
        } else {
            quiet
        };
        match timeout(wait, stream.read_buf(&mut got)).await {
            Err(_) => break,
            Ok(Ok(n)) if n > 0 => {}
            Ok(_) => {
                closed = true;
                break;
            }
        }
    }
    let statuses = statuses(&got);
    if statuses.is_empty() && !closed {
        sent??;
    }
    Ok(Reply { statuses, closed })
}

/// The statuses in some answers: JSON bodies never begin a line with `HTTP/1.`.
fn statuses(bytes: &[u8]) -> Vec<u16> {
    let text = String::from_utf8_lossy(bytes);
    let lines = text.split("HTTP/1.").skip(1);
    let statuses = lines.filter_map(|rest| rest.get(2..5)?.parse().ok());
    statuses.filter(|status| *status >= 200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_read_over_all_answers() {
        let bytes = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}HTTP/1.1 400 Bad\r\n\r\n";
        assert_eq!(statuses(bytes), [200, 400]);
        assert_eq!(statuses(b"HTTP/1.1 4"), Vec::<u16>::new());
    }
}
