//! When a skill runs: a command, a pattern, a word, an event or a time.

mod keyword;
mod schedule;

use std::sync::Arc;

use regex::{Regex, RegexBuilder};
use serde::Serialize;
use serde_json::{Map, Value, json};

use keyword::Keyword;
pub use schedule::{Schedule, SendTo};

/// Commands that channels answer themselves.
pub(crate) const BUILT_IN: [&str; 3] = ["/new", "/help", "/model"];
/// Bytes that a compiled pattern may take, and its cache.
const PATTERN_SIZE: usize = 1 << 20;

/// The kind of a trigger, the one that ranks first first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The text begins with a command.
    Command,
    /// A regular expression matches.
    Regex,
    /// A word is in the text.
    Keyword,
    /// Something happened.
    Event,
    /// It is time.
    Cron,
}

impl Kind {
    /// Its key in `skill.yaml`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::Regex => "regex",
            Self::Keyword => "keyword",
            Self::Event => "event",
            Self::Cron => "cron",
        }
    }
}

/// One trigger of a skill.
#[derive(Clone, Debug)]
pub struct Trigger(Form);

#[derive(Clone, Debug)]
enum Form {
    Command(String),
    Regex(Regex),
    Keyword(Vec<Keyword>),
    Message,
    Cron(Arc<Schedule>),
}

/// What of a text a trigger found.
#[derive(Clone, Debug, PartialEq)]
pub struct Hit {
    /// The kind of the trigger.
    pub kind: Kind,
    /// The trigger, as `skill match` shows it: `regex ^order (?<id>\d+)$`.
    pub trigger: String,
    /// In words, what matched.
    pub why: String,
    /// `ctx.match`: the matched texts, the whole one first.
    pub texts: Vec<Option<String>>,
    /// `ctx.match.groups`: the named ones.
    pub groups: Map<String, Value>,
    /// `ctx.args` of a command: the rest of the text.
    pub args: Option<String>,
}

impl Trigger {
    /// The text begins with `command`, then white space or its end.
    ///
    /// # Errors
    /// An empty command, and one with white space.
    pub fn of_command(command: &str) -> Result<Self, String> {
        if command.is_empty() || command.contains(char::is_whitespace) {
            return Err("a command is one word such as /order".to_owned());
        }
        Ok(Self(Form::Command(command.to_owned())))
    }

    /// A pattern of the `regex` crate matches anywhere in the text.
    ///
    /// # Errors
    /// What the crate refuses: a mistake, look-around, back references, a pattern that is too large.
    pub fn of_regex(pattern: &str) -> Result<Self, String> {
        let regex = build(pattern).map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => "is too large a pattern".to_owned(),
            error => {
                let words = error.to_string();
                let last = words.lines().last().unwrap_or_default();
                format!("is no pattern: {}", last.trim_start_matches("error: "))
            }
        })?;
        Ok(Self(Form::Regex(regex)))
    }

    /// One of the words is in the text.
    ///
    /// # Errors
    /// No word at all, an empty one.
    pub fn of_keywords(words: &[String]) -> Result<Self, String> {
        let words: Result<Vec<_>, _> = words.iter().map(|word| Keyword::new(word)).collect();
        match words? {
            words if words.is_empty() => Err("names no word".to_owned()),
            words => Ok(Self(Form::Keyword(words))),
        }
    }

    /// Something happened: `message.received` is all that can.
    ///
    /// # Errors
    /// Any other event.
    pub fn of_event(event: &str) -> Result<Self, String> {
        match event {
            "message.received" => Ok(Self(Form::Message)),
            other => Err(format!(
                "no event `{other}`; the only one is message.received"
            )),
        }
    }

    /// It is time, by five fields of cron in a time zone.
    ///
    /// # Errors
    /// Fields that are none, a zone that is not known.
    pub fn of_cron(fields: &str, zone: &str, send: Option<SendTo>) -> Result<Self, String> {
        let schedule = Schedule::new(fields, zone, send)?;
        Ok(Self(Form::Cron(Arc::new(schedule))))
    }

    /// Its kind.
    pub fn kind(&self) -> Kind {
        match self.0 {
            Form::Command(_) => Kind::Command,
            Form::Regex(_) => Kind::Regex,
            Form::Keyword(_) => Kind::Keyword,
            Form::Message => Kind::Event,
            Form::Cron(_) => Kind::Cron,
        }
    }

    /// As people write it: `command /order`.
    pub fn describe(&self) -> String {
        let what = match &self.0 {
            Form::Command(command) => command.clone(),
            Form::Regex(regex) => regex.as_str().to_owned(),
            Form::Keyword(words) => {
                let words: Vec<_> = words.iter().map(Keyword::word).collect();
                words.join(", ")
            }
            Form::Message => "message.received".to_owned(),
            Form::Cron(schedule) => schedule.to_string(),
        };
        format!("{} {what}", self.kind().word())
    }

    pub(crate) fn command(&self) -> Option<&str> {
        match &self.0 {
            Form::Command(command) => Some(command),
            _ => None,
        }
    }

    /// The times at which it fires, where it fires by time.
    pub fn schedule(&self) -> Option<&Arc<Schedule>> {
        match &self.0 {
            Form::Cron(schedule) => Some(schedule),
            _ => None,
        }
    }

    /// What it finds in a text.
    pub fn find(&self, text: &str) -> Option<Hit> {
        let hit = |why: String| Hit {
            kind: self.kind(),
            trigger: self.describe(),
            why,
            texts: Vec::new(),
            groups: Map::new(),
            args: None,
        };
        match &self.0 {
            Form::Command(command) => {
                let rest = text.strip_prefix(command.as_str())?;
                let ends = rest.chars().next().is_none_or(char::is_whitespace);
                ends.then(|| Hit {
                    texts: vec![Some(command.clone())],
                    args: Some(rest.trim().to_owned()),
                    ..hit(format!("the text begins with {command}"))
                })
            }
            Form::Regex(regex) => {
                let found = regex.captures(text)?;
                let owned = |found: regex::Match<'_>| found.as_str().to_owned();
                let texts: Vec<_> = found.iter().map(|part| part.map(owned)).collect();
                let named = regex.capture_names().flatten();
                let groups = named
                    .filter_map(|name| Some((name.to_owned(), json!(found.name(name)?.as_str()))))
                    .collect();
                let whole = texts.first().cloned().flatten().unwrap_or_default();
                Some(Hit {
                    texts,
                    groups,
                    ..hit(format!("the pattern matches `{}`", shown(&whole)))
                })
            }
            Form::Keyword(words) => words.iter().find_map(|keyword| {
                Some(Hit {
                    texts: vec![Some(keyword.find(text)?.to_owned())],
                    ..hit(format!("the text holds `{}`", keyword.word()))
                })
            }),
            Form::Message => Some(Hit {
                texts: vec![Some(text.to_owned())],
                ..hit("a message was received".to_owned())
            }),
            Form::Cron(_) => None,
        }
    }
}

impl Hit {
    /// `ctx.match` as JSON: `texts` and `groups`.
    pub fn to_json(&self) -> Value {
        json!({ "texts": self.texts, "groups": self.groups })
    }
}

fn build(pattern: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(pattern)
        .size_limit(PATTERN_SIZE)
        .dfa_size_limit(PATTERN_SIZE)
        .nest_limit(100)
        .build()
}

fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(60).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests;
