//! The texts of a body: where people's and models' words stand in it.

use std::borrow::Cow;
use std::ops::Range;

use bytes::{BufMut, Bytes, BytesMut};
use smallvec::SmallVec;

/// A text within a JSON body or frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text<'a> {
    /// Where its JSON value stands, quotes included.
    pub at: Range<usize>,
    /// What it says, decoded.
    pub text: Cow<'a, str>,
}

/// Which running text of a streamed answer a piece belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Slot {
    /// The answer, where several were asked for; a dialect whose answers come in blocks counts those.
    pub choice: u64,
    /// The field, as the dialect counts its own.
    pub field: u8,
    /// Which tool call, where it is the arguments of one: JSON that means nothing before its end.
    pub call: Option<u64>,
}

/// What one frame adds to the texts of an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Additions<'a> {
    /// Its pieces, in order of their place.
    pub texts: Vec<(Slot, Text<'a>)>,
    /// Choices whose texts are complete with this frame.
    pub ended: SmallVec<[u64; 1]>,
}

/// Puts other texts in the place of JSON values; every other byte stays as it is.
///
/// `texts` rise in their places, which do not overlap.
///
/// ```
/// use bytes::Bytes;
/// use moltbot_types::text::put;
///
/// let body = Bytes::from_static(br#"{"a": "one", "b": 2}"#);
/// let changed = put(&body, &[(6..11, "\"1\"".to_owned())]);
/// assert_eq!(&changed[..], br#"{"a": "\"1\"", "b": 2}"#);
/// ```
pub fn put(body: &Bytes, texts: &[(Range<usize>, String)]) -> Bytes {
    if texts.is_empty() {
        return body.clone();
    }
    let added: usize = texts.iter().map(|(_, text)| text.len() + 2).sum();
    let mut out = BytesMut::with_capacity(body.len() + added);
    let mut done = 0;
    for (at, text) in texts {
        let quoted = serde_json::Value::from(text.as_str()).to_string();
        out.put_slice(body.get(done..at.start).unwrap_or_default());
        out.put_slice(quoted.as_bytes());
        done = at.end;
    }
    out.put_slice(body.get(done..).unwrap_or_default());
    out.freeze()
}
