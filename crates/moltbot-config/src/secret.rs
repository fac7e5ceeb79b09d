//! The file of secrets, `models/auth.json`: read, and laid over `gateway.yaml` key by key.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use secrecy::SecretString;

use crate::channel;
use crate::credential;
use crate::expand::{Failed, References};
use crate::file;
use crate::home::{AUTH, Home};
use crate::problem::{Problem, Problems};
use crate::report::problem_at;
use crate::tree::{Node, Value};

/// Reads `auth.json`; an empty map where there is none.
pub(crate) fn read(home: &Home, problems: &mut Problems) -> Node {
    let path = home.auth_file();
    let text = file::read(&path, AUTH);
    let text = text.and_then(|text| match text {
        Some(text) => is_private(&path).map(|()| Some(text)),
        None => Ok(None),
    });
    match text {
        Ok(Some(text)) => parse(&text, problems),
        Ok(None) => Node::empty_map(),
        Err(problem) => {
            problems.push(problem);
            Node::empty_map()
        }
    }
}

/// The entries of a text; an empty map where it is none.
pub(crate) fn parse(text: &str, problems: &mut Problems) -> Node {
    match file::parse_json(text, AUTH, problems) {
        Ok(tree) if matches!(tree.value, Value::Map(_)) => return tree,
        Ok(tree) => {
            let message = "expected a map from names to credentials";
            problems.push(problem_at(&tree, &[""; 0], message, None));
        }
        Err(problem) => problems.push(problem),
    }
    Node::empty_map()
}

fn is_private(path: &Path) -> Result<(), Problem> {
    let mode = fs::metadata(path).map_or(0o600, |meta| meta.permissions().mode());
    if mode & 0o077 == 0 {
        return Ok(());
    }
    Err(Problem {
        file: AUTH.to_owned(),
        message: format!("others can read or write it (mode {:04o})", mode & 0o7777),
        hint: Some(format!("run `chmod 600 {}`", path.display())),
        ..Problem::default()
    })
}

/// Lays the entries of `auth.json` over the `auth` of each model: a shared profile, then its own. Their names
/// begin with `scope`: nothing, or `NAME/` of a workspace.
pub(crate) fn lay_over(tree: &mut Node, auth: &Node, scope: &str) {
    let Some(Value::List(models)) = tree.get_mut("models").map(|models| &mut models.value) else {
        return;
    };
    for model in models {
        let profile = model.find(&["auth", "profile"]).and_then(Node::text);
        let name = model.get("name").and_then(Node::text);
        let entries: Vec<&Node> = [profile, name]
            .into_iter()
            .flatten()
            .filter_map(|name| auth.get(&format!("{scope}{name}")))
            .collect();
        let Value::Map(keys) = &mut model.value else {
            continue;
        };
        for entry in entries {
            let into = keys.entry("auth".to_owned()).or_insert_with(|| Node {
                origin: entry.origin.clone(),
                ..Node::empty_map()
            });
            lay(into, entry);
        }
    }
}

/// Lays `entry` over `into`, key by key.
fn lay(into: &mut Node, entry: &Node) {
    match (&mut into.value, &entry.value) {
        (Value::Map(into), Value::Map(entry)) => {
            into.extend(entry.iter().map(|(key, node)| (key.clone(), node.clone())));
        }
        _ => *into = entry.clone(),
    }
}

/// The same for channels, whose entries are `channel.NAME`.
pub(crate) fn lay_over_channels(tree: &mut Node, auth: &Node, scope: &str) {
    let Some(Value::Map(channels)) = tree.get_mut("channel").map(|node| &mut node.value) else {
        return;
    };
    for (name, channel) in channels {
        if let Some(entry) = auth.get(&format!("{scope}channel.{name}")) {
            lay(channel, entry);
        }
    }
}

/// The secrets of skills: what stands under `skill.NAME`, by the whole name of the entry.
pub(crate) fn of_skills(
    auth: &Node,
    references: &References<'_>,
    problems: &mut Problems,
) -> BTreeMap<String, BTreeMap<String, SecretString>> {
    let mut skills = BTreeMap::new();
    for name in auth.segments() {
        let local = name.rsplit_once('/').map_or(&*name, |(_, local)| local);
        let Some(entry) = auth.get(&name).filter(|_| local.starts_with("skill.")) else {
            continue;
        };
        let mut secrets = BTreeMap::new();
        for key in entry.segments() {
            let Some(node) = entry.get(&key) else {
                continue;
            };
            let fits = |byte: u8| !byte.is_ascii_control();
            match credential::secret(node, references, fits) {
                Ok(secret) => {
                    secrets.insert(key, secret);
                }
                // the skill sees that there is none
                Err(Failed::Missing(_)) => {}
                Err(Failed::Broken(message)) => {
                    problems.push(problem_at(auth, &[&name, &key], message, None));
                }
            }
        }
        skills.insert(name, secrets);
    }
    skills
}

/// Keys of `auth` that hold secrets.
const SECRETS: [&str; 3] = ["key", "client_secret", "refresh_token"];

/// Whether the value at `path` of `channels.toml` is a secret of a channel.
pub(crate) fn is_channels<S: AsRef<str>>(path: &[S]) -> bool {
    matches!(path, [channel, _, key]
        if channel.as_ref() == "channel" && channel::SECRETS.contains(&key.as_ref()))
}

/// Whether the value at `path` is a secret of a model, or of the archive.
pub(crate) fn is_secret<S: AsRef<str>>(path: &[S]) -> bool {
    match path {
        [models, _, auth, key] => {
            models.as_ref() == "models"
                && auth.as_ref() == "auth"
                && SECRETS.contains(&key.as_ref())
        }
        [logs, archive, key] => {
            logs.as_ref() == "logs"
                && archive.as_ref() == "archive"
                && ["access_key", "secret_key"].contains(&key.as_ref())
        }
        _ => false,
    }
}
