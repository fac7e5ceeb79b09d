//! The layers above the files: environment and command line.

use std::collections::BTreeMap;
use std::fmt;

use crate::file;
use crate::key::{self, KeyError};
use crate::problem::{Problem, Problems, nearest};
use crate::schema::{self, File};
use crate::tree::{Layer, Node, Origin, Value};

/// What stands above the files. [`Overrides::from_process`] gives the real ones, `default()` none.
#[derive(Clone, Default)]
pub struct Overrides {
    /// Variables of the environment, for `MOLTBOT_…` and `${env:…}` alike.
    pub env: BTreeMap<String, String>,
    /// Keys and values from the command line, the last one wins.
    pub flags: Vec<(String, String)>,
}

/// Variables with our prefix that are no keys.
const NO_KEYS: [&str; 1] = ["MOLTBOT_HOME"];

impl fmt::Debug for Overrides {
    // values may be secrets
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.env.keys().chain(self.flags.iter().map(|(key, _)| key));
        f.debug_set().entries(names).finish()
    }
}

impl Overrides {
    /// The environment of this process, and what its command line says.
    pub fn from_process(flags: Vec<(String, String)>) -> Self {
        let text = |os: std::ffi::OsString| os.into_string().ok();
        Self {
            env: std::env::vars_os()
                .filter_map(|(name, value)| Some((text(name)?, text(value)?)))
                .collect(),
            flags,
        }
    }

    /// Lays them over `tree`.
    pub(crate) fn lay_over(
        &self,
        tree: &mut Node,
        problems: &mut Problems,
        notices: &mut Vec<String>,
    ) {
        for (name, value) in &self.env {
            let Some(key) = name.strip_prefix("MOLTBOT_") else {
                continue;
            };
            if value.is_empty() || NO_KEYS.contains(&&**name) {
                continue;
            }
            // without `__` it may belong to someone else: Kubernetes sets MOLTBOT_PORT for a service
            if !key.contains("__") && File::Gateway.form().at(&[key.to_lowercase()]).is_none() {
                notices.extend(likely_slip(name, key));
                continue;
            }
            let origin = Origin {
                layer: Layer::Environment,
                file: name.as_str().into(),
                ..Origin::default()
            };
            put(
                tree,
                key::resolve_variable(tree, key),
                value,
                &origin,
                problems,
            );
        }
        for (key, value) in &self.flags {
            let origin = Origin {
                layer: Layer::CommandLine,
                file: "command line".into(),
                ..Origin::default()
            };
            put(tree, key::resolve(tree, key), value, &origin, problems);
        }
    }
}

fn likely_slip(name: &str, key: &str) -> Option<String> {
    let key = key.to_lowercase();
    let keys = schema::schema_keys();
    let near = nearest(&key, keys).filter(|near| strsim::damerau_levenshtein(near, &key) <= 2)?;
    let near = near.to_uppercase();
    Some(format!(
        "the variable {name} is not used; the nearest is MOLTBOT_{near}"
    ))
}

fn put(
    tree: &mut Node,
    path: Result<Vec<String>, KeyError>,
    text: &str,
    origin: &Origin,
    problems: &mut Problems,
) {
    let placed = path.map_err(|error| error.to_string()).and_then(|path| {
        let node = Node {
            origin: origin.clone(),
            value: value(&path, text),
            again: None,
        };
        insert(tree, &path, node.placed(origin.layer, &origin.file))
    });
    if let Err(message) = placed {
        problems.push(Problem {
            file: origin.file.to_string(),
            message,
            ..Problem::default()
        });
    }
}

/// The value that `text` means at `path`: as YAML, but a text where only a text can stand.
pub(crate) fn value(path: &[String], text: &str) -> Value {
    let parsed = file::parse_value(text).map(|node| node.value);
    let schema = File::Gateway.form().at(path);
    let types = schema.map(schema::types).unwrap_or_default();
    let only_text = types.contains(&"string") && !types.contains(&"integer");
    match parsed {
        Some(Value::Text(text)) => Value::Text(text),
        Some(Value::List(items)) if types.contains(&"array") => Value::List(items),
        Some(other) if !only_text => other,
        _ => Value::Text(text.to_owned()),
    }
}

/// Puts `node` at `path`, making the maps above it.
///
/// # Errors
/// What stands in the way.
pub(crate) fn insert(tree: &mut Node, path: &[String], node: Node) -> Result<(), String> {
    let Some((first, rest)) = path.split_first() else {
        *tree = node;
        return Ok(());
    };
    if matches!(tree.value, Value::Null) {
        let first_item = first.parse::<usize>() == Ok(0);
        tree.value = if first_item {
            Value::List(Vec::new())
        } else {
            Value::Map(Default::default())
        };
    }
    match &mut tree.value {
        Value::Map(entries) => {
            let made = Node {
                origin: node.origin.clone(),
                ..Node::default()
            };
            insert(entries.entry(first.clone()).or_insert(made), rest, node)
        }
        Value::List(items) => {
            let index = first
                .parse()
                .ok()
                .filter(|index: &usize| *index <= items.len());
            let index = index.ok_or_else(|| format!("the list has no item {first}"))?;
            if index == items.len() {
                items.push(Node {
                    origin: node.origin.clone(),
                    ..Node::default()
                });
            }
            insert(&mut items[index], rest, node)
        }
        _ => Err(format!(
            "`{first}` cannot stand here: above it is a plain value"
        )),
    }
}
