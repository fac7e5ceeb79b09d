//! Changes a body without moving any other byte.

use std::ops::Range;

use bytes::{BufMut, Bytes, BytesMut};
use moltbot_types::{CallError, Kind, Pieces};

use crate::json::skip_blanks;

/// What to do to one body.
#[derive(Debug, Default)]
pub(crate) struct Splice<'a> {
    /// This range becomes this text.
    pub(crate) replace: Option<(Range<usize>, &'a str)>,
    /// These members are put before all others: name and value, as JSON text without the name's quotes.
    pub(crate) insert: Vec<(&'a str, &'a str)>,
}

/// A shorter body is copied, which costs less than to keep its pieces apart.
const SHORT: usize = 4096;

impl Splice<'_> {
    /// Makes the changes; of a long body the parts that stay are not copied, and without a change it stays
    /// the one it was.
    ///
    /// # Errors
    /// `BadRequest` where the body is no object, or a range does not lie in it.
    pub(crate) fn apply(&self, body: &Bytes) -> Result<Pieces, CallError> {
        if self.replace.is_none() && self.insert.is_empty() {
            return Ok(body.clone().into());
        }
        let brace = skip_blanks(body, 0);
        if body.get(brace) != Some(&b'{') {
            return Err(misfit());
        }
        let inside = brace + 1;
        let (range, text) = match &self.replace {
            Some((range, text)) => (range.clone(), *text),
            None => (inside..inside, ""),
        };
        if range.start < inside || range.start > range.end || range.end > body.len() {
            return Err(misfit());
        }
        let mut out = BytesMut::new();
        if body.len() < SHORT {
            out.reserve(body.len() + self.added() + text.len());
            self.open(body, inside, &mut out);
            out.put_slice(&body[inside..range.start]);
            out.put_slice(text.as_bytes());
            out.put_slice(&body[range.end..]);
            return Ok(out.freeze().into());
        }
        self.open(body, inside, &mut out);
        let pieces = [
            out.freeze(),
            body.slice(inside..range.start),
            Bytes::copy_from_slice(text.as_bytes()),
            body.slice(range.end..),
        ];
        Ok(pieces.into_iter().collect())
    }

    /// Writes all up to the first member that was there before.
    fn open(&self, body: &[u8], inside: usize, out: &mut BytesMut) {
        out.put_slice(&body[..inside]);
        for (index, (name, value)) in self.insert.iter().enumerate() {
            if index > 0 {
                out.put_u8(b',');
            }
            out.put_u8(b'"');
            out.put_slice(name.as_bytes());
            out.put_slice(b"\":");
            out.put_slice(value.as_bytes());
        }
        let others = body.get(skip_blanks(body, inside)) != Some(&b'}');
        if others && !self.insert.is_empty() {
            out.put_u8(b',');
        }
    }

    /// Bytes of the new members.
    fn added(&self) -> usize {
        let members = self.insert.iter();
        members
            .map(|(name, value)| name.len() + value.len() + "\"\":,".len())
            .sum()
    }
}

fn misfit() -> CallError {
    CallError::new(
        Kind::BadRequest,
        "the body is no JSON object that can be edited",
    )
}

#[cfg(test)]
mod tests;
