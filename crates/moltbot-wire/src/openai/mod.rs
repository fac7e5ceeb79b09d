//! The OpenAI dialect: chat completions, completions, embeddings.

mod body;
mod error;
mod read;
mod replay;
mod shape;
mod stream;
mod texts;
mod write;

use bytes::Bytes;
use http::StatusCode;
use moltbot_types::{
    Additions, Answer, CallError, Canonical, Dialect, Edit, Frames, Head, Operation, Pieces,
    Prompt, Slot, Splitter, Text, UpstreamFault, Usage,
};

/// The dialect. It has no state, so one `static` serves all calls.
pub static OPENAI: OpenAi = OpenAi;

/// The OpenAI dialect: [`OPENAI`].
#[derive(Debug)]
pub struct OpenAi;

impl Dialect for OpenAi {
    fn name(&self) -> &'static str {
        "openai"
    }

    fn path(&self, operation: Operation) -> &'static str {
        match operation {
            Operation::Complete => "/completions",
            Operation::Embed => "/embeddings",
            _ => "/chat/completions",
        }
    }

    fn version(&self) -> &'static str {
        "/v1"
    }

    fn peek(&self, operation: Operation, body: &[u8]) -> Result<Head, CallError> {
        body::peek(operation, body)
    }

    fn splice(&self, head: &Head, body: &Bytes, edits: &[Edit]) -> Result<Pieces, CallError> {
        body::splice(head, body, edits)
    }

    fn read(&self, operation: Operation, body: &[u8]) -> Result<Prompt, CallError> {
        read::prompt(operation, body)
    }

    fn texts<'a>(&self, body: &'a [u8]) -> Result<Vec<Text<'a>>, CallError> {
        texts::all(body)
    }

    fn plain(&self, answer: Bytes) -> Bytes {
        texts::plain(answer)
    }

    fn additions<'a>(&self, _: Operation, frame: &'a [u8]) -> Additions<'a> {
        texts::additions(frame)
    }

    fn piece_like(&self, operation: Operation, frame: &[u8], slot: Slot, text: &str) -> Bytes {
        texts::piece_like(operation, frame, slot, text)
    }

    fn canonical(&self, body: &[u8]) -> Option<Canonical> {
        replay::canonical(body)
    }

    fn repeats(&self, operation: Operation, body: &[u8]) -> bool {
        replay::repeats(operation, body)
    }

    fn whole_of(&self, operation: Operation, frames: &[u8], usage: Option<Usage>) -> Option<Bytes> {
        replay::whole_of(operation, frames, usage)
    }

    fn stream_of(&self, operation: Operation, body: &[u8], usage: bool) -> Option<Frames> {
        replay::stream_of(operation, body, usage)
    }

    fn write(&self, operation: Operation, answer: &Answer) -> Bytes {
        write::whole(operation, answer)
    }

    fn write_piece(&self, operation: Operation, answer: &Answer, piece: &str) -> Bytes {
        write::piece(operation, answer, piece)
    }

    fn write_end(&self, operation: Operation, answer: &Answer) -> Bytes {
        write::end(operation, answer)
    }

    fn check(&self, _: Operation, body: &[u8]) -> Result<Option<Usage>, CallError> {
        read::check(body)
    }

    fn splitter(&self, _: Operation, limit: usize) -> Box<dyn Splitter> {
        Box::new(stream::Stream::new(limit))
    }

    fn fault(&self, status: StatusCode, body: &[u8]) -> UpstreamFault {
        error::fault(status, body)
    }

    fn error(&self, error: &CallError) -> Bytes {
        error::whole(error)
    }

    fn error_event(&self, error: &CallError) -> Bytes {
        error::event(error)
    }
}

#[cfg(test)]
mod golden;
