//! From the tree of a manifest to what it means; every mistake is told, not the first alone.

use std::time::Duration;

use serde_json::{Value as Json, json};
use url::Host;

use super::tree::{Node, Value};
use super::{Limits, Manifest, Permissions, Place};
use crate::problem::{Problem, Problems};
use crate::trigger::{SendTo, Trigger};

const KEYS: [&str; 10] = [
    "name",
    "version",
    "description",
    "entry",
    "priority",
    "triggers",
    "tool",
    "parameters",
    "permissions",
    "limits",
];
/// The most that a manifest may ask for.
const MOST: Limits = Limits {
    cpu: Duration::from_secs(10),
    wall: Duration::from_secs(120),
    memory: 512 << 20,
};
const LEAST_MEMORY: usize = 4 << 20;
const LONGEST_NAME: usize = 64;

/// Where a value stands, and where mistakes are noted.
struct Reader<'a> {
    file: &'a str,
    problems: Vec<Problem>,
}

pub(super) fn manifest(tree: &Node, file: &str) -> Result<Manifest, Problems> {
    let mut reader = Reader {
        file,
        problems: Vec::new(),
    };
    let manifest = reader.manifest(tree);
    match manifest {
        Some(manifest) if reader.problems.is_empty() => Ok(manifest),
        _ => Err(Problems(reader.problems)),
    }
}

impl Reader<'_> {
    fn wrong(&mut self, node: &Node, key: &str, message: impl Into<String>) {
        self.problems.push(Problem {
            file: self.file.to_owned(),
            line: node.line,
            key: key.to_owned(),
            message: message.into(),
        });
    }

    /// Reads what `read` makes of a value; notes what it says where it makes nothing.
    fn take<T>(
        &mut self,
        node: &Node,
        key: &str,
        read: impl FnOnce(&Node) -> Result<T, String>,
    ) -> Option<T> {
        read(node).map_err(|why| self.wrong(node, key, why)).ok()
    }

    /// The entries of a map whose keys are known.
    fn map<'n>(&mut self, node: &'n Node, key: &str, keys: &[&str]) -> &'n [(String, Node)] {
        let Value::Map(entries) = &node.value else {
            self.wrong(node, key, format!("is {}, not a map", node.kind()));
            return &[];
        };
        for (name, child) in entries {
            if !keys.contains(&name.as_str()) {
                let nearest = match nearest(name, keys) {
                    Some(nearest) => format!("the nearest is `{nearest}`"),
                    None => format!("known are {}", keys.join(", ")),
                };
                self.wrong(child, &join(key, name), format!("unknown key; {nearest}"));
            }
        }
        entries
    }

    fn manifest(&mut self, tree: &Node) -> Option<Manifest> {
        let entries = self.map(tree, "", &KEYS);
        let get = |key: &str| find(entries, key);
        let name = match get("name") {
            Some(node) => self.take(node, "name", name),
            None => {
                self.wrong(tree, "name", "is missing: give the name of the folder");
                None
            }
        };
        let manifest = Manifest {
            name: name.unwrap_or_default(),
            version: self.or(get("version"), "version", "0.0.0".into(), word),
            description: self.or(get("description"), "description", String::new(), text),
            entry: self.or(get("entry"), "entry", "index.js".into(), inside),
            priority: self.or(get("priority"), "priority", 0.0, number),
            triggers: get("triggers").map_or_else(Vec::new, |node| self.triggers(node)),
            tool: self.or(get("tool"), "tool", false, flag),
            parameters: self.or(get("parameters"), "parameters", no_parameters(), schema),
            permissions: get("permissions")
                .map_or_else(Permissions::default, |node| self.permissions(node)),
            limits: get("limits").map_or_else(Limits::default, |node| self.limits(node)),
        };
        Some(manifest)
    }

    fn or<T>(
        &mut self,
        node: Option<&Node>,
        key: &str,
        default: T,
        read: impl FnOnce(&Node) -> Result<T, String>,
    ) -> T {
        match node {
            Some(node) => self.take(node, key, read).unwrap_or(default),
            None => default,
        }
    }

    fn triggers(&mut self, node: &Node) -> Vec<Trigger> {
        let Value::List(items) = &node.value else {
            let hint = "is no list: write `triggers:` and below it `- command: /name`";
            self.wrong(node, "triggers", hint);
            return Vec::new();
        };
        let read = |(index, item): (usize, &Node)| self.trigger(item, index);
        items.iter().enumerate().filter_map(read).collect()
    }

    fn trigger(&mut self, node: &Node, index: usize) -> Option<Trigger> {
        const KINDS: [&str; 5] = ["command", "regex", "keyword", "event", "cron"];
        let key = format!("triggers.{index}");
        let known = ["command", "regex", "keyword", "event", "cron", "tz", "send"];
        let before = self.problems.len();
        let entries = self.map(node, &key, &known);
        if self.problems.len() > before {
            return None;
        }
        let kinds: Vec<_> = entries
            .iter()
            .filter(|(name, _)| KINDS.contains(&name.as_str()))
            .collect();
        let [(kind, value)] = kinds[..] else {
            let kinds = KINDS.join(", ");
            self.wrong(node, &key, format!("a trigger has exactly one of {kinds}"));
            return None;
        };
        let is_cron = kind == "cron";
        for extra in ["tz", "send"] {
            if let Some(child) = find(entries, extra).filter(|_| !is_cron) {
                let key = join(&key, extra);
                self.wrong(child, &key, "belongs to `cron` alone");
                return None;
            }
        }
        let key = join(&key, kind);
        match kind.as_str() {
            "command" => self.take(value, &key, |node| Trigger::of_command(&text(node)?)),
            "regex" => self.take(value, &key, |node| Trigger::of_regex(&text(node)?)),
            "keyword" => self.take(value, &key, |node| Trigger::of_keywords(&texts(node)?)),
            "event" => self.take(value, &key, |node| Trigger::of_event(&text(node)?)),
            _ => {
                let zone = match find(entries, "tz") {
                    Some(node) => self.take(node, &key, text)?,
                    None => "UTC".to_owned(),
                };
                let send = match find(entries, "send") {
                    Some(node) => Some(self.send(node, &join(&key, "send"))?),
                    None => None,
                };
                self.take(value, &key, |node| {
                    Trigger::of_cron(&text(node)?, &zone, send)
                })
            }
        }
    }

    fn send(&mut self, node: &Node, key: &str) -> Option<SendTo> {
        let entries = self.map(node, key, &["channel", "to"]);
        let mut part = |name: &str| match find(entries, name) {
            Some(child) => self.take(child, &join(key, name), text),
            None => {
                self.wrong(node, &join(key, name), "is missing");
                None
            }
        };
        Some(SendTo {
            channel: part("channel")?,
            to: part("to")?,
        })
    }

    fn permissions(&mut self, node: &Node) -> Permissions {
        const AT: &str = "permissions";
        let entries = self.map(node, AT, &["net", "secrets", "kv", "model"]);
        let get = |key: &str| find(entries, key);
        Permissions {
            net: self.or(get("net"), "permissions.net", Vec::new(), places),
            secrets: self.or(get("secrets"), "permissions.secrets", Vec::new(), texts),
            kv: self.or(get("kv"), "permissions.kv", false, flag),
            model: self.or(get("model"), "permissions.model", Vec::new(), texts),
        }
    }

    fn limits(&mut self, node: &Node) -> Limits {
        let entries = self.map(node, "limits", &["cpu", "wall", "memory"]);
        let get = |key: &str| find(entries, key);
        let usual = Limits::default();
        let time = |most: Duration| {
            move |node: &Node| match duration(node)? {
                time if time.is_zero() => Err("must be more than nothing".to_owned()),
                time if time > most => Err(format!("is at most {}s", most.as_secs())),
                time => Ok(time),
            }
        };
        Limits {
            cpu: self.or(get("cpu"), "limits.cpu", usual.cpu, time(MOST.cpu)),
            wall: self.or(get("wall"), "limits.wall", usual.wall, time(MOST.wall)),
            memory: self.or(get("memory"), "limits.memory", usual.memory, memory),
        }
    }
}

fn find<'n>(entries: &'n [(String, Node)], key: &str) -> Option<&'n Node> {
    let found = entries.iter().find(|(name, _)| name == key);
    found
        .map(|(_, node)| node)
        .filter(|node| !matches!(node.value, Value::Null))
}

fn join(key: &str, name: &str) -> String {
    match key {
        "" => name.to_owned(),
        key => format!("{key}.{name}"),
    }
}

fn nearest<'k>(word: &str, keys: &[&'k str]) -> Option<&'k str> {
    let likeness = |key: &&&str| strsim::jaro_winkler(word, key);
    keys.iter()
        .filter(|key| likeness(key) >= 0.75)
        .max_by(|a, b| likeness(a).total_cmp(&likeness(b)))
        .copied()
}

fn text(node: &Node) -> Result<String, String> {
    match &node.value {
        Value::Text(text) => Ok(text.clone()),
        _ => Err(format!("is {}, not a text; put it in quotes", node.kind())),
    }
}

/// A text; `1.0` without quotes is one too.
fn word(node: &Node) -> Result<String, String> {
    match &node.value {
        Value::Number(number) => Ok(number.to_string()),
        _ => text(node),
    }
}

/// A list of texts, or one alone.
fn texts(node: &Node) -> Result<Vec<String>, String> {
    match &node.value {
        Value::List(items) => items.iter().map(text).collect(),
        _ => Ok(vec![text(node)?]),
    }
}

fn flag(node: &Node) -> Result<bool, String> {
    match node.value {
        Value::Bool(bool) => Ok(bool),
        _ => Err(format!("is {}, not true or false", node.kind())),
    }
}

fn number(node: &Node) -> Result<f64, String> {
    match &node.value {
        Value::Number(number) => number.as_f64().ok_or_else(|| "is too large".to_owned()),
        _ => Err(format!("is {}, not a number", node.kind())),
    }
}

fn name(node: &Node) -> Result<String, String> {
    let name = text(node)?;
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    match !name.is_empty() && name.len() <= LONGEST_NAME && name.chars().all(fits) {
        true => Ok(name),
        false => Err("is 1 to 64 letters, digits, `-` and `_`".to_owned()),
    }
}

/// A path that stays in the folder.
fn inside(node: &Node) -> Result<String, String> {
    let path = text(node)?;
    let path = path.strip_prefix("./").unwrap_or(&path);
    let stays = |part: &str| !part.is_empty() && part != "." && part != "..";
    if path.starts_with('/') || !path.split('/').all(stays) {
        return Err("leads out of the folder: name a file in it".to_owned());
    }
    match path.rsplit('.').next() {
        Some("js" | "mjs" | "cjs" | "ts" | "mts" | "cts") => Ok(path.to_owned()),
        _ => Err("is no .js, .mjs, .cjs or .ts file".to_owned()),
    }
}

fn no_parameters() -> Json {
    json!({ "type": "object", "properties": {} })
}

fn schema(node: &Node) -> Result<Json, String> {
    match (&node.value, node.to_json()) {
        (Value::Map(_), Json::Object(schema)) if schema.get("type") == Some(&json!("object")) => {
            let schema = Json::Object(schema);
            match jsonschema::validator_for(&schema) {
                Ok(_) => Ok(schema),
                Err(error) => Err(format!("is no JSON schema: {error}")),
            }
        }
        _ => Err("is no JSON schema of an object: begin with `type: object`".to_owned()),
    }
}

fn places(node: &Node) -> Result<Vec<Place>, String> {
    texts(node)?.iter().map(|place| read_place(place)).collect()
}

/// `host`, `host:port`, `[v6]:port`; the port is 443 where none is given.
fn read_place(text: &str) -> Result<Place, String> {
    let wrong = |why: &str| format!("`{text}` {why}");
    if text.contains("://") || text.contains('/') {
        return Err(wrong("is no host: leave scheme and path away"));
    }
    if text.contains('*') {
        return Err(wrong("has a wildcard: name each host"));
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port.parse().ok().filter(|p| *p != 0)),
        _ => (text, Some(443)),
    };
    let port = port.ok_or_else(|| wrong("has a port that is none"))?;
    let host = host.strip_suffix('.').unwrap_or(host);
    let host = Host::parse(host).map_err(|error| wrong(&format!("is no host: {error}")))?;
    Ok(Place { host, port })
}

/// A number of milliseconds, or a number with `ms`, `s`, `m` or `h`.
fn duration(node: &Node) -> Result<Duration, String> {
    let wrong = || "is no time such as 200ms or 5s".to_owned();
    let millis = match &node.value {
        Value::Number(number) => number.as_f64().ok_or_else(wrong)?,
        Value::Text(text) => {
            let (number, unit) = split(text).ok_or_else(wrong)?;
            let factor = match unit {
                "ms" => 1.0,
                "s" => 1000.0,
                "m" => 60_000.0,
                "h" => 3_600_000.0,
                _ => return Err(wrong()),
            };
            number * factor
        }
        _ => return Err(wrong()),
    };
    Duration::try_from_secs_f64(millis / 1000.0).map_err(|_| wrong())
}

/// A number of bytes, or a number with `KiB`, `MiB` and the like.
fn memory(node: &Node) -> Result<usize, String> {
    let wrong = || "is no size such as 64MiB".to_owned();
    let bytes = match &node.value {
        Value::Number(number) => number.as_f64().ok_or_else(wrong)?,
        Value::Text(text) => {
            let (number, unit) = split(text).ok_or_else(wrong)?;
            let factor = match unit {
                "" | "B" => 1,
                "KB" => 1000,
                "KiB" => 1 << 10,
                "MB" => 1_000_000,
                "MiB" => 1 << 20,
                "GB" => 1_000_000_000,
                "GiB" => 1 << 30,
                _ => return Err(wrong()),
            };
            number * f64::from(factor)
        }
        _ => return Err(wrong()),
    };
    match bytes as usize {
        bytes if bytes < LEAST_MEMORY => Err("is at least 4MiB".to_owned()),
        bytes if bytes > MOST.memory => Err("is at most 512MiB".to_owned()),
        bytes => Ok(bytes),
    }
}

fn split(text: &str) -> Option<(f64, &str)> {
    let at = text.find(|c: char| !c.is_ascii_digit() && c != '.');
    let (number, unit) = text.split_at(at.unwrap_or(text.len()));
    Some((number.parse().ok()?, unit.trim()))
}
