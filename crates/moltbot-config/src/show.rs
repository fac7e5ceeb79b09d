//! What is in force and where it came from, for people; secrets are hidden.

use serde_json::Value as Json;

use crate::key::{self, KeyError};
use crate::load::Loaded;
use crate::secret;
use crate::tree::{Layer, Node, Origin};

/// What stands in the place of a secret.
const HIDDEN: &str = "(hidden)";

/// One value in force.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Its key, with models by name: `models.primary-model.kind`.
    pub key: String,
    /// The value; a secret is hidden.
    pub value: Json,
    /// Where it came from.
    pub origin: Origin,
}

impl Entry {
    /// The layer, and the file or variable with its line: `file config/gateway.yaml:12`.
    pub fn source(&self) -> String {
        let Origin {
            layer, file, line, ..
        } = &self.origin;
        match layer {
            Layer::Default | Layer::CommandLine => layer.to_string(),
            Layer::Environment => format!("{layer} {file}"),
            Layer::File => format!("{layer} {file}:{line}"),
        }
    }
}

/// A value as a command prints it: texts bare, everything else as JSON.
pub fn plain(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        other => other.to_string(),
    }
}

impl Loaded {
    /// Every value in force, in the order of the file's form.
    pub fn entries(&self) -> Vec<Entry> {
        let mut entries = Vec::new();
        self.collect(&self.form, &mut Vec::new(), &mut entries);
        entries
    }

    /// The value of `key` that is in force; `None` where nothing is set and there is no default.
    ///
    /// # Errors
    /// A key that is malformed or names an item that is not there.
    pub fn get(&self, key: &str) -> Result<Option<Json>, KeyError> {
        let path = key::resolve(&self.tree, key)?;
        let value = path
            .iter()
            .try_fold(&self.form, |value, segment| child(value, segment));
        Ok(value.map(|value| hide(value.clone(), &path)))
    }

    /// The value of `key` as `gateway.yaml` has it, references unexpanded.
    ///
    /// # Errors
    /// As [`Loaded::get`].
    pub fn get_in_file(&self, key: &str) -> Result<Option<Json>, KeyError> {
        let path = key::resolve(&self.file, key)?;
        let value = self.file.find(&path).map(Node::to_json);
        Ok(value.map(|value| hide(value, &path)))
    }

    fn collect(&self, value: &Json, path: &mut Vec<String>, entries: &mut Vec<Entry>) {
        let mut inside = |key: String, value: &Json| {
            path.push(key);
            self.collect(value, path, entries);
            path.pop();
        };
        match value {
            Json::Object(keys) => {
                keys.iter()
                    .for_each(|(key, value)| inside(key.clone(), value));
            }
            Json::Array(items) if items.first().is_some_and(Json::is_object) => {
                items
                    .iter()
                    .enumerate()
                    .for_each(|(at, item)| inside(at.to_string(), item));
            }
            _ => entries.push(Entry {
                key: self.named(path),
                value: hide(value.clone(), path),
                origin: self
                    .tree
                    .find(path)
                    .map(|node| node.origin.clone())
                    .unwrap_or_default(),
            }),
        }
    }

    /// A path as a key, with the name of a model in the place of its index.
    fn named(&self, path: &[String]) -> String {
        let mut segments: Vec<&str> = path.iter().map(String::as_str).collect();
        if let ["models", index, ..] = &mut segments[..]
            && let Some(model) = index
                .parse()
                .ok()
                .and_then(|at: usize| self.config.models.get(at))
        {
            *index = &model.name;
        }
        segments.join(".")
    }
}

fn child<'a>(value: &'a Json, segment: &str) -> Option<&'a Json> {
    match value {
        Json::Object(keys) => keys.get(segment),
        Json::Array(items) => items.get(segment.parse::<usize>().ok()?),
        _ => None,
    }
}

/// Hides secrets at and below `path`. A reference is none.
fn hide(value: Json, path: &[String]) -> Json {
    let below = |key: String, value| hide(value, &[path, &[key]].concat());
    match value {
        Json::String(text) if secret::is_secret(path) && !text.starts_with("${") => {
            Json::String(HIDDEN.to_owned())
        }
        Json::Object(keys) => Json::Object(
            keys.into_iter()
                .map(|(key, value)| (key.clone(), below(key, value)))
                .collect(),
        ),
        Json::Array(items) => Json::Array(
            items
                .into_iter()
                .enumerate()
                .map(|(at, item)| below(at.to_string(), item))
                .collect(),
        ),
        plain => plain,
    }
}

/// Hides in `text` every secret that stands in `tree`.
pub(crate) fn hide_in(text: String, tree: &mut Node) -> String {
    let mut text = text;
    tree.leaves(&mut |path, node| {
        if let Some(key) = node.text()
            && secret::is_secret(path)
            && !key.is_empty()
            && !key.starts_with("${")
        {
            text = text.replace(key, HIDDEN);
        }
    });
    text
}
