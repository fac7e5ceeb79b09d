//! What a worker and its starter say to each other: one JSON value a frame.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::sandbox::Sandbox;

/// Counts changes of the protocol; a worker of another program file may speak another one.
pub(super) const VERSION: u32 = 1;

/// How a file of a skill is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Syntax {
    /// An ES module.
    Module,
    /// CommonJS: `module.exports`.
    Common,
    /// Parsed and given as a value.
    Json,
    /// Given as a text: Markdown and the like.
    Text,
}

/// A file of a skill.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// Its path below the folder, with `/`.
    pub path: String,
    /// Its content.
    pub text: String,
    /// How it is read.
    pub syntax: Syntax,
}

/// The files of a skill, ready to run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    /// The path of the file that exports the handler.
    pub entry: String,
    /// All files that may be imported.
    pub files: Vec<File>,
}

/// How much a call may use.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Bounds {
    pub(super) cpu_ms: u64,
    pub(super) wall_ms: u64,
    pub(super) memory: usize,
}

/// What a worker is told.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Order {
    /// Look whether these files can be read; strip types.
    Check(Program),
    /// Call the handler.
    Run {
        program: Arc<Program>,
        /// The plain part of `ctx`.
        input: Value,
        bounds: Bounds,
    },
    /// What came of something that the script asked for.
    Settle {
        number: u32,
        result: Result<Value, Failure>,
    },
}

/// Why something that a script asked for failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failure {
    /// The script had no permission for it.
    pub(crate) denied: bool,
    /// In words.
    pub(crate) message: String,
}

/// What a worker says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Said {
    /// It is closed in and waits.
    Ready { version: u32, sandbox: Sandbox },
    /// The files can be read, or why they can't.
    Checked(Result<Program, Trouble>),
    /// The script asks for something.
    Ask {
        number: u32,
        what: String,
        with: Value,
    },
    /// The script logs a line.
    Log { level: String, text: String },
    /// The call is over.
    Done {
        result: Result<Returned, Trouble>,
        cpu_us: u64,
    },
}

/// What a handler returned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Returned {
    pub(super) text: Option<String>,
    pub(super) pass: bool,
}

/// What kind of trouble a script made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum TroubleKind {
    Threw,
    Denied,
    Limit,
}

/// Why a script ended without an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Trouble {
    pub(super) kind: TroubleKind,
    pub(super) message: String,
    pub(super) file: Option<String>,
    pub(super) line: Option<u32>,
}

impl Trouble {
    pub(super) fn limit(message: impl Into<String>) -> Self {
        Self::new(TroubleKind::Limit, message)
    }

    pub(super) fn threw(message: impl Into<String>) -> Self {
        Self::new(TroubleKind::Threw, message)
    }

    fn new(kind: TroubleKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            file: None,
            line: None,
        }
    }
}
