//! `skill.yaml`: what a skill is called, when it runs, what it may do and how much of it.

mod read;
mod tree;

use std::fmt;
use std::time::Duration;

use serde_json::Value;
use url::Host;

use crate::problem::{Problem, Problems};
use crate::trigger::Trigger;

/// A manifest that was read and checked.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// The skill's name, which is its folder's too.
    pub name: String,
    /// Its version, as its author counts.
    pub version: String,
    /// What it does, for people and models.
    pub description: String,
    /// The file that exports the handler, below the folder.
    pub entry: String,
    /// Before others that match too, where it is higher.
    pub priority: f64,
    /// When it runs; empty where only a model calls it.
    pub triggers: Vec<Trigger>,
    /// Whether models and MCP clients may call it.
    pub tool: bool,
    /// The JSON schema of what a tool call gives.
    pub parameters: Value,
    /// What it may do beyond computing.
    pub permissions: Permissions,
    /// How much of it.
    pub limits: Limits,
}

/// What a skill may do beyond computing; nothing by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Permissions {
    /// Where `fetch` may go.
    pub net: Vec<Place>,
    /// Which secrets it may read.
    pub secrets: Vec<String>,
    /// Whether it keeps values.
    pub kv: bool,
    /// Which models it may ask; `*` stands for any rest of a name.
    pub model: Vec<String>,
}

/// A host and port that `fetch` may reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The host: a name or an address.
    pub host: Host<String>,
    /// The port.
    pub port: u16,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// How much one call of a skill may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Time on a processor.
    pub cpu: Duration,
    /// Time on the clock.
    pub wall: Duration,
    /// Bytes of memory.
    pub memory: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            cpu: Duration::from_millis(200),
            wall: Duration::from_secs(5),
            memory: 64 << 20,
        }
    }
}

impl Permissions {
    /// Whether it asks for nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether `fetch` may reach a host and port.
    pub fn may_reach(&self, host: &Host<String>, port: u16) -> bool {
        self.net
            .iter()
            .any(|place| place.host == *host && place.port == port)
    }

    /// Whether it may ask a model.
    pub fn may_ask(&self, model: &str) -> bool {
        let fits = |pattern: &String| wildmatch::WildMatch::new(pattern).matches(model);
        self.model.iter().any(fits)
    }
}

impl fmt::Display for Permissions {
    /// What is granted, for the person who grants it: `net api.example.com:443, secrets ORDER_TOKEN, kv`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |words: Vec<String>| words.join(" ");
        let mut parts = Vec::new();
        if !self.net.is_empty() {
            let places = self.net.iter().map(ToString::to_string).collect();
            parts.push(format!("net {}", list(places)));
        }
        if !self.secrets.is_empty() {
            parts.push(format!("secrets {}", list(self.secrets.clone())));
        }
        if self.kv {
            parts.push("kv".to_owned());
        }
        if !self.model.is_empty() {
            parts.push(format!("model {}", list(self.model.clone())));
        }
        match parts.is_empty() {
            true => f.write_str("nothing"),
            false => f.write_str(&parts.join(", ")),
        }
    }
}

impl Manifest {
    /// Whether what a tool call gives is what `parameters` asks for.
    ///
    /// # Errors
    /// What is wrong with it, in words for the model.
    pub fn fits(&self, arguments: &Value) -> Result<(), String> {
        match jsonschema::validate(&self.parameters, arguments) {
            Ok(()) => Ok(()),
            Err(error) => Err(format!("the arguments do not fit: {error}")),
        }
    }

    /// Reads and checks a manifest; `file` is how errors call it.
    ///
    /// # Errors
    /// Every mistake that it holds, each with its line and key.
    ///
    /// ```
    /// use moltbot_skills::Manifest;
    ///
    /// let manifest = Manifest::parse("name: hello\ntriggers: [{ command: /hello }]", "skill.yaml").unwrap();
    /// assert_eq!((manifest.entry.as_str(), manifest.permissions.is_empty()), ("index.js", true));
    ///
    /// let wrong = Manifest::parse("name: hello\ntrigger: []", "skill.yaml").unwrap_err();
    /// assert_eq!(wrong.to_string(), "skill.yaml:2: trigger: unknown key; the nearest is `triggers`");
    /// ```
    pub fn parse(text: &str, file: &str) -> Result<Self, Problems> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        if text.trim().is_empty() {
            return Err(Problem::of_file(file, "is empty; it needs a `name` at least").into());
        }
        let tree: tree::Node = serde_saphyr::from_str(text).map_err(|error| {
            let words = error.without_snippet().to_string();
            Problem {
                file: file.to_owned(),
                line: error.location().map_or(0, |at| at.line() as usize),
                message: words.lines().next().unwrap_or("is no YAML").to_owned(),
                ..Problem::default()
            }
        })?;
        read::manifest(&tree, file)
    }

    /// What is allowed but probably not meant, each with what to do.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        for trigger in &self.triggers {
            if let Some(command) = trigger.command()
                && crate::trigger::BUILT_IN.contains(&command)
            {
                warnings.push(format!(
                    "the command {command} is built in and wins in channels: choose another"
                ));
            }
        }
        if self.tool && self.description.is_empty() {
            warnings.push(
                "tool: true without a description: a model will not know when to call it".into(),
            );
        }
        if self.triggers.is_empty() && !self.tool {
            warnings.push("it has no triggers and is no tool: it runs only as `skill:NAME`".into());
        }
        warnings
    }
}

#[cfg(test)]
mod tests;
