//! Cuts a stream of server-sent events into frames, whatever the sizes of the pieces it arrives in.

use bytes::Bytes;
use memchr::memchr2;
use moltbot_types::{CallError, Kind, Retry};
use smallvec::SmallVec;

/// Whole frames that lie one behind the other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cut {
    /// Their raw text.
    pub raw: Bytes,
    /// Where each frame ends in `raw`, rising; the last one is its length.
    pub ends: SmallVec<[usize; 4]>,
}

/// Cuts at blank lines; a line ends with CRLF, LF or CR.
///
/// Frames of one piece are handed on as a slice of it; bytes are copied only where a frame was split.
///
/// ```
/// use bytes::Bytes;
/// use moltbot_wire::sse::Cutter;
///
/// let mut cutter = Cutter::new(1024);
/// assert!(cutter.push(Bytes::from_static(b"data: a\r"))?.ends.is_empty());
/// let cut = cutter.push(Bytes::from_static(b"\n\r\ndata: b\n\nda"))?;
/// assert_eq!(&cut.raw[..], b"data: a\r\n\r\ndata: b\n\n");
/// assert_eq!(cut.ends[..], [11, 20]);
/// assert_eq!(&cutter.rest()[..], b"da");
/// # Ok::<(), moltbot_types::CallError>(())
/// ```
#[derive(Debug)]
pub struct Cutter {
    held: Vec<u8>,
    line: Line,
    limit: usize,
}

/// What the scan knows of the line it stands in.
#[derive(Clone, Copy, Debug, Default)]
struct Line {
    /// It holds a byte.
    filled: bool,
    /// The last byte was a CR, which a LF may follow.
    carriage: bool,
    /// The line before ended with a CR alone, so this stream's blank lines do too.
    bare: bool,
}

impl Cutter {
    /// A cutter for frames of at most `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self {
            held: Vec::new(),
            line: Line::default(),
            limit,
        }
    }

    /// Takes the next piece; gives the frames that are complete now, perhaps none.
    ///
    /// # Errors
    /// `Cut` for a frame over the limit.
    pub fn push(&mut self, piece: Bytes) -> Result<Cut, CallError> {
        let before = self.held.len();
        let ends = self.ends(&piece);
        let mut start = 0;
        for end in ends.iter().map(|end| before + end) {
            self.check(end - start)?;
            start = end;
        }
        self.check(before + piece.len() - start)?;
        let Some(last) = ends.last().copied() else {
            self.held.extend_from_slice(&piece);
            return Ok(Cut::default());
        };
        if before == 0 {
            self.held.extend_from_slice(&piece[last..]);
            let raw = piece.slice(..last);
            return Ok(Cut { raw, ends });
        }
        let mut joined = std::mem::take(&mut self.held);
        joined.extend_from_slice(&piece[..last]);
        self.held.extend_from_slice(&piece[last..]);
        Ok(Cut {
            raw: joined.into(),
            ends: ends.into_iter().map(|end| before + end).collect(),
        })
    }

    /// The bytes of a frame that is not complete, taken: for the end of the stream.
    pub fn rest(&mut self) -> Bytes {
        self.line = Line::default();
        std::mem::take(&mut self.held).into()
    }

    fn check(&self, length: usize) -> Result<(), CallError> {
        if length <= self.limit {
            return Ok(());
        }
        let message = format!(
            "the upstream sent an event of more than {} bytes",
            self.limit
        );
        Err(CallError::new(Kind::Cut, message).retry(Retry::Anywhere))
    }

    /// Where frames end in `piece`.
    fn ends(&mut self, piece: &[u8]) -> SmallVec<[usize; 4]> {
        let mut ends = SmallVec::new();
        let mut line = self.line;
        let mut at = 0;
        while at < piece.len() {
            if line.carriage {
                // The line ended at the CR; a LF here belongs to that end.
                line.carriage = false;
                let feed = piece[at] == b'\n';
                if feed {
                    at += 1;
                }
                if !line.filled {
                    ends.push(at);
                }
                line.bare = !feed;
                line.filled = false;
                continue;
            }
            let Some(step) = memchr2(b'\n', b'\r', &piece[at..]) else {
                line.filled = true;
                break;
            };
            line.filled |= step > 0;
            at += step + 1;
            if piece[at - 1] == b'\r' {
                if line.bare && !line.filled {
                    ends.push(at);
                } else {
                    line.carriage = true;
                }
            } else {
                if !line.filled {
                    ends.push(at);
                }
                line.filled = false;
                line.bare = false;
            }
        }
        self.line = line;
        ends
    }
}

/// The data of a frame: its `data` lines joined by LF, or `None` where it has none.
///
/// A frame of one line gives a slice of itself.
pub fn data(frame: &[u8]) -> Option<std::borrow::Cow<'_, [u8]>> {
    let mut joined: Option<std::borrow::Cow<'_, [u8]>> = None;
    for (name, value) in fields(frame) {
        if name == b"data" {
            match &mut joined {
                Some(data) => {
                    let data = data.to_mut();
                    data.push(b'\n');
                    data.extend_from_slice(value);
                }
                None => joined = Some(value.into()),
            }
        }
    }
    joined
}

/// The fields of a frame, name and value, in order; comments are left out.
pub fn fields(frame: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let frame = frame.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(frame);
    frame
        .split(|byte| matches!(byte, b'\n' | b'\r'))
        .filter(|line| !line.is_empty() && line[0] != b':')
        .map(|line| match memchr::memchr(b':', line) {
            Some(colon) => {
                let value = &line[colon + 1..];
                (&line[..colon], value.strip_prefix(b" ").unwrap_or(value))
            }
            None => (line, &[][..]),
        })
}

#[cfg(test)]
mod tests;
