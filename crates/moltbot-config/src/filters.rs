//! `filters`: what must not pass, and the lists of words that it names.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::home::Home;
use crate::load::Texts;
use crate::policy::FilterName;
use crate::problem::{Problem, Problems};
use crate::report::problem_at;
use crate::tree::Node;
use crate::unit::{self, PositiveTime};

/// Longest word of a list, in bytes.
const LONGEST: usize = 256;

/// What must not pass. The filters that stand here look at all calls and answers, unless a workspace's policy names
/// others; those that do not stand here do not exist.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Filters {
    /// Data about persons: mail, phones, Chinese resident numbers, bank cards, IBAN, addresses of the internet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pii: Option<Pattern>,
    /// Keys of well-known services, private keys, tokens, and long random words beside one such as `password`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secrets: Option<Pattern>,
    /// Lists of words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub words: Option<Words>,
    /// A service that judges content: `POST {"text", "direction"}`, answered by `{"blocked", "categories"}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub safety: Option<Safety>,
}

/// A filter that knows by itself what to look for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Pattern {
    /// What is done about what is found.
    pub action: FilterAction,
    /// Whether it is done, or only counted.
    pub enforce: bool,
}

impl Default for Pattern {
    fn default() -> Self {
        Self {
            action: FilterAction::Mask,
            enforce: true,
        }
    }
}

/// Lists of words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["files"]))]
pub struct Words {
    /// Files with a word or phrase a line, relative to `config/`; a line that begins with `# ` is a comment.
    #[schemars(length(min = 1))]
    pub files: Vec<String>,
    /// What is done about a word that is found.
    pub action: FilterAction,
    /// Whether it is done, or only counted.
    pub enforce: bool,
    /// The words of all files.
    #[serde(skip)]
    pub words: Vec<String>,
}

impl Default for Words {
    fn default() -> Self {
        Self {
            files: Vec::new(),
            action: FilterAction::Block,
            enforce: true,
            words: Vec::new(),
        }
    }
}

/// A service that judges content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["endpoint"]))]
pub struct Safety {
    /// Its address.
    #[schemars(extend("format" = "token-url"))]
    pub endpoint: String,
    /// What is done about a text that it calls unsafe: a text can't be masked as a whole.
    pub action: SafetyAction,
    /// What is done while it does not answer.
    pub on_error: OnError,
    /// How long an answer may take.
    #[serde(with = "unit::time")]
    #[schemars(with = "PositiveTime")]
    pub timeout: Duration,
    /// Whether it is done, or only counted.
    pub enforce: bool,
}

impl Default for Safety {
    fn default() -> Self {
        Self {
            endpoint: String::new(),
            action: SafetyAction::Block,
            on_error: OnError::Block,
            timeout: Duration::from_secs(2),
            enforce: true,
        }
    }
}

/// What is done about what is found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FilterAction {
    /// Its place is taken by what it is, in brackets.
    #[default]
    Mask,
    /// The call or answer goes no further.
    Block,
    /// It is counted, and passes.
    Count,
}

/// What is done about an unsafe text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SafetyAction {
    /// The call or answer goes no further.
    #[default]
    Block,
    /// It is counted, and passes.
    Count,
}

/// What is done while the service does not answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnError {
    /// Nothing passes.
    #[default]
    Block,
    /// Texts pass unseen.
    Pass,
}

impl Filters {
    /// The filters that exist.
    pub fn names(&self) -> Vec<FilterName> {
        let named = [
            (self.pii.is_some(), FilterName::Pii),
            (self.secrets.is_some(), FilterName::Secrets),
            (self.words.is_some(), FilterName::Words),
            (self.safety.is_some(), FilterName::Safety),
        ];
        let exists = named.into_iter().filter(|(exists, _)| *exists);
        exists.map(|(_, name)| name).collect()
    }

    /// Reads the lists of words; gives the files, which are watched.
    pub(crate) fn read(
        &mut self,
        home: &Home,
        texts: &Texts<'_>,
        tree: &Node,
        problems: &mut Problems,
    ) -> Vec<PathBuf> {
        let Some(list) = &mut self.words else {
            return Vec::new();
        };
        let mut watched = Vec::new();
        let folder = home.gateway_file();
        let folder = folder.parent().unwrap_or(home.root());
        for (index, name) in list.files.iter().enumerate() {
            let path = folder.join(name);
            let shown = home.relative(&path);
            match texts.read(&path, &shown) {
                Ok(Some(text)) => words(&text, &shown, &mut list.words, problems),
                Ok(None) => {
                    let at = ["filters", "words", "files", &index.to_string()];
                    let message = format!("there is no file {}", path.display());
                    let hint = "write one word or phrase a line into it".to_owned();
                    problems.push(problem_at(tree, &at, message, Some(hint)));
                }
                Err(problem) => problems.push(problem),
            }
            watched.push(path);
        }
        watched
    }
}

fn words(text: &str, file: &str, words: &mut Vec<String>, problems: &mut Problems) {
    for (index, line) in text.lines().enumerate() {
        let word = line.trim();
        if word.is_empty() || line.starts_with("# ") || line == "#" {
            continue;
        }
        if word.len() > LONGEST {
            problems.push(Problem {
                file: file.to_owned(),
                line: index + 1,
                column: 1,
                message: format!("a word has at most {LONGEST} bytes"),
                hint: Some("write a shorter part of it".to_owned()),
                ..Problem::default()
            });
            continue;
        }
        words.push(word.to_owned());
    }
}
