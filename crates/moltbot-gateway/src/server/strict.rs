//! Strict reading of HTTP/1: what hyper would resolve in silence, or let grow too long, is refused.
//!
//! hyper drops a `Content-Length` beside `Transfer-Encoding`, merges two equal ones and takes a bare line
//! feed. Each of these is read differently by some other server, so such a request never reaches the
//! handler. The scan follows the framing only as far as it must to find where the next head begins.

use memchr::{memchr, memchr_iter, memrchr};

use super::chunks::Chunks;
use super::refusal::Refusal;

/// How large a head may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct HeadLimits {
    /// Bytes of the whole head.
    pub(super) bytes: usize,
    /// Count of header fields.
    pub(super) fields: usize,
    /// Bytes of the request target.
    pub(super) uri: usize,
}

/// What the scan says about the bytes it was shown.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Cleared {
    /// So many may be handed on. The rest is the beginning of a head: show it again, with more behind it.
    pub(super) bytes: usize,
    /// What stands behind them is refused.
    pub(super) refusal: Option<Refusal>,
}

/// Where in the stream of requests the next byte stands.
#[derive(Debug)]
pub(super) struct Scan {
    limits: HeadLimits,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Head(Head),
    /// Bytes of the body that are still to come.
    Length(u64),
    Chunks(Chunks),
}

impl Scan {
    pub(super) fn new(limits: HeadLimits) -> Self {
        Self {
            limits,
            place: Place::Head(Head::default()),
        }
    }

    /// Whether a body is unfinished.
    pub(super) fn in_body(&self) -> bool {
        !matches!(self.place, Place::Head(_))
    }

    /// Reads on.
    pub(super) fn advance(&mut self, bytes: &[u8]) -> Cleared {
        let mut done = 0;
        while done < bytes.len() {
            let rest = &bytes[done..];
            match &mut self.place {
                Place::Head(head) => match head.read(rest, self.limits) {
                    Ok(Some((length, next))) => {
                        done += length;
                        self.place = next;
                    }
                    Ok(None) => break,
                    Err(refusal) => {
                        return Cleared {
                            bytes: done,
                            refusal: Some(refusal),
                        };
                    }
                },
                Place::Length(left) => {
                    let taken = rest.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                    done += taken;
                    *left -= taken as u64;
                    if *left == 0 {
                        self.place = Place::Head(Head::default());
                    }
                }
                Place::Chunks(chunks) => {
                    let (taken, ended) = chunks.skip(rest);
                    done += taken;
                    if ended {
                        self.place = Place::Head(Head::default());
                    }
                }
            }
        }
        Cleared {
            bytes: done,
            refusal: None,
        }
    }
}

/// A head that is being read. Offsets count from its first byte.
#[derive(Debug, Default)]
struct Head {
    /// Read so far.
    seen: usize,
    /// Where the line that is being read begins.
    line: usize,
    request_line: bool,
    http_10: bool,
    fields: usize,
    length: Option<u64>,
    chunked: bool,
    upgrade: bool,
    host: bool,
}

impl Head {
    /// The length of the head and what follows it, once it is complete.
    fn read(
        &mut self,
        bytes: &[u8],
        limits: HeadLimits,
    ) -> Result<Option<(usize, Place)>, Refusal> {
        let from = self.seen;
        for at in memchr_iter(b'\n', &bytes[from..]) {
            let end = from + at;
            self.limit(end, limits)?;
            let Some(line) = bytes[self.line..end].strip_suffix(b"\r") else {
                return Err(Refusal::bad(
                    "a line of the head ends without a carriage return",
                ));
            };
            self.seen = end + 1;
            self.line = self.seen;
            match (self.request_line, line.is_empty()) {
                // Empty lines before the request line are skipped (RFC 9112, 2.2).
                (false, true) => {}
                (false, false) => self.request(line, limits)?,
                (true, false) => self.field(line, limits)?,
                (true, true) => return self.end().map(|next| Some((self.seen, next))),
            }
        }
        self.seen = bytes.len();
        self.limit(self.seen, limits)?;
        Ok(None)
    }

    /// Refuses a line or a head that is too long already, whatever may follow.
    fn limit(&self, end: usize, limits: HeadLimits) -> Result<(), Refusal> {
        if !self.request_line && end - self.line > limits.uri + AROUND_URI {
            return Err(Refusal::uri_too_long(limits.uri));
        }
        if end > limits.bytes {
            return Err(Refusal::head_too_large(limits.bytes));
        }
        Ok(())
    }

    fn request(&mut self, line: &[u8], limits: HeadLimits) -> Result<(), Refusal> {
        self.request_line = true;
        self.http_10 = line.ends_with(b" HTTP/1.0");
        let spaces = memchr(b' ', line).zip(memrchr(b' ', line));
        if spaces.is_some_and(|(first, last)| last - first > limits.uri + 1) {
            return Err(Refusal::uri_too_long(limits.uri));
        }
        Ok(())
    }

    fn field(&mut self, line: &[u8], limits: HeadLimits) -> Result<(), Refusal> {
        self.fields += 1;
        if self.fields > limits.fields {
            return Err(Refusal::too_many_fields(limits.fields));
        }
        match line[0].to_ascii_lowercase() {
            b' ' | b'\t' => return Err(Refusal::bad("a header field is folded over two lines")),
            b'c' => {
                if let Some(value) = value_of(line, b"content-length") {
                    if self.length.is_some() {
                        return Err(Refusal::bad("the request has two content-length headers"));
                    }
                    self.length = Some(digits(value)?);
                }
            }
            b't' => {
                if let Some(value) = value_of(line, b"transfer-encoding") {
                    if self.http_10 {
                        return Err(Refusal::bad("transfer-encoding does not exist in HTTP/1.0"));
                    }
                    if self.chunked || !value.eq_ignore_ascii_case(b"chunked") {
                        return Err(Refusal::bad(
                            "the only transfer-encoding taken here is chunked, once",
                        ));
                    }
                    self.chunked = true;
                }
            }
            b'u' => self.upgrade |= value_of(line, b"upgrade").is_some(),
            b'h' => {
                if let Some(host) = value_of(line, b"host") {
                    if self.host {
                        return Err(Refusal::bad("the request has two host headers"));
                    }
                    if !is_authority(host) {
                        return Err(Refusal::bad("the host header names no host"));
                    }
                    self.host = true;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn end(&self) -> Result<Place, Refusal> {
        if self.chunked && self.length.is_some() {
            return Err(Refusal::bad(
                "the request has both content-length and transfer-encoding",
            ));
        }
        let length = self.length.unwrap_or(0);
        if self.upgrade && (self.chunked || length > 0) {
            return Err(Refusal::bad(
                "a request with a body cannot ask for an upgrade",
            ));
        }
        if !self.host && !self.http_10 {
            return Err(Refusal::bad("the host header is missing"));
        }
        Ok(match length {
            _ if self.chunked => Place::Chunks(Chunks::default()),
            0 => Place::Head(Self::default()),
            length => Place::Length(length),
        })
    }
}

/// What may stand in a request line beside the target: the version, and a method of at most 32 bytes.
const AROUND_URI: usize = 32 + "  HTTP/1.1\r".len();

/// The value of a field line, if it has this (lower case) name.
fn value_of<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (found, rest) = line.split_at_checked(name.len())?;
    let value = rest.strip_prefix(b":")?;
    found.eq_ignore_ascii_case(name).then(|| value.trim_ascii())
}

/// Whether a value is one host, with a port or without: `localhost:18789`, `[::1]`. Lists, paths, users and
/// blanks are read differently by different servers.
fn is_authority(value: &[u8]) -> bool {
    let name = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    let address = |b: &u8| b.is_ascii_hexdigit() || matches!(b, b':' | b'.');
    let (host_is_good, rest) = match value.strip_prefix(b"[") {
        Some(inner) => match memchr(b']', inner) {
            Some(end) => (inner[..end].iter().all(address), &inner[end + 1..]),
            None => return false,
        },
        None => {
            let end = memchr(b':', value).unwrap_or(value.len());
            (end > 0 && value[..end].iter().all(name), &value[end..])
        }
    };
    let port_is_good = match rest.strip_prefix(b":") {
        Some(port) => port.len() <= 5 && port.iter().all(u8::is_ascii_digit),
        None => rest.is_empty(),
    };
    host_is_good && port_is_good
}

/// Digits and nothing else: a sign, a list or a blank is read differently by different servers.
fn digits(value: &[u8]) -> Result<u64, Refusal> {
    let number = str::from_utf8(value)
        .ok()
        .filter(|value| value.bytes().all(|b| b.is_ascii_digit()));
    number
        .and_then(|number| number.parse().ok())
        .ok_or_else(|| Refusal::bad("content-length is not a number"))
}
