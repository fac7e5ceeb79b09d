//! What a skill is: something with a manifest that hears a text and may answer.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use moltbot_types::Caller;
use serde_json::Value;

use crate::manifest::Manifest;
use crate::trigger::Hit;

/// A skill. Scripts in folders are skills; a program may bring its own.
#[async_trait]
pub trait Skill: Send + Sync {
    /// What it is called, when it runs and what it may do.
    fn manifest(&self) -> &Manifest;

    /// Hears a text, and answers or not. It never fails the caller: what went wrong is an outcome.
    async fn run(&self, said: Said) -> Ended;
}

/// What a skill hears.
#[derive(Clone, Debug)]
pub struct Said {
    /// As whom it acts.
    pub caller: Caller,
    /// How many calls of skills stand above this one.
    pub depth: u8,
    /// The text; of a tool call the empty one.
    pub text: String,
    /// What its trigger found.
    pub hit: Option<Hit>,
    /// The arguments of a tool call: an object. `None` where nobody called it as a tool.
    pub arguments: Option<Value>,
    /// Who said it, by the platform's id.
    pub sender: Option<Arc<str>>,
    /// The channel's name.
    pub channel: Option<Arc<str>>,
    /// What was said before, oldest first: role and content.
    pub history: Vec<(String, String)>,
    /// Nothing that it writes is kept.
    pub dry: bool,
    /// Only what does not need a permission: for skills that wait for approval.
    pub ungranted: bool,
}

impl Said {
    /// A text, and nothing else.
    pub fn text(caller: Caller, text: impl Into<String>) -> Self {
        Self {
            caller,
            depth: 0,
            text: text.into(),
            hit: None,
            arguments: None,
            sender: None,
            channel: None,
            history: Vec::new(),
            dry: false,
            ungranted: false,
        }
    }
}

/// How a run ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// What came of it.
    pub outcome: Outcome,
    /// What it logged, in order; at most 64 KiB.
    pub logs: Vec<LogLine>,
    /// Time on the processor.
    pub cpu: Duration,
    /// Time on the clock.
    pub wall: Duration,
}

impl Ended {
    /// An outcome without a log that took no time: what skills of a program return.
    pub fn with(outcome: Outcome) -> Self {
        Self {
            outcome,
            logs: Vec::new(),
            cpu: Duration::ZERO,
            wall: Duration::ZERO,
        }
    }
}

/// What came of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The answer.
    Answer(String),
    /// Another text to go on with.
    Pass(String),
    /// Nothing: the turn goes on as if it had not run.
    Nothing,
    /// It failed; the turn goes on as if it had not run.
    Fault(Fault),
}

impl Outcome {
    /// Its word in `moltbot_skill_runs_total`.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Answer(_) => "ok",
            Self::Pass(_) | Self::Nothing => "pass",
            Self::Fault(fault) => match fault.kind {
                FaultKind::Limit => "limit",
                FaultKind::Denied => "denied",
                FaultKind::Threw | FaultKind::Crash | FaultKind::Unavailable => "error",
            },
        }
    }
}

/// A line that a skill logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// `info`, `warn` or `error`.
    pub level: String,
    /// The text.
    pub text: String,
}

/// Why a skill failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The kind of failure.
    pub kind: FaultKind,
    /// In words.
    pub message: String,
    /// The file, below the skill's folder, where it is known.
    pub file: Option<String>,
    /// The line in it, from 1.
    pub line: Option<u32>,
}

/// The kinds of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// The handler threw.
    Threw,
    /// It wanted what it has no permission for.
    Denied,
    /// It broke a limit.
    Limit,
    /// Its worker ended.
    Crash,
    /// No worker could run it: nothing that the skill is to blame for.
    Unavailable,
}

impl Fault {
    /// A failure without a place.
    pub fn new(kind: FaultKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            file: None,
            line: None,
        }
    }

    /// Whether it counts towards quarantine.
    pub fn is_grave(&self) -> bool {
        matches!(self.kind, FaultKind::Limit | FaultKind::Crash)
    }
}

impl fmt::Display for Fault {
    /// `index.js:7: TypeError: x is not a function`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{file}:")?;
            if let Some(line) = self.line {
                write!(f, "{line}:")?;
            }
            f.write_str(" ")?;
        }
        f.write_str(&self.message)
    }
}
