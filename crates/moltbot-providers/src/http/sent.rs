//! The body of a request, sent in the pieces that an edit left of it.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use moltbot_types::Pieces;

/// A body whose length is known, so that it leaves with it and not in chunks.
pub(crate) struct Sent {
    left: u64,
    pieces: <Pieces as IntoIterator>::IntoIter,
}

impl From<Pieces> for Sent {
    fn from(pieces: Pieces) -> Self {
        Self {
            left: pieces.len() as u64,
            pieces: pieces.into_iter(),
        }
    }
}

impl Body for Sent {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = self.pieces.next();
        self.left -= piece.as_ref().map_or(0, Bytes::len) as u64;
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
