//! How one channel works, in plain settings.

use std::time::Duration;

use moltbot_types::Workspace;

use crate::send::Format;

/// So many messages in so much time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many.
    pub count: u32,
    /// In what time, from the first of them.
    pub per: Duration,
}

/// Whose messages share a context.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SessionBy {
    /// Those of one sender in one room or thread.
    #[default]
    Sender,
    /// Those of all senders in one room or thread.
    Room,
}

/// How one channel works; the defaults are those of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The workspace that the channel belongs to.
    pub workspace: Workspace,
    /// Its name there.
    pub name: String,
    /// Most messages of one sender.
    pub rate_limit: Rate,
    /// Exchanges that the model sees beside the new message.
    pub context_window: usize,
    /// How answers leave.
    pub format: Format,
    /// The model; `None` is the first one for chats that the workspace may use.
    pub model: Option<String>,
    /// What the model is told first.
    pub system: Option<String>,
    /// Names of filters, beside those of the workspace.
    pub filters: Vec<String>,
    /// Senders (`u1`), rooms (`#r1`) or `*` that are answered.
    pub allow: Vec<String>,
    /// In a group the bot answers only when it is named.
    pub mention: bool,
    /// Comes before the first answer of a conversation.
    pub greeting: Option<String>,
    /// An answer that is older than that, counted from its message's arrival, is not sent.
    pub reply_ttl: Duration,
    /// Whose messages share a context.
    pub session: SessionBy,
    /// Answers grow while they are written, where the platform can show that.
    pub stream: bool,
    /// Messages that may wait at once; further ones are refused, so that their platform brings them again.
    pub waiting: usize,
    /// Turns at once.
    pub turns: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            workspace: Workspace::default(),
            name: String::new(),
            rate_limit: Rate {
                count: 20,
                per: Duration::from_secs(60),
            },
            context_window: 10,
            format: Format::default(),
            model: None,
            system: None,
            filters: Vec::new(),
            allow: vec!["*".to_owned()],
            mention: true,
            greeting: None,
            reply_ttl: Duration::from_secs(600),
            session: SessionBy::default(),
            stream: true,
            waiting: 20_000,
            turns: 256,
        }
    }
}
