//! Bytes in the pieces that they are made of, so that an edit of a long body copies none of it.

use bytes::{Bytes, BytesMut};
use smallvec::SmallVec;

/// Pieces that follow one another; most bodies are one.
///
/// ```
/// use moltbot_types::Pieces;
///
/// let pieces: Pieces = ["{\"a\":", "1", "}"].map(Into::into).into_iter().collect();
/// assert_eq!((pieces.len(), pieces.join().as_ref()), (7, &b"{\"a\":1}"[..]));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pieces(SmallVec<[Bytes; 1]>);

impl Pieces {
    /// Bytes in all of them.
    pub fn len(&self) -> usize {
        self.0.iter().map(Bytes::len).sum()
    }

    /// Whether there is no byte in them.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them in one; a single piece is not copied.
    pub fn join(self) -> Bytes {
        match self.0.as_slice() {
            [one] => one.clone(),
            several => {
                let mut all = BytesMut::with_capacity(self.len());
                several
                    .iter()
                    .for_each(|piece| all.extend_from_slice(piece));
                all.freeze()
            }
        }
    }
}

impl From<Bytes> for Pieces {
    fn from(bytes: Bytes) -> Self {
        std::iter::once(bytes).collect()
    }
}

/// Empty ones are left out.
impl FromIterator<Bytes> for Pieces {
    fn from_iter<I: IntoIterator<Item = Bytes>>(pieces: I) -> Self {
        Self(
            pieces
                .into_iter()
                .filter(|piece| !piece.is_empty())
                .collect(),
        )
    }
}

impl IntoIterator for Pieces {
    type Item = Bytes;
    type IntoIter = smallvec::IntoIter<[Bytes; 1]>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}
