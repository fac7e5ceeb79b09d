//! What filters there are, in plain words.

use std::time::Duration;

use moltbot_types::filter::{Action, Direction, Hit};

/// A filter by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Name {
    /// Personal data.
    Pii,
    /// Secrets.
    Secrets,
    /// Lists of words.
    Words,
    /// An outside service.
    Safety,
}

impl Name {
    /// All names, in the order in which filters look.
    pub const ALL: [Self; 4] = [Self::Pii, Self::Secrets, Self::Words, Self::Safety];

    /// Its word in the configuration and in metrics.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pii => "pii",
            Self::Secrets => "secrets",
            Self::Words => "words",
            Self::Safety => "safety",
        }
    }
}

/// The filters that exist; those of `None` do not.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// What is done about personal data.
    pub pii: Option<Action>,
    /// What is done about secrets.
    pub secrets: Option<Action>,
    /// Words that shall not pass.
    pub words: Option<WordSettings>,
    /// The service that is asked.
    pub safety: Option<SafetySettings>,
}

/// Words that shall not pass.
#[derive(Clone, Debug, Default)]
pub struct WordSettings {
    /// The words, each of at most 256 bytes; case does not matter.
    pub words: Vec<String>,
    /// What is done about them.
    pub action: Action,
}

/// The service that is asked.
#[derive(Clone, Debug)]
pub struct SafetySettings {
    /// Its address, `http` or `https`. It is trusted: it sees every text.
    pub endpoint: String,
    /// What is done about texts that it calls unsafe: `Count`, else they are blocked.
    pub action: Action,
    /// What is done while it does not answer.
    pub on_error: OnError,
    /// How long one answer may take.
    pub timeout: Duration,
}

impl Default for SafetySettings {
    fn default() -> Self {
        Self {
            endpoint: String::new(),
            action: Action::Block,
            on_error: OnError::default(),
            timeout: Duration::from_secs(2),
        }
    }
}

/// What is done while the service does not answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnError {
    /// Nothing passes.
    #[default]
    Block,
    /// Texts pass unseen.
    Pass,
}

/// Hears of what filters do, to count it.
pub trait Watch: Send + Sync + 'static {
    /// Something was found; once for each kind in each set of texts.
    fn hit(&self, direction: Direction, hit: &Hit);

    /// The filter of that name had no answer.
    fn failed(&self, direction: Direction, filter: &'static str);
}
