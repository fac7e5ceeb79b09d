//! Credentials: from `gateway.yaml` and `models/auth.json`, which wins key by key.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use secrecy::SecretString;

use crate::config::Auth;
use crate::expand::{Failed, References, trim};
use crate::file;
use crate::home::{AUTH, Home};
use crate::preset;
use crate::problem::{Problem, Problems, nearest};
use crate::report::problem_at;
use crate::tree::{Node, Value};

/// Reads `auth.json`; an empty map where there is none.
pub(crate) fn read(home: &Home, problems: &mut Problems) -> Node {
    let path = home.auth_file();
    let tree = match file::read(&path, AUTH) {
        Ok(None) => return Node::empty_map(),
        Ok(Some(text)) => is_private(&path).and_then(|()| file::parse_json(&text, AUTH, problems)),
        Err(problem) => Err(problem),
    };
    match tree {
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

/// Lays the entries of `auth.json` over the `auth` of each model: a shared profile, then its own.
pub(crate) fn lay_over(tree: &mut Node, auth: &Node) {
    let Some(Value::List(models)) = tree.get_mut("models").map(|models| &mut models.value) else {
        return;
    };
    for model in models {
        let profile = model.find(&["auth", "profile"]).and_then(Node::text);
        let name = model.get("name").and_then(Node::text);
        let entries: Vec<&Node> = [profile, name]
            .into_iter()
            .flatten()
            .filter_map(|name| auth.get(name))
            .collect();
        let Value::Map(keys) = &mut model.value else {
            continue;
        };
        for entry in entries {
            let into = keys.entry("auth".to_owned()).or_insert_with(|| Node {
                origin: entry.origin.clone(),
                ..Node::empty_map()
            });
            match (&mut into.value, &entry.value) {
                (Value::Map(into), Value::Map(entry)) => {
                    into.extend(entry.iter().map(|(key, node)| (key.clone(), node.clone())));
                }
                _ => *into = entry.clone(),
            }
        }
    }
}

/// Whether the value at `path` is the key of a model.
pub(crate) fn is_secret<S: AsRef<str>>(path: &[S]) -> bool {
    matches!(path, [models, _, auth, key]
        if models.as_ref() == "models" && auth.as_ref() == "auth" && key.as_ref() == "key")
}

/// The credential of the model at `index`.
pub(crate) fn of_model(
    tree: &Node,
    index: usize,
    auth: &Node,
    references: &References<'_>,
    problems: &mut Problems,
) -> Auth {
    let index = index.to_string();
    let Some(model) = tree.find(&["models", &index]) else {
        return Auth::None;
    };
    let text = |key: &str| model.find(&["auth", key]).and_then(Node::text);
    let name = model.get("name").and_then(Node::text).unwrap_or_default();
    let (id, entry) = match text("profile") {
        Some(profile) => (format!("profile/{profile}"), profile),
        None => (format!("model/{name}"), name),
    };
    let missing = |why: String| Auth::Missing {
        what: format!("the key of {id} is missing: {why}"),
        id: id.clone(),
    };
    match (text("type"), text("key")) {
        (Some("none"), _) => Auth::None,
        (_, Some(key)) => match secret(key, references) {
            Ok(key) => Auth::ApiKey { id, key },
            Err(Failed::Missing(why)) => missing(why),
            Err(Failed::Broken(message)) => {
                problems.push(problem_at(
                    tree,
                    &["models", &index, "auth", "key"],
                    message,
                    None,
                ));
                Auth::None
            }
        },
        (None, None) if text("profile").is_none() && !leaves_for_a_vendor(model) => Auth::None,
        _ => {
            let near = match &auth.value {
                Value::Map(entries) if !entries.contains_key(entry) => {
                    nearest(entry, entries.keys().map(String::as_str))
                }
                _ => None,
            };
            let near = near.map(|near| format!(", whose nearest entry is \"{near}\""));
            missing(format!(
                "put it under \"{entry}\" into {AUTH}{}",
                near.unwrap_or_default()
            ))
        }
    }
}

/// Whether calls of `model` leave for a vendor's public address, which always asks for a key.
fn leaves_for_a_vendor(model: &Node) -> bool {
    let provider = model
        .get("provider")
        .and_then(Node::text)
        .unwrap_or("openai");
    model.get("endpoint").is_none()
        && model.get("targets").is_none()
        && model.get("instance").is_none()
        && preset::find(provider).is_some_and(|preset| preset.key)
}

/// The secret that `written` means.
fn secret(written: &str, references: &References<'_>) -> Result<SecretString, Failed> {
    let expanded = references.expand(written)?;
    let key = trim(&expanded);
    if key.is_empty() {
        return Err(Failed::Missing("it is empty".to_owned()));
    }
    // what no header can carry
    if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Failed::Broken(
            "the secret holds a control character, such as a line break, a blank or a non-ASCII one; it must be \
             one word"
                .to_owned(),
        ));
    }
    Ok(SecretString::from(key))
}
