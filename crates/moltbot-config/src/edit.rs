//! Changes of `gateway.yaml` in place: comments, order and quoting of everything else stay.

mod channels;
mod secrets;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde_json::Value as Json;
use yaml_edit::path::YamlPath;
use yaml_edit::{Document, YamlFile};

use crate::file;
use crate::home::{GATEWAY, Home};
use crate::key::{self, KeyError};
use crate::layers::{self, Overrides};
use crate::load::{Texts, load, load_texts};
use crate::problem::{Problem, Problems};
use crate::show;
use crate::tree::{Node, Value};
use crate::write;

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// The key is malformed or leads nowhere.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// There is nothing to remove, or no older version.
    #[error("{0}")]
    NotThere(String),
    /// The result would be invalid, or the file is already.
    #[error("nothing was written, for the result would be invalid:\n{0}")]
    Invalid(#[from] Problems),
    /// The value cannot be written there.
    #[error("nothing was written: {0}")]
    Refused(String),
    /// The system refused.
    #[error("{path} could not be written: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// What a new `models.yaml` begins with.
const NEW_MODELS: &str = "# Models that this workspace alone sees.\n";

/// Edits the files of a home.
///
/// ```
/// use moltbot_config::{Editor, Home, InitOptions, Overrides, init, load};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// let home = Home::new(dir.path());
/// init(&home, &InitOptions::default())?;
/// let overrides = Overrides::default();
/// Editor::new(&home, &overrides).set("model.failover.max_attempts", "3")?;
/// assert_eq!(load(&home, &overrides)?.config.model.failover.max_attempts, 3);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Editor<'a> {
    home: &'a Home,
    overrides: &'a Overrides,
    /// Whose `models.yaml` is edited; `None`: `gateway.yaml`.
    workspace: Option<&'a str>,
}

impl<'a> Editor<'a> {
    /// An editor; results are checked as [`load`](crate::load()) would with these overrides.
    pub fn new(home: &'a Home, overrides: &'a Overrides) -> Self {
        Self {
            home,
            overrides,
            workspace: None,
        }
    }

    /// The same for the `models.yaml` of a workspace, which need not be there yet.
    pub fn in_workspace(self, name: &'a str) -> Self {
        Self {
            workspace: Some(name),
            ..self
        }
    }

    /// Sets `key` to `text`, which is read as YAML: `true`, `5s`, `[a, b]`. Maps above it are made.
    ///
    /// # Errors
    /// [`EditError`]; nothing was written then.
    pub fn set(&self, key: &str, text: &str) -> Result<(), EditError> {
        self.edit(|tree, document| {
            let path = key::resolve(tree, key)?;
            let value = layers::value(&path, text);
            if matches!(value, Value::Null) {
                return refuse("an empty value means nothing; use `unset` to take the key out");
            }
            let value = Node {
                value,
                ..Node::default()
            };
            put(document, &written(tree, &path), &value.to_json(), text)?;
            layers::insert(tree, &path, value).map_err(EditError::Refused)
        })
    }

    /// Takes `key` out, so that its default holds again.
    ///
    /// # Errors
    /// [`EditError`]; nothing was written then.
    pub fn unset(&self, key: &str) -> Result<(), EditError> {
        self.edit(|tree, document| {
            let path = key::resolve(tree, key)?;
            remove(tree, document, &path)?
                .ok_or_else(|| EditError::NotThere(format!("{key} is not set in {}", self.name())))
        })
    }

    /// Adds a model, given as a map in YAML or JSON.
    ///
    /// # Errors
    /// [`EditError`]; nothing was written then.
    pub fn add_model(&self, fragment: &str) -> Result<(), EditError> {
        let mut problems = Problems::default();
        let model = file::parse_yaml(fragment, "the model", &mut problems);
        let model = model.map_err(|problem| EditError::Refused(problem.to_string()))?;
        if !problems.0.is_empty() || !matches!(model.value, Value::Map(_)) {
            return refuse("the model must be a map, as {name: NAME, endpoint: URL}");
        }
        let flow = model.to_json().to_string();
        let block = if fragment.trim_start().starts_with('{') {
            line_by_line(&model)?
        } else {
            fragment.to_owned()
        };
        self.edit(|tree, document| {
            match document.get_sequence("models") {
                Some(list) if list.is_flow_style() => list.push(mapping(&flow)?),
                Some(list) if !list.is_empty() => list.push(mapping(&block)?),
                _ => {
                    let indented = block.trim_end().replace('\n', "\n  ");
                    let list = parse(&format!("- {indented}\n"))?;
                    let list = list.as_sequence().ok_or_else(strange)?;
                    document.try_set_path("models", list).map_err(cannot)?;
                }
            }
            let path = ["models".to_owned(), models(tree).to_string()];
            let none = matches!(
                tree.get("models").map(|list| &list.value),
                None | Some(Value::Null)
            );
            if none && let Value::Map(entries) = &mut tree.value {
                entries.insert(path[0].clone(), Node::default());
            }
            layers::insert(tree, &path, model.clone()).map_err(EditError::Refused)
        })
    }

    /// Takes the model of that name out.
    ///
    /// # Errors
    /// [`EditError`], also where another model still names it; nothing was written then.
    pub fn remove_model(&self, name: &str) -> Result<(), EditError> {
        self.edit(|tree, document| {
            let named = |model: &Node| model.get("name").and_then(Node::text) == Some(name);
            let list = tree.get("models").map_or(&[][..], Node::items);
            let index = list.iter().position(named).ok_or_else(|| {
                EditError::NotThere(format!("{} has no model \"{name}\"", self.name()))
            })?;
            remove(tree, document, &["models".to_owned(), index.to_string()])?.ok_or_else(strange)
        })
    }

    /// Puts the last version back; again, and the one before it.
    ///
    /// # Errors
    /// [`EditError::NotThere`] where no version is left, [`EditError::Invalid`] where it is no longer valid.
    pub fn rollback(&self) -> Result<(), EditError> {
        let path = self.home.gateway_file();
        let io = |source| EditError::Io {
            path: path.clone(),
            source,
        };
        self.last_version()?;
        let _lock = write::lock(self.home).map_err(io)?;
        let (version, text) = self.last_version()?;
        self.check(&path, &text)?;
        write::replace(&path, &text).map_err(io)?;
        fs::remove_file(version).map_err(io)
    }

    /// What changed since the last version, as a unified diff; empty where nothing did. Secrets are hidden.
    ///
    /// # Errors
    /// [`EditError`] where a file cannot be read.
    pub fn diff(&self) -> Result<String, EditError> {
        let now = self.read()?;
        let before = match self.last_version() {
            Ok((_, before)) => before,
            Err(EditError::NotThere(_)) => return Ok(String::new()),
            Err(error) => return Err(error),
        };
        let mut diff = similar::TextDiff::from_lines(&before, &now)
            .unified_diff()
            .header("last version", GATEWAY)
            .to_string();
        for text in [before, now] {
            if let Some(mut tree) = file::parse_value(&text) {
                diff = show::hide_in(diff, &mut tree);
            }
        }
        Ok(diff)
    }

    fn last_version(&self) -> Result<(PathBuf, String), EditError> {
        let folder = self.home.versions_dir();
        let io = |source| EditError::Io {
            path: folder.clone(),
            source,
        };
        let last = write::versions(self.home).map_err(io)?.pop();
        let last = last.ok_or_else(|| {
            EditError::NotThere(
                "no older version is kept: no command has changed it since".to_owned(),
            )
        })?;
        let text = fs::read_to_string(&last).map_err(io)?;
        Ok((last, text))
    }

    fn read(&self) -> Result<String, EditError> {
        let missing = || match self.workspace {
            Some(_) => Ok(NEW_MODELS.to_owned()),
            None => Err(Problem {
                file: GATEWAY.to_owned(),
                message: "there is no such file".to_owned(),
                hint: Some("make one with `moltctl init`".to_owned()),
                ..Problem::default()
            }),
        };
        file::read(&self.path(), &self.name())
            .and_then(|text| text.map_or_else(missing, Ok))
            .map_err(|problem| Problems(vec![problem]).into())
    }

    /// The file that is edited.
    fn path(&self) -> PathBuf {
        match self.workspace {
            Some(name) => self.home.models_file(name),
            None => self.home.gateway_file(),
        }
    }

    fn name(&self) -> String {
        self.home.relative(&self.path())
    }

    /// Checks what would come of `text` in the place of a file.
    fn check(&self, path: &Path, text: &str) -> Result<(), EditError> {
        let texts = Texts([(path.to_owned(), text)].into());
        let mut parts = load_texts(self.home, self.overrides, &texts)?.parts;
        // what is broken already keeps nobody from mending something else
        let file = self.home.relative(path);
        let before = load(self.home, self.overrides).map(|before| before.parts);
        let before = before.unwrap_or_default().0;
        let known = |problem: &Problem| before.iter().any(|known| known.is_like(problem));
        parts
            .0
            .retain(|problem| problem.file == file || !known(problem));
        match parts.0.is_empty() {
            true => Ok(()),
            false => Err(parts.into()),
        }
    }

    /// Reads, changes, checks, writes. `change` edits the document, and the tree to what must come of it.
    fn edit(
        &self,
        change: impl FnOnce(&mut Node, &Document) -> Result<(), EditError>,
    ) -> Result<(), EditError> {
        let path = self.path();
        let io = |source| EditError::Io {
            path: path.clone(),
            source,
        };
        // before the lock, which makes a folder: a home that is none stays as it is
        self.read()?;
        let _lock = write::lock(self.home).map_err(io)?;
        let before = self.read()?;
        let mut problems = Problems::default();
        let mut tree = file::parse_yaml(&before, &self.name(), &mut problems)
            .map_err(|problem| Problems(vec![problem]))?;
        if !problems.0.is_empty() {
            return Err(problems.into());
        }
        if matches!(tree.value, Value::Null) {
            tree = Node::empty_map();
        }
        let document = YamlFile::parse(&before).to_result().map_err(cannot)?;
        change(&mut tree, &document.ensure_document())?;
        let after = with_last_newline(document.to_string(), &before);
        let same = file::parse_value(&after)
            .is_some_and(|result| essence(result.to_json()) == essence(tree.to_json()));
        if !same {
            return refuse("more than the key would change; change the file by hand");
        }
        self.check(&path, &after)?;
        if after == before {
            return Ok(());
        }
        if self.workspace.is_none() {
            write::keep(self.home, &before).map_err(io)?;
        }
        write::replace(&path, &after).map_err(io)
    }
}

/// Puts a value into the document. A map or list keeps the form that was typed, where that is a flow.
fn put(document: &Document, path: &str, value: &Json, typed: &str) -> Result<(), EditError> {
    match value {
        Json::String(text) => document.try_set_path(path, text),
        Json::Bool(bool) => document.try_set_path(path, *bool),
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => document.try_set_path(path, whole),
            (None, Some(fraction)) => document.try_set_path(path, fraction),
            (None, None) => return refuse("the number is too large"),
        },
        _ => {
            let flow = typed.trim();
            let as_typed = flow.starts_with(['{', '[']) && !flow.contains('\n');
            let parsed = parse(
                if as_typed {
                    flow.to_owned()
                } else {
                    value.to_string()
                }
                .as_str(),
            )?;
            match (parsed.as_mapping(), parsed.as_sequence()) {
                (Some(map), _) => document.try_set_path(path, map),
                (_, Some(list)) => document.try_set_path(path, list),
                _ => return Err(strange()),
            }
        }
    }
    .map_err(cannot)
}

/// A map with a line for each of its keys.
fn line_by_line(map: &Node) -> Result<String, EditError> {
    let document = Document::new_mapping();
    if let Value::Map(entries) = &map.value {
        for (key, node) in entries {
            put(
                &document,
                &written(map, std::slice::from_ref(key)),
                &node.to_json(),
                "",
            )?;
        }
    }
    Ok(document.to_string())
}

/// Takes a key or an item out of both; `None` where there is nothing.
fn remove(tree: &mut Node, document: &Document, path: &[String]) -> Result<Option<()>, EditError> {
    let Some((last, parents)) = path.split_last() else {
        return Ok(None);
    };
    if tree.find(path).is_none() {
        return Ok(None);
    }
    let at = written(tree, path);
    let Some(parent) = tree.find_mut(parents) else {
        return Ok(None);
    };
    match (&mut parent.value, last.parse::<usize>()) {
        (Value::List(items), Ok(index)) => {
            items.remove(index);
            let list = document
                .try_get_path(&written(tree, parents))
                .map_err(cannot)?;
            list.as_sequence()
                .and_then(|list| list.remove(index))
                .ok_or_else(strange)?;
        }
        (Value::Map(entries), _) => {
            entries.shift_remove(last);
            document.try_remove_path(&at).map_err(cannot)?;
        }
        _ => return Ok(None),
    }
    Ok(Some(()))
}

/// A path as the editor of documents writes it: dots in names are escaped, and so are keys that are numbers.
fn written(tree: &Node, path: &[String]) -> String {
    let mut node = Some(tree);
    let mut text = String::new();
    for segment in path {
        if !text.is_empty() {
            text.push('.');
        }
        let index = matches!(node.map(|node| &node.value), Some(Value::List(_)));
        if !index && segment.bytes().all(|byte| byte.is_ascii_digit()) {
            text.push('\\');
        }
        for c in segment.chars() {
            if matches!(c, '.' | '[' | ']' | '\\') {
                text.push('\\');
            }
            text.push(c);
        }
        node = node.and_then(|node| node.get(segment));
    }
    text
}

/// What a tree means: keys and lists that hold nothing are as good as none.
fn essence(json: Json) -> Json {
    let empty = |json: &Json| match json {
        Json::Null => true,
        Json::Object(keys) => keys.is_empty(),
        Json::Array(items) => items.is_empty(),
        _ => false,
    };
    match json {
        Json::Object(keys) => Json::Object(
            keys.into_iter()
                .map(|(key, value)| (key, essence(value)))
                .filter(|(_, value)| !empty(value))
                .collect(),
        ),
        Json::Array(items) => Json::Array(items.into_iter().map(essence).collect()),
        plain => plain,
    }
}

fn models(tree: &Node) -> usize {
    tree.get("models").map_or(0, |models| models.items().len())
}

fn mapping(text: &str) -> Result<yaml_edit::Mapping, EditError> {
    parse(text)?.as_mapping().ok_or_else(strange)
}

fn parse(text: &str) -> Result<Document, EditError> {
    Document::from_str(text).map_err(cannot)
}

fn with_last_newline(after: String, before: &str) -> String {
    let missing = before.ends_with('\n') && !after.ends_with('\n');
    if missing { after + "\n" } else { after }
}

fn refuse<T>(why: &str) -> Result<T, EditError> {
    Err(EditError::Refused(why.to_owned()))
}

fn cannot(error: impl std::fmt::Display) -> EditError {
    EditError::Refused(format!("{error}; change the file by hand"))
}

fn strange() -> EditError {
    EditError::Refused(
        "the file is written in a way that cannot be edited here; change it by hand".to_owned(),
    )
}

#[cfg(test)]
mod tests;
