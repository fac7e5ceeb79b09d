//! The neutral form of a conversation, for those who answer without an upstream.

use crate::usage::Usage;

/// One message of a prompt, its text parts joined.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Turn {
    /// `system`, `user`, `assistant` or `tool`, as the dialect's word for it.
    pub role: String,
    /// The text; parts that are no text are left out.
    pub text: String,
}

/// What a caller asks, as far as text goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prompt {
    /// Messages in order. A plain prompt is one user turn.
    pub turns: Vec<Turn>,
}

impl Prompt {
    /// The text of the last user turn, if there is one.
    pub fn last_user(&self) -> Option<&str> {
        self.turns
            .iter()
            .rev()
            .find(|turn| turn.role == "user")
            .map(|turn| turn.text.as_str())
    }
}

/// Why an answer ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Finish {
    /// The model had said all.
    #[default]
    Stop,
    /// The token limit was reached.
    Length,
}

/// A text answer, to be written in some dialect.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Id of the answer in the dialect's field.
    pub id: String,
    /// The model's name, as the answer tells it.
    pub model: String,
    /// Seconds since 1970.
    pub created: i64,
    /// The text.
    pub text: String,
    /// Why it ended.
    pub finish: Finish,
    /// Tokens.
    pub usage: Usage,
}
