//! What must not pass: how texts are looked at on their way to a model and back.
//!
//! `moltbot-filters` implements [`Filter`]; the path and a channel's turn use it and know no filter by name.
//!
//! ```
//! # use moltbot_types::filter::{Direction, Filter};
//! # use moltbot_types::CallError;
//! /// What a turn does with a message before anything is kept of it.
//! async fn received(filter: &dyn Filter, text: String) -> Result<String, CallError> {
//!     let changed = filter.text(Direction::Inbound, &text).await?; // `Err`: blocked, the message says by whom
//!     Ok(changed.unwrap_or(text))
//! }
//! ```

use std::borrow::Cow;

use futures_util::future::BoxFuture;

use crate::error::CallError;

/// Which way a text goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// To a model.
    Inbound,
    /// From a model.
    Outbound,
}

impl Direction {
    /// Its word in the configuration and in metrics.
    pub fn word(self) -> &'static str {
        match self {
            Self::Inbound => "inbound",
            Self::Outbound => "outbound",
        }
    }
}

/// What is done about something that was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// Its place is taken by what it is, in brackets: `[email]`.
    #[default]
    Mask,
    /// The text goes no further.
    Block,
    /// It is told, and nothing changes: a dry run.
    Count,
}

impl Action {
    /// Its word in the configuration and in metrics.
    pub fn word(self) -> &'static str {
        match self {
            Self::Mask => "mask",
            Self::Block => "block",
            Self::Count => "count",
        }
    }
}

/// Something that was found. It never holds what the text said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hit {
    /// The filter that found it: `pii`.
    pub filter: &'static str,
    /// What it is: `email`.
    pub what: &'static str,
    /// What was done about it.
    pub action: Action,
}

/// Texts that were looked at and may pass.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Screened {
    /// The texts that changed: their place among those that were given, rising, and what they are now.
    pub changed: Vec<(usize, String)>,
    /// What was found, each kind once.
    pub hits: Vec<Hit>,
}

/// The filters that are in force at one place, as one.
pub trait Filter: Send + Sync + 'static {
    /// Whether any filter looks at texts of this direction; where none does, nothing need be asked.
    fn looks(&self, direction: Direction) -> bool;

    /// Looks at the texts of one message, call or answer, each of which is whole.
    ///
    /// # Errors
    /// `ContentFilter` where one is blocked, with words that name the filter and never the content;
    /// `Unavailable` with the code `filter_unavailable` where a filter that must be asked does not answer.
    fn screen<'a>(
        &'a self,
        direction: Direction,
        texts: &'a [Cow<'a, str>],
    ) -> BoxFuture<'a, Result<Screened, CallError>>;

    /// Begins to look at one text that comes in pieces.
    fn begin(&self, direction: Direction) -> Box<dyn Screen>;

    /// Looks at one whole text; gives what it is now where it changed.
    ///
    /// # Errors
    /// As [`Filter::screen`].
    fn text<'a>(
        &'a self,
        direction: Direction,
        text: &'a str,
    ) -> BoxFuture<'a, Result<Option<String>, CallError>> {
        Box::pin(async move {
            let screened = self.screen(direction, &[Cow::Borrowed(text)]).await?;
            Ok(screened.changed.into_iter().next().map(|(_, text)| text))
        })
    }
}

/// One text that comes in pieces.
///
/// Invariant: what comes out, joined, is what the whole text would have become, however it was cut.
/// A few bytes are held back where a piece may end within a match.
pub trait Screen: Send + Sync {
    /// Takes the next piece; gives what may go out now, which may be nothing yet.
    ///
    /// # Errors
    /// As [`Filter::screen`]. Nothing comes out after an error.
    fn push<'a>(&'a mut self, piece: &'a str) -> BoxFuture<'a, Result<String, CallError>>;

    /// The text is over; gives what was held back.
    ///
    /// # Errors
    /// As [`Filter::screen`].
    fn finish(&mut self) -> BoxFuture<'_, Result<String, CallError>>;

    /// What was found since the last time it was asked, each kind once.
    fn hits(&mut self) -> Vec<Hit>;
}
