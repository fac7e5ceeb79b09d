//! A request as it came over the wire, read strictly: what two readers could read in two ways is written down.

use std::io;

use bytes::{Bytes, BytesMut};
use memchr::memmem;
use tokio::io::{AsyncRead, AsyncReadExt};

/// Most bytes of a head.
const HEAD_LIMIT: usize = 256 * 1024;
/// Most bytes of a body.
const BODY_LIMIT: usize = 64 * 1024 * 1024;

/// A request as it came over the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Request line and headers, with the empty line.
    pub head: Bytes,
    /// The body, as long as `Content-Length` says.
    pub body: Bytes,
    /// What another reader could have understood in another way; empty in a clean request.
    pub ambiguities: Vec<&'static str>,
}

impl Request {
    /// The method of the request line.
    pub fn method(&self) -> &str {
        self.word(0)
    }

    /// The path of the request line, with its query.
    pub fn path(&self) -> &str {
        self.word(1)
    }

    fn word(&self, index: usize) -> &str {
        let line = self
            .head
            .split(|byte| *byte == b'\r')
            .next()
            .unwrap_or_default();
        let line = std::str::from_utf8(line).unwrap_or_default();
        line.split(' ').nth(index).unwrap_or_default()
    }

    /// The value of the first header of this name, given in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let head = std::str::from_utf8(&self.head).ok()?;
        head.lines().skip(1).find_map(|line| {
            let (known, value) = line.split_once(':')?;
            known.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// Reads the next request from `stream`; `buffer` holds what came already and keeps what comes after it.
    ///
    /// # Errors
    /// When the stream ends or fails within the request, or it is over the limits.
    pub(crate) async fn read(
        stream: &mut (impl AsyncRead + Unpin),
        buffer: &mut BytesMut,
    ) -> io::Result<Self> {
        let end = loop {
            if let Some(at) = memmem::find(buffer, b"\r\n\r\n") {
                break at + 4;
            }
            if buffer.len() > HEAD_LIMIT {
                return Err(io::ErrorKind::InvalidData.into());
            }
            more(stream, buffer).await?;
        };
        let head = buffer.split_to(end).freeze();
        let (length, mut ambiguities) = judge(&head);
        if length > BODY_LIMIT {
            return Err(io::ErrorKind::InvalidData.into());
        }
        while buffer.len() < length {
            more(stream, buffer).await?;
        }
        let body = buffer.split_to(length).freeze();
        // Our caller waits for each answer: what comes before it belongs to a second request that it does not know of.
        if !buffer.is_empty() {
            ambiguities.push("bytes after the body");
        }
        Ok(Self {
            head,
            body,
            ambiguities,
        })
    }
}

async fn more(stream: &mut (impl AsyncRead + Unpin), buffer: &mut BytesMut) -> io::Result<()> {
    buffer.reserve(4096);
    match stream.read_buf(buffer).await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}

/// The length of the body, and what is not clear about a head.
fn judge(head: &[u8]) -> (usize, Vec<&'static str>) {
    let mut doubts = Vec::new();
    let mut note = |doubt| {
        if !doubts.contains(&doubt) {
            doubts.push(doubt);
        }
    };
    let lines: Vec<&[u8]> = head.split(|byte| *byte == b'\n').collect();
    let mut lengths = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let line = match line.strip_suffix(b"\r") {
            Some(line) => line,
            None if line.is_empty() => continue, // behind the last line end
            None => {
                note("a line that ends in LF alone");
                line
            }
        };
        if line
            .iter()
            .any(|byte| matches!(byte, 0..=8 | 10..=31 | 127))
        {
            note("a control character");
        }
        if at == 0 {
            let words: Vec<_> = line.split(|byte| *byte == b' ').collect();
            if words.len() != 3 || words[2] != b"HTTP/1.1" {
                note("an odd request line");
            }
            continue;
        }
        if line.is_empty() {
            continue;
        }
        if line.starts_with(b" ") || line.starts_with(b"\t") {
            note("a folded header");
            continue;
        }
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            note("a header without colon");
            continue;
        };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        let token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
        if name.is_empty() || !name.iter().all(token) {
            note("an odd header name");
        }
        match name.to_ascii_lowercase().as_slice() {
            b"content-length" => lengths.push(value),
            b"transfer-encoding" => note("a transfer encoding"),
            b"upgrade" => note("an upgrade"),
            b"expect" => note("an expectation"),
            _ => {}
        }
    }
    if lengths.len() > 1 {
        note("two content lengths");
    }
    let digits = |value: &&[u8]| !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    let length = lengths.first().copied().unwrap_or(b"0");
    if !digits(&length) {
        note("an odd content length");
    }
    let length = std::str::from_utf8(length)
        .ok()
        .and_then(|length| length.parse().ok());
    (length.unwrap_or(0), doubts)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(bytes: &[u8]) -> io::Result<Request> {
        Request::read(&mut &bytes[..], &mut BytesMut::new()).await
    }

    #[tokio::test]
    async fn a_clean_request_raises_no_doubt() {
        let request = read(b"POST /v1/x HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi").await;
        let request = request.expect("it is whole");
        assert_eq!((request.method(), request.path()), ("POST", "/v1/x"));
        assert_eq!(request.header("host"), Some("a"));
        assert_eq!(&request.body[..], b"hi");
        assert_eq!(request.ambiguities, Vec::<&str>::new());
    }

    #[tokio::test]
    async fn what_can_be_read_in_two_ways_is_noted() {
        for (bytes, doubt) in [
            (
                &b"POST / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nhi"[..],
                "two content lengths",
            ),
            (
                b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n",
                "a transfer encoding",
            ),
            (b"POST / HTTP/1.1\r\na: b\r\n c\r\n\r\n", "a folded header"),
            (b"POST / HTTP/1.1\r\na : b\r\n\r\n", "an odd header name"),
            (
                b"POST / HTTP/1.1\r\na: b\nc: d\r\n\r\n",
                "a line that ends in LF alone",
            ),
            (b"POST / HTTP/1.0\r\n\r\n", "an odd request line"),
            (
                b"POST / HTTP/1.1\r\ncontent-length: +1\r\n\r\nh",
                "an odd content length",
            ),
            (
                b"GET / HTTP/1.1\r\n\r\nGET /hidden HTTP/1.1\r\n\r\n",
                "bytes after the body",
            ),
        ] {
            let request = read(bytes).await.expect("it is whole");
            assert_eq!(
                request.ambiguities.first(),
                Some(&doubt),
                "{:?}",
                request.ambiguities
            );
        }
    }

    #[tokio::test]
    async fn a_cut_request_is_an_error() {
        let whole = b"POST / HTTP/1.1\r\ncontent-length: 5\r\n\r\nhello";
        for end in 0..whole.len() {
            assert!(read(&whole[..end]).await.is_err(), "{end}");
        }
    }
}
