//! One HTTP/1.1 connection of the generator, written by hand: it shares its core with the upstream and must not be the bottleneck.

use std::io;
use std::net::SocketAddr;

use memchr::{memchr_iter, memmem};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

/// What an answer amounts to. Two servers that pass the same answer on give equal ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Bytes of the body without its framing.
    pub(crate) body: u64,
    /// Blank lines in the body: the events of a stream.
    pub(crate) events: u64,
}

/// A connection with keep-alive, on which one request follows the other.
pub(crate) struct Connection<S = TcpStream> {
    stream: S,
    buffer: Vec<u8>,
    unread: std::ops::Range<usize>,
}

impl Connection {
    /// Connects to `server`.
    pub(crate) async fn open(server: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(server).await?;
        stream.set_nodelay(true)?;
        Ok(Self::new(stream))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    fn new(stream: S) -> Self {
        Self {
            stream,
            buffer: vec![0; 32 * 1024],
            unread: 0..0,
        }
    }

    /// Sends `request`, head and body as they stand, and reads its answer to the end.
    ///
    /// # Errors
    /// When the connection breaks, or what comes back is no HTTP/1.1 answer with a length or in chunks.
    pub(crate) async fn ask(&mut self, request: &[u8]) -> io::Result<Answer> {
        self.stream.write_all(request).await?;
        let status = self
            .line()
            .await?
            .get(9..12)
            .and_then(number)
            .ok_or_else(|| bad("status line"))?;
        let mut length = None;
        loop {
            let line = self.line().await?;
            if line.is_empty() {
                break;
            }
            let Some(colon) = line.iter().position(|b| *b == b':') else {
                return Err(bad("header line"));
            };
            let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
            if name.eq_ignore_ascii_case(b"content-length") {
                length = Some(number(value).ok_or_else(|| bad("content-length"))?);
            }
        }
        let mut body = Body::default();
        match length {
            Some(length) => self.take(length, &mut body).await?,
            None => loop {
                let size = self.line().await?;
                let size = std::str::from_utf8(size)
                    .ok()
                    .and_then(|size| u64::from_str_radix(size, 16).ok());
                let size = size.ok_or_else(|| bad("chunk size"))?;
                self.take(size, &mut body).await?;
                if !self.line().await?.is_empty() {
                    return Err(bad("end of a chunk"));
                }
                if size == 0 {
                    break;
                }
            },
        }
        Ok(Answer {
            status,
            body: body.bytes,
            events: body.events,
        })
    }

    /// The next line, without its end.
    async fn line(&mut self) -> io::Result<&[u8]> {
        loop {
            let unread = &self.buffer[self.unread.clone()];
            if let Some(length) = memmem::find(unread, b"\r\n") {
                let start = self.unread.start;
                self.unread.start += length + 2;
                return Ok(&self.buffer[start..start + length]);
            }
            self.fill().await?;
        }
    }

    /// Reads the next `left` bytes into `body`.
    async fn take(&mut self, mut left: u64, body: &mut Body) -> io::Result<()> {
        while left > 0 {
            if self.unread.is_empty() {
                self.fill().await?;
            }
            let length = self
                .unread
                .len()
                .min(usize::try_from(left).unwrap_or(usize::MAX));
            let piece = self.unread.start..self.unread.start + length;
            self.unread.start += length;
            body.add(&self.buffer[piece]);
            left -= length as u64;
        }
        Ok(())
    }

    async fn fill(&mut self) -> io::Result<()> {
        self.buffer.copy_within(self.unread.clone(), 0);
        self.unread = 0..self.unread.len();
        match self
            .stream
            .read(&mut self.buffer[self.unread.end..])
            .await?
        {
            0 if self.unread.end == self.buffer.len() => Err(bad("line: it is too long")),
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            read => {
                self.unread.end += read;
                Ok(())
            }
        }
    }
}

fn bad(what: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("bad {what} in an answer"),
    )
}

fn number<T: std::str::FromStr>(digits: &[u8]) -> Option<T> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// The body of an answer, counted as it passes.
#[derive(Default)]
struct Body {
    bytes: u64,
    events: u64,
    after_newline: bool,
}

impl Body {
    fn add(&mut self, piece: &[u8]) {
        self.bytes += piece.len() as u64;
        for at in memchr_iter(b'\n', piece) {
            let blank = if at == 0 {
                self.after_newline
            } else {
                piece[at - 1] == b'\n'
            };
            self.events += u64::from(blank);
        }
        self.after_newline = piece
            .last()
            .map_or(self.after_newline, |last| *last == b'\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn answer_in_two_parts(answer: &[u8], split: usize) -> io::Result<Answer> {
        let stream = parts(&answer[..split], &answer[split..]);
        Connection::new(stream).ask(b"").await
    }

    /// Reads `first`, then `second`, then the end; swallows what is written.
    fn parts<'a>(first: &'a [u8], second: &'a [u8]) -> impl AsyncRead + AsyncWrite + Unpin + 'a {
        tokio::io::join(first.chain(second), tokio::io::sink())
    }

    #[tokio::test]
    async fn an_answer_is_the_same_however_it_is_cut() {
        let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nb\r\ndata: one\n\n\r\n9\r\ndata: 2\n\n\r\n1\r\n\n\r\n0\r\n\r\n";
        let whole = b"HTTP/1.1 404 Not Found\r\ncontent-length:  5 \r\nx-a: b\r\n\r\nhello";
        for split in 0..chunked.len() {
            let answer = answer_in_two_parts(chunked, split)
                .await
                .expect("a chunked answer");
            assert_eq!(
                answer,
                Answer {
                    status: 200,
                    body: 21,
                    events: 3
                },
                "split at {split}"
            );
        }
        for split in 0..whole.len() {
            let answer = answer_in_two_parts(whole, split)
                .await
                .expect("a whole answer");
            assert_eq!(
                answer,
                Answer {
                    status: 404,
                    body: 5,
                    events: 0
                },
                "split at {split}"
            );
        }
    }

    #[tokio::test]
    async fn a_cut_answer_is_an_error() {
        let cut = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhello";
        let error = answer_in_two_parts(cut, 20)
            .await
            .expect_err("four bytes are missing");
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
