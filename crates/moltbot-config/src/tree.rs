//! A file's content as a tree in which every value knows where it came from.

use std::fmt;
use std::sync::Arc;

use indexmap::IndexMap;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Number;
use serde_saphyr::Spanned;

/// Which layer set a value; the later one wins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Layer {
    /// Built in.
    #[default]
    Default,
    /// A file of the home.
    File,
    /// A variable of the environment.
    Environment,
    /// The command line.
    CommandLine,
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Default => "default",
            Self::File => "file",
            Self::Environment => "environment",
            Self::CommandLine => "command line",
        })
    }
}

/// Where a value came from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The layer.
    pub layer: Layer,
    /// The file, relative to the home, or the name of the variable; empty for defaults.
    pub file: Arc<str>,
    /// Line, from 1; 0 outside files.
    pub line: usize,
    /// Column, from 1; 0 outside files.
    pub column: usize,
}

/// A value and where it came from: in a map the place of its key, in a list its own.
#[derive(Clone, Debug, Default)]
pub(crate) struct Node {
    pub(crate) origin: Origin,
    /// Line and column where its key stands a second time.
    pub(crate) again: Option<(usize, usize)>,
    pub(crate) value: Value,
}

/// What a file can hold.
#[derive(Clone, Debug, Default)]
pub(crate) enum Value {
    #[default]
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Node>),
    Map(IndexMap<String, Node>),
}

impl Node {
    /// A map without entries, from nowhere.
    pub(crate) fn empty_map() -> Self {
        Self {
            value: Value::Map(IndexMap::new()),
            ..Self::default()
        }
    }

    /// Notes where all values stand: what a parser knows is line and column.
    pub(crate) fn placed(mut self, layer: Layer, file: &Arc<str>) -> Self {
        self.origin.layer = layer;
        self.origin.file = Arc::clone(file);
        self.value = match self.value {
            Value::List(items) => Value::List(
                items
                    .into_iter()
                    .map(|item| item.placed(layer, file))
                    .collect(),
            ),
            Value::Map(entries) => Value::Map(
                entries
                    .into_iter()
                    .map(|(key, node)| (key, node.placed(layer, file)))
                    .collect(),
            ),
            plain => plain,
        };
        self
    }

    /// The child of that key or index.
    pub(crate) fn get(&self, segment: &str) -> Option<&Self> {
        match &self.value {
            Value::Map(entries) => entries.get(segment),
            Value::List(items) => items.get(segment.parse::<usize>().ok()?),
            _ => None,
        }
    }

    /// The same, to change it.
    pub(crate) fn get_mut(&mut self, segment: &str) -> Option<&mut Self> {
        match &mut self.value {
            Value::Map(entries) => entries.get_mut(segment),
            Value::List(items) => items.get_mut(segment.parse::<usize>().ok()?),
            _ => None,
        }
    }

    /// What stands at `path`.
    pub(crate) fn find<S: AsRef<str>>(&self, path: &[S]) -> Option<&Self> {
        path.iter()
            .try_fold(self, |node, segment| node.get(segment.as_ref()))
    }

    /// The same, to change it.
    pub(crate) fn find_mut<S: AsRef<str>>(&mut self, path: &[S]) -> Option<&mut Self> {
        path.iter()
            .try_fold(self, |node, segment| node.get_mut(segment.as_ref()))
    }

    /// The origin of `path`, or of the nearest that stands above it.
    pub(crate) fn origin_of<S: AsRef<str>>(&self, path: &[S]) -> &Origin {
        let mut node = self;
        for segment in path {
            match node.get(segment.as_ref()) {
                Some(child) => node = child,
                None => break,
            }
        }
        &node.origin
    }

    /// Takes an entry of a map out; list items stay, so that indexes hold.
    pub(crate) fn remove<S: AsRef<str>>(&mut self, path: &[S]) -> Option<Self> {
        let (last, parents) = path.split_last()?;
        match &mut self.find_mut(parents)?.value {
            Value::Map(entries) => entries.shift_remove(last.as_ref()),
            _ => None,
        }
    }

    /// The text, where it is one.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The items, where it is a list.
    pub(crate) fn items(&self) -> &[Self] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    /// The keys or indexes of what it holds.
    pub(crate) fn segments(&self) -> Vec<String> {
        match &self.value {
            Value::Map(entries) => entries.keys().cloned().collect(),
            Value::List(items) => (0..items.len()).map(|index| index.to_string()).collect(),
            _ => Vec::new(),
        }
    }

    /// Drops entries that hold nothing: `key:` is as good as no key. What `keep` says stays.
    pub(crate) fn drop_nulls(&mut self, keep: fn(&str) -> bool) {
        match &mut self.value {
            Value::Map(entries) => {
                entries.retain(|_, node| !matches!(node.value, Value::Null));
                for (key, node) in entries {
                    if !keep(key) {
                        node.drop_nulls(keep);
                    }
                }
            }
            Value::List(items) => items.iter_mut().for_each(|item| item.drop_nulls(keep)),
            _ => {}
        }
    }

    /// Calls `f` with the path and every value that holds no others.
    pub(crate) fn leaves(&mut self, f: &mut dyn FnMut(&[String], &mut Self)) {
        self.walk(&mut Vec::new(), f);
    }

    fn walk(&mut self, path: &mut Vec<String>, f: &mut dyn FnMut(&[String], &mut Self)) {
        match &mut self.value {
            Value::Map(entries) => {
                for (key, node) in entries {
                    path.push(key.clone());
                    node.walk(path, f);
                    path.pop();
                }
            }
            Value::List(items) => {
                for (index, node) in items.iter_mut().enumerate() {
                    path.push(index.to_string());
                    node.walk(path, f);
                    path.pop();
                }
            }
            _ => f(path, self),
        }
    }

    /// The same as plain JSON.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        use serde_json::Value as Json;
        match &self.value {
            Value::Null => Json::Null,
            Value::Bool(bool) => Json::Bool(*bool),
            Value::Number(number) => Json::Number(number.clone()),
            Value::Text(text) => Json::String(text.clone()),
            Value::List(items) => Json::Array(items.iter().map(Self::to_json).collect()),
            Value::Map(entries) => Json::Object(
                entries
                    .iter()
                    .map(|(key, node)| (key.clone(), node.to_json()))
                    .collect(),
            ),
        }
    }

    /// Plain JSON as a tree whose values all came from `origin`.
    pub(crate) fn from_json(json: serde_json::Value, origin: &Origin) -> Self {
        use serde_json::Value as Json;
        let value = match json {
            Json::Null => Value::Null,
            Json::Bool(bool) => Value::Bool(bool),
            Json::Number(number) => Value::Number(number),
            Json::String(text) => Value::Text(text),
            Json::Array(items) => Value::List(
                items
                    .into_iter()
                    .map(|item| Self::from_json(item, origin))
                    .collect(),
            ),
            Json::Object(entries) => Value::Map(
                entries
                    .into_iter()
                    .map(|(key, json)| (key, Self::from_json(json, origin)))
                    .collect(),
            ),
        };
        Self {
            origin: origin.clone(),
            value,
            again: None,
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Value>::deserialize(d)?;
        Ok(Self {
            origin: place(spanned.referenced),
            value: spanned.value,
            again: None,
        })
    }
}

fn place(at: serde_saphyr::Location) -> Origin {
    Origin {
        line: at.line() as usize,
        column: at.column() as usize,
        ..Origin::default()
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, d: D) -> Result<Value, D::Error> {
        d.deserialize_any(self)
    }

    fn visit_bool<E>(self, bool: bool) -> Result<Value, E> {
        Ok(Value::Bool(bool))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Number(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(Value::Number(number.into()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        // `.inf` and `.nan` have no place in JSON; as text they fail where a number is asked for
        Ok(Number::from_f64(number).map_or_else(|| Value::Text(number.to_string()), Value::Number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Value::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut entries = IndexMap::<String, Node>::new();
        while let Some(key) = map.next_key::<Spanned<String>>()? {
            let mut node: Node = map.next_value()?;
            node.origin = place(key.referenced);
            match entries.get_mut(&key.value) {
                Some(first) => first.again = Some((node.origin.line, node.origin.column)),
                None => {
                    entries.insert(key.value, node);
                }
            }
        }
        Ok(Value::Map(entries))
    }
}
