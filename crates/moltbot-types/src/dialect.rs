//! What a wire dialect can do; `moltbot-wire` implements it, no step knows a dialect by name.

use std::fmt::Debug;

use bytes::Bytes;
use http::StatusCode;

use crate::call::{Edit, Head, Operation};
use crate::chat::{Answer, Prompt};
use crate::error::{CallError, UpstreamFault};
use crate::pieces::Pieces;
use crate::reply::Frames;
use crate::text::{Additions, Slot, Text};
use crate::usage::Usage;

/// A dialect: pure functions over bytes, without I/O.
pub trait Dialect: Debug + Send + Sync + 'static {
    /// Its name: `openai`.
    fn name(&self) -> &'static str;

    /// The path of an operation below the base URL: `/chat/completions`.
    fn path(&self, operation: Operation) -> &'static str;

    /// The version that a base URL without one gets: `/v1`.
    fn version(&self) -> &'static str;

    /// Reads the few facts of a body in one scan, without building a tree.
    ///
    /// # Errors
    /// `BadRequest` for JSON that is broken where it was read (with the position), for a key that
    /// stands twice where it is read, and for a missing or empty model.
    fn peek(&self, operation: Operation, body: &[u8]) -> Result<Head, CallError>;

    /// Splices `edits` into `body`; every other byte stays as it is, and where it is in a long body.
    ///
    /// # Errors
    /// `BadRequest` where the body is broken at the place of an edit.
    fn splice(&self, head: &Head, body: &Bytes, edits: &[Edit]) -> Result<Pieces, CallError>;

    /// The same in one piece.
    ///
    /// # Errors
    /// Those of [`Dialect::splice`].
    fn edit(&self, head: &Head, body: &Bytes, edits: &[Edit]) -> Result<Bytes, CallError> {
        self.splice(head, body, edits).map(Pieces::join)
    }

    /// Reads the texts of a prompt.
    ///
    /// # Errors
    /// `BadRequest` where the body is no prompt of this operation.
    fn read(&self, operation: Operation, body: &[u8]) -> Result<Prompt, CallError>;

    /// The texts of a request's or a whole answer's body, in order of their place: all that people, programs and
    /// models say in it, and no names, ids, addresses or encoded files.
    ///
    /// # Errors
    /// `BadRequest` where the body is broken, or a text in it can't be decoded.
    fn texts<'a>(&self, body: &'a [u8]) -> Result<Vec<Text<'a>>, CallError>;

    /// A whole answer or one frame of it without fields that say its texts once more, and with its data in one line.
    fn plain(&self, answer: Bytes) -> Bytes;

    /// What one frame, as [`Dialect::plain`] gives it, adds to the texts of a streamed answer.
    fn additions<'a>(&self, operation: Operation, frame: &'a [u8]) -> Additions<'a>;

    /// Writes a frame that adds `text` to `slot`, and otherwise is like `frame`, which added something to it.
    fn piece_like(&self, operation: Operation, frame: &[u8], slot: Slot, text: &str) -> Bytes;

    /// A request in a form that is equal where the same is asked; `None` where it has none.
    fn canonical(&self, body: &[u8]) -> Option<Canonical>;

    /// Whether a whole answer may be given again: it ended by itself, and calls no tool.
    fn repeats(&self, operation: Operation, body: &[u8]) -> bool;

    /// A streamed answer in one piece; `usage` is what is known of its tokens. `None` where it says something that
    /// can't be joined.
    fn whole_of(&self, operation: Operation, frames: &[u8], usage: Option<Usage>) -> Option<Bytes>;

    /// A whole answer as the frames of a stream, which tell its usage where that is wanted; `None` where it has no
    /// such form.
    fn stream_of(&self, operation: Operation, body: &[u8], usage: bool) -> Option<Frames>;

    /// Writes a whole answer.
    fn write(&self, operation: Operation, answer: &Answer) -> Bytes;

    /// Writes one frame of a streamed answer that carries `piece`, a slice of the answer's text; the
    /// one with which the text begins also opens the answer.
    fn write_piece(&self, operation: Operation, answer: &Answer, piece: &str) -> Bytes;

    /// Writes the frames that end a streamed answer properly.
    fn write_end(&self, operation: Operation, answer: &Answer) -> Bytes;

    /// Checks a whole answer of status 2xx and reads its usage, where it tells one.
    ///
    /// # Errors
    /// `BadReply` for what is no JSON object; the embedded failure where the answer is an error.
    fn check(&self, operation: Operation, body: &[u8]) -> Result<Option<Usage>, CallError>;

    /// Cuts a streamed answer into frames of at most `limit` bytes and marks them.
    fn splitter(&self, operation: Operation, limit: usize) -> Box<dyn Splitter>;

    /// Reads what an upstream said of its failure. A body that is none gives the status's own words.
    fn fault(&self, status: StatusCode, body: &[u8]) -> UpstreamFault;

    /// Writes an error as a whole answer.
    fn error(&self, error: &CallError) -> Bytes;

    /// Writes an error as an event of a stream, which then ends without a terminal marker.
    fn error_event(&self, error: &CallError) -> Bytes;

    /// A sign of life between frames: one comment line.
    fn ping(&self) -> Bytes {
        Bytes::from_static(b":\n")
    }
}

/// What a request asks, without what no answer depends on or what stands elsewhere: the model, who asks, and in which form
/// the answer shall come.
#[derive(Clone, Debug, PartialEq)]
pub struct Canonical {
    /// Its text: the same where order, blanks and spelling alone differ.
    pub text: Vec<u8>,
    /// The temperature, where it sets one.
    pub temperature: Option<f64>,
    /// A stream shall tell its tokens.
    pub usage: bool,
}

/// Cuts a stream into frames, whatever the sizes of the pieces it arrives in.
///
/// Invariant: the frames that come out, joined, are the bytes that went in, but for frames that are
/// broken (left out and counted) and a terminal marker that was owed.
pub trait Splitter: Send {
    /// Takes the next piece; gives the frames that are complete now, if any are.
    ///
    /// # Errors
    /// `Cut` for the fourth broken frame or one that is too long; the embedded failure of an error frame
    /// is no `Err`: it is a frame of mark `Error`, read with [`Splitter::failure`].
    fn push(&mut self, piece: Bytes) -> Result<Option<Frames>, CallError>;

    /// The stream is over. Gives what is still owed: the rest of the last frame, a terminal marker.
    ///
    /// # Errors
    /// `Cut` where no end was seen: such a stream is never made to look complete.
    fn finish(&mut self) -> Result<Option<Frames>, CallError>;

    /// The failure that the last frame of mark `Error` told.
    fn failure(&mut self) -> Option<CallError>;
}
