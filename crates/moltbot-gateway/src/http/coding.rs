//! Content codings of a request's body, undone as it arrives and within the same limit.

use std::io::{self, ErrorKind, Write};

use bytes::Bytes;
use flate2::write::MultiGzDecoder;
use http::HeaderMap;
use http::header::CONTENT_ENCODING;
use moltbot_types::{CallError, Kind};
use zstd::stream::raw::{DParameter, Decoder};
use zstd::stream::zio;

use super::read::too_large;

/// The largest window of a zstd body, as a power of two: the 8 MiB that the standard asks servers to take.
const ZSTD_WINDOW: u32 = 23;

/// A coding that is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    Gzip,
    Zstd,
}

impl Coding {
    /// The coding of a body; `None` where it comes as it is.
    ///
    /// # Errors
    /// `Unsupported` for any other, and for several on top of each other.
    pub(super) fn of(headers: &HeaderMap) -> Result<Option<Self>, CallError> {
        let mut named = headers
            .get_all(CONTENT_ENCODING)
            .iter()
            .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
            .map(<[u8]>::trim_ascii)
            .filter(|name| !name.is_empty() && !name.eq_ignore_ascii_case(b"identity"));
        let Some(name) = named.next() else {
            return Ok(None);
        };
        let coding = if name.eq_ignore_ascii_case(b"gzip") || name.eq_ignore_ascii_case(b"x-gzip") {
            Self::Gzip
        } else if name.eq_ignore_ascii_case(b"zstd") {
            Self::Zstd
        } else {
            return Err(not_taken(name, "send gzip, zstd, or the body as it is"));
        };
        match named.next() {
            None => Ok(Some(coding)),
            Some(second) => Err(not_taken(second, "one coding is enough")),
        }
    }
}

fn not_taken(name: &[u8], cure: &str) -> CallError {
    let name = String::from_utf8_lossy(name);
    let message = format!("content-encoding {name} is not taken: {cure}");
    CallError::new(Kind::Unsupported, message)
}

/// Undoes a coding piece by piece. It holds no more than the limit, a window, and a buffer of 32 KiB.
pub(super) struct Unpacker {
    undo: Undo,
    limit: u64,
}

enum Undo {
    Gzip(Box<MultiGzDecoder<Unpacked>>),
    Zstd(Box<zio::Writer<Unpacked, Decoder<'static>>>),
}

impl Unpacker {
    /// For a body of at most `limit` bytes.
    pub(super) fn new(coding: Coding, limit: u64) -> Result<Self, CallError> {
        let out = Unpacked {
            bytes: Vec::new(),
            limit,
        };
        let undo = match coding {
            Coding::Gzip => Undo::Gzip(Box::new(MultiGzDecoder::new(out))),
            Coding::Zstd => {
                let decoder = zstd_decoder().map_err(|error| {
                    CallError::new(Kind::Internal, "zstd is not at hand").because(error)
                })?;
                Undo::Zstd(Box::new(zio::Writer::new(out, decoder)))
            }
        };
        Ok(Self { undo, limit })
    }

    /// Takes the next piece.
    ///
    /// # Errors
    /// `TooLarge` as soon as the limit is passed, `BadRequest` for what is not of this coding.
    pub(super) fn push(&mut self, piece: &[u8]) -> Result<(), CallError> {
        let written = match &mut self.undo {
            Undo::Gzip(undo) => undo.write_all(piece),
            Undo::Zstd(undo) => undo.write_all(piece),
        };
        written.map_err(|error| self.failed(error))
    }

    /// The whole body.
    ///
    /// # Errors
    /// As [`Unpacker::push`], and `BadRequest` where the end is missing.
    pub(super) fn finish(mut self) -> Result<Bytes, CallError> {
        let ended = match &mut self.undo {
            Undo::Gzip(undo) => undo.try_finish(),
            Undo::Zstd(undo) => undo.flush().and_then(|()| undo.finish()),
        };
        ended.map_err(|error| self.failed(error))?;
        let out = match &mut self.undo {
            Undo::Gzip(undo) => undo.get_mut(),
            Undo::Zstd(undo) => undo.writer_mut(),
        };
        Ok(std::mem::take(&mut out.bytes).into())
    }

    fn failed(&self, error: io::Error) -> CallError {
        let name = match self.undo {
            Undo::Gzip(_) => "gzip",
            Undo::Zstd(_) => "zstd",
        };
        match error.kind() {
            ErrorKind::FileTooLarge => too_large("the unpacked body", self.limit),
            _ => CallError::new(
                Kind::BadRequest,
                format!("the body is no {name}, as its content-encoding says: {error}"),
            ),
        }
    }
}

fn zstd_decoder() -> io::Result<Decoder<'static>> {
    let mut decoder = Decoder::new()?;
    decoder.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW))?;
    Ok(decoder)
}

/// What was unpacked so far.
struct Unpacked {
    bytes: Vec<u8>,
    limit: u64,
}

impl Write for Unpacked {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        if (self.bytes.len() + piece.len()) as u64 > self.limit {
            return Err(ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(piece);
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
