//! How an answer is shown while it is written: to nobody, or to whoever waits for it.

use async_trait::async_trait;
use tokio::sync::watch;

/// Hears an answer grow.
#[async_trait]
pub(crate) trait Grow: Send {
    /// Whether the answer shall come in pieces.
    fn wants(&self) -> bool;

    /// The answer begins with this, which may be empty.
    fn begin(&mut self, opening: &str);

    /// A further piece.
    async fn grow(&mut self, piece: &str);
}

/// Nobody watches: the answer comes whole.
pub(crate) struct Unseen;

#[async_trait]
impl Grow for Unseen {
    fn wants(&self) -> bool {
        false
    }

    fn begin(&mut self, _: &str) {}

    async fn grow(&mut self, _: &str) {}
}

/// An answer as far as it is written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Its text so far; at the end what the sender hears, which may be another text.
    pub text: String,
    /// It is at its end. A text that is empty then says nothing.
    pub ended: bool,
}

/// Someone who waits for the answer is shown how it grows.
pub(crate) struct Shown {
    pub(crate) progress: watch::Sender<Progress>,
    pub(crate) stream: bool,
}

#[async_trait]
impl Grow for Shown {
    fn wants(&self) -> bool {
        self.stream
    }

    fn begin(&mut self, opening: &str) {
        self.progress
            .send_modify(|so_far| opening.clone_into(&mut so_far.text));
    }

    async fn grow(&mut self, piece: &str) {
        if self.stream {
            self.progress
                .send_modify(|so_far| so_far.text.push_str(piece));
        }
    }
}
