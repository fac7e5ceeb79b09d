//! Changes a body without moving any other byte.

use std::ops::Range;

use bytes::{BufMut, Bytes, BytesMut};
use moltbot_types::{CallError, Kind};

use crate::json::skip_blanks;

/// What to do to one body.
#[derive(Debug, Default)]
pub(crate) struct Splice<'a> {
    /// This range becomes this text.
    pub(crate) replace: Option<(Range<usize>, &'a str)>,
    /// These members are put before all others: name and value, as JSON text without the name's quotes.
    pub(crate) insert: Vec<(&'a str, &'a str)>,
}

impl Splice<'_> {
    /// Makes the changes in one new buffer; without any the body stays the one it was.
    ///
    /// # Errors
    /// `BadRequest` where the body is no object, or a range does not lie in it.
    pub(crate) fn apply(&self, body: &Bytes) -> Result<Bytes, CallError> {
        if self.replace.is_none() && self.insert.is_empty() {
            return Ok(body.clone());
        }
        let brace = skip_blanks(body, 0);
        if body.get(brace) != Some(&b'{') {
            return Err(misfit());
        }
        let inside = brace + 1;
        let added: usize = self
            .insert
            .iter()
            .map(|(name, value)| name.len() + value.len() + "\"\":,".len())
            .sum();
        let replaced = self.replace.as_ref().map_or(0, |(_, text)| text.len());
        let mut out = BytesMut::with_capacity(body.len() + added + replaced);
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
        match &self.replace {
            Some((range, text)) => {
                let before = body.get(inside..range.start).ok_or_else(misfit)?;
                let after = body.get(range.end..).ok_or_else(misfit)?;
                out.put_slice(before);
                out.put_slice(text.as_bytes());
                out.put_slice(after);
            }
            None => out.put_slice(&body[inside..]),
        }
        Ok(out.freeze())
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
