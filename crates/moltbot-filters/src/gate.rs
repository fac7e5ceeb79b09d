//! Lets a text pass when the safety service has no objection, and says why it may not.

use std::sync::Arc;

use moltbot_types::filter::{Action, Direction, Hit};
use moltbot_types::{CallError, Kind};

use crate::safety::{NoAnswer, Opinion, Safety};
use crate::settings::{Name, OnError, Watch};

/// A stream is asked about once this many bytes wait, or earlier at the end of a sentence.
const WINDOW: usize = 1024;
/// Fewest bytes of a sentence that are worth a question.
const SENTENCE: usize = 256;
/// Bytes before the waiting ones that the service sees with them.
const BEFORE: usize = 1024;

/// The way past the safety service.
pub(crate) struct Gate {
    safety: Arc<Safety>,
    direction: Direction,
    watch: Option<Arc<dyn Watch>>,
    /// Of a text that comes in pieces: what passed last, and what waits.
    text: String,
    passed: usize,
}

impl Gate {
    pub(crate) fn new(
        safety: Arc<Safety>,
        direction: Direction,
        watch: Option<Arc<dyn Watch>>,
    ) -> Self {
        Self {
            safety,
            direction,
            watch,
            text: String::new(),
            passed: 0,
        }
    }

    /// Asks about a whole text; gives what a dry run found.
    pub(crate) async fn ask(&self, text: &str) -> Result<Option<Hit>, CallError> {
        if text.trim().is_empty() {
            return Ok(None);
        }
        let name = Name::Safety.word();
        let categories = match (
            self.safety.ask(self.direction, text).await,
            self.safety.on_error,
        ) {
            (Ok(Opinion::Fine), _) => return Ok(None),
            (Ok(Opinion::Unsafe(categories)), _) => categories,
            (Err(NoAnswer(why)), on_error) => {
                if let Some(watch) = &self.watch {
                    watch.failed(self.direction, name);
                }
                return match (on_error, self.safety.action) {
                    (OnError::Block, Action::Mask | Action::Block) => Err(unavailable(why)),
                    _ => Ok(None),
                };
            }
        };
        let hit = Hit {
            filter: name,
            what: "unsafe",
            action: self.safety.action,
        };
        if let Some(watch) = &self.watch {
            watch.hit(self.direction, &hit);
        }
        match hit.action {
            Action::Count => Ok(Some(hit)),
            _ if categories.is_empty() => Err(blocked(&hit)),
            _ => Err(refused(hit.filter, &categories.join(", "))),
        }
    }

    /// Takes a piece; gives what may pass now.
    pub(crate) async fn pass(
        &mut self,
        piece: String,
        last: bool,
    ) -> Result<(String, Option<Hit>), CallError> {
        self.text.push_str(&piece);
        let waiting = &self.text[self.passed..];
        let sentence = waiting.ends_with(['.', '!', '?', '\n', '。', '！', '？']);
        let due = last || waiting.len() >= WINDOW || (sentence && waiting.len() >= SENTENCE);
        if waiting.is_empty() || !due {
            return Ok((String::new(), None));
        }
        let hit = self.ask(&self.text).await?;
        let passed = waiting.to_owned();
        let before = self.text.len().saturating_sub(BEFORE);
        self.text.drain(..self.text.floor_char_boundary(before));
        self.passed = self.text.len();
        if last {
            self.text.clear();
            self.passed = 0;
        }
        Ok((passed, hit))
    }
}

/// The error of a text that may not pass.
pub(crate) fn blocked(hit: &Hit) -> CallError {
    refused(hit.filter, hit.what)
}

fn refused(filter: &str, what: &str) -> CallError {
    let message = format!("blocked by the filter `{filter}`: {what}");
    CallError::new(Kind::ContentFilter, message)
}

fn unavailable(why: &'static str) -> CallError {
    let message =
        format!("the filter `safety` must look at this text, and its service has no answer: {why}");
    CallError::new(Kind::Unavailable, message).code("filter_unavailable")
}
