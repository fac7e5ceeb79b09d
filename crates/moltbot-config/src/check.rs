//! What one file alone can tell: keys that do not exist, values of the wrong form, keys of later versions.

use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind as Kind;
use serde_json::Value;

use crate::problem::{Problems, nearest};
use crate::report::problem_at;
use crate::schema::{self, File, FileSchema};
use crate::tree::{Node, Value as Tree};

/// Which values of a key a later version brings.
enum Later {
    /// All of them.
    All,
    /// These.
    Only(&'static [&'static str]),
    /// Those that begin so.
    Beginning(&'static str),
    /// All but this.
    AllBut(&'static str),
}

/// Keys that are known but do nothing yet: refused, so that nobody believes in them. `*` is any item or name.
const LATER: &[(&str, Later)] = &[
    ("server.jwt", Later::All),
    ("model.failover.resume", Later::All),
    (
        "model.routing.strategy",
        Later::Only(&["least_cost", "conversation"]),
    ),
    ("model.routing.affinity", Later::AllBut("none")),
    (
        "models.*.provider",
        Later::Only(&["anthropic", "azure", "bedrock", "gemini"]),
    ),
    ("models.*.capabilities", Later::All),
    ("cache.semantic", Later::All),
    ("store.url", Later::Beginning("postgres")),
    ("shared", Later::All),
];

/// The same for `channels.toml`.
const CHANNELS_LATER: &[(&str, Later)] = &[(
    "channel.*.kind",
    Later::Only(&[
        "dingtalk",
        "wecom",
        "wechat",
        "discord",
        "matrix",
        "mattermost",
        "irc",
        "email",
    ]),
)];

fn later_of(file: File) -> &'static [(&'static str, Later)] {
    match file {
        // what a model may hold is the same in both
        File::Gateway | File::Models => LATER,
        File::Policy => &[],
        File::Channels => CHANNELS_LATER,
    }
}

/// What is said of them.
pub(crate) const NOT_SUPPORTED: &str = "not supported by this version";

/// Reports keys of later versions and takes them out of the tree.
pub(crate) fn refuse_later(tree: &mut Node, file: File, problems: &mut Problems) {
    for (pattern, later) in later_of(file) {
        let pattern: Vec<_> = pattern.split('.').collect();
        for path in matches(tree, &pattern) {
            let Some(node) = tree.find(&path) else {
                continue;
            };
            let (refused, hint) = match later {
                Later::All => (true, "remove it".to_owned()),
                Later::Only(words) => (
                    node.text().is_some_and(|text| words.contains(&text)),
                    format!("choose one of {}", choices(file.form().at(&path))),
                ),
                Later::Beginning(word) => (
                    node.text().is_some_and(|text| text.starts_with(word)),
                    "use `sqlite:PATH`".to_owned(),
                ),
                Later::AllBut(word) => (
                    node.text() != Some(word),
                    format!("the only value is `{word}`"),
                ),
            };
            if refused {
                problems.push(problem_at(tree, &path, NOT_SUPPORTED, Some(hint)));
                tree.remove(&path);
            }
        }
    }
}

/// Whether a later version brings channels of that kind.
pub(crate) fn is_later_kind(word: &str) -> bool {
    CHANNELS_LATER
        .iter()
        .any(|(_, later)| matches!(later, Later::Only(words) if words.contains(&word)))
}

/// Keys of later versions, in words, for the reference.
pub(crate) fn later(file: File) -> impl Iterator<Item = String> {
    later_of(file).iter().map(|(key, later)| match later {
        Later::All => format!("`{key}`"),
        Later::Only(words) => format!("`{key}`: {}", words.join(", ")),
        Later::Beginning(word) => format!("`{key}`: {word}://…"),
        Later::AllBut(word) => format!("`{key}`: all but {word}"),
    })
}

/// The paths of `tree` that `pattern` means.
fn matches(tree: &Node, pattern: &[&str]) -> Vec<Vec<String>> {
    let Some((first, rest)) = pattern.split_first() else {
        return vec![Vec::new()];
    };
    let segments: Vec<String> = match *first {
        "*" => tree.segments(),
        key => vec![key.to_owned()],
    };
    let mut paths = Vec::new();
    for segment in segments {
        for tail in tree
            .get(&segment)
            .map(|node| matches(node, rest))
            .unwrap_or_default()
        {
            paths.push([&[segment.clone()][..], &tail].concat());
        }
    }
    paths
}

/// Reports what the schema refuses and takes it out of the tree, so that the rest can be looked at.
pub(crate) fn against_schema(tree: &mut Node, file: File, problems: &mut Problems) {
    let schema = file.form();
    let Some(validator) = &schema.validator else {
        return;
    };
    let json = tree.to_json();
    let mut wrong = Vec::new();
    for error in validator.iter_errors(&json) {
        let path = segments(error.instance_path().as_str());
        match error.kind() {
            Kind::AdditionalProperties { unexpected } => {
                let known = parent_schema(&error, schema).map(keys).unwrap_or_default();
                for key in unexpected {
                    let path = [&path[..], std::slice::from_ref(key)].concat();
                    let hint = match nearest(key, known.iter().copied()) {
                        Some(near) => format!("the nearest is \"{near}\""),
                        None => format!("known here: {}", known.join(", ")),
                    };
                    problems.push(problem_at(tree, &path, "unknown key", Some(hint)));
                    wrong.push(path);
                }
            }
            Kind::Required { property } => {
                let message = format!("`{}` is missing", property.as_str().unwrap_or_default());
                problems.push(problem_at(tree, &path, message, None));
            }
            _ => {
                let (message, hint) = words(&error, schema);
                problems.push(problem_at(tree, &path, message, hint));
                wrong.push(path);
            }
        }
    }
    whole_numbers(tree, schema, problems, &mut wrong);
    // from the back, so that indexes hold while items go
    wrong.sort_by(|a, b| b.cmp(a));
    for path in wrong {
        forget(tree, &path);
    }
}

/// To the schema `2.0` is a whole number and so is one of forty digits; to the types they are none.
fn whole_numbers(
    tree: &mut Node,
    schema: &FileSchema,
    problems: &mut Problems,
    wrong: &mut Vec<Vec<String>>,
) {
    let mut too_large = Vec::new();
    tree.leaves(&mut |path, node| {
        let Tree::Number(number) = &mut node.value else {
            return;
        };
        let whole = schema
            .at(path)
            .is_some_and(|at| schema::types(at).contains(&"integer"));
        let Some(float) = number
            .as_f64()
            .filter(|float| whole && number.is_f64() && float.fract() == 0.0)
        else {
            return;
        };
        // both are exact up to here
        if float.abs() <= (1u64 << 53) as f64 {
            *number = (float as i64).into();
        } else {
            too_large.push(path.to_vec());
        }
    });
    for path in too_large {
        problems.push(problem_at(tree, &path, "the number is too large", None));
        wrong.push(path);
    }
}

/// Takes a value out; a model or target that is no map leaves an empty one, so that the others keep their index.
fn forget(tree: &mut Node, path: &[String]) {
    if tree.remove(path).is_some() {
        return;
    }
    let Some((last, parents)) = path.split_last() else {
        tree.value = Tree::Map(Default::default());
        return;
    };
    let Some(parent) = tree.find_mut(parents) else {
        return;
    };
    if let (Tree::List(items), Ok(index)) = (&mut parent.value, last.parse::<usize>())
        && index < items.len()
    {
        if matches!(
            parents.last().map(String::as_str),
            Some("models" | "targets")
        ) {
            items[index].value = Tree::Map(Default::default());
        } else {
            items.remove(index);
        }
    }
}

/// What was expected, without telling the value, which may be a secret.
fn words(error: &ValidationError<'_>, file: &FileSchema) -> (String, Option<String>) {
    let schema = parent_schema(error, file);
    let expected = schema
        .map(expectation)
        .unwrap_or_else(|| "another value".to_owned());
    match error.kind() {
        Kind::Type { .. } => (
            format!("expected {expected}, found {}", found(error.instance())),
            None,
        ),
        Kind::Enum { .. } | Kind::Constant { .. } => {
            let word = error.instance().as_str().unwrap_or_default();
            let near = schema
                .and_then(|schema| schema.get("enum"))
                .and_then(Value::as_array)
                .and_then(|words| nearest(word, words.iter().filter_map(Value::as_str)))
                .map(|near| format!("the nearest is \"{near}\""));
            (format!("expected {expected}"), near)
        }
        Kind::Format { format } if matches!(format.as_str(), "base-url" | "token-url") => {
            let why = schema::base_url(error.instance().as_str().unwrap_or_default());
            (
                format!("the URL {}", why.err().unwrap_or("is wrong")),
                Some(format!("write {expected}")),
            )
        }
        Kind::Minimum { limit } => (format!("must be at least {}", plain(limit)), None),
        Kind::Maximum { limit } => (format!("must be at most {}", plain(limit)), None),
        Kind::ExclusiveMinimum { limit } => (format!("must be above {}", plain(limit)), None),
        Kind::MinLength { .. } | Kind::MinItems { .. } => ("must not be empty".to_owned(), None),
        Kind::MaxLength { limit } => (format!("must have at most {limit} characters"), None),
        _ => (format!("expected {expected}"), None),
    }
}

/// A limit as people write it: the types know `1.0` where the file has `1`.
pub(crate) fn plain(limit: &Value) -> String {
    let text = limit.to_string();
    text.strip_suffix(".0").map(str::to_owned).unwrap_or(text)
}

fn expectation(schema: &Value) -> String {
    if let Some(words) = schema
        .get("format")
        .and_then(Value::as_str)
        .and_then(schema::format_words)
    {
        return words.to_owned();
    }
    if schema.get("enum").is_some() {
        return format!("one of {}", choices(Some(schema)));
    }
    let types: Vec<_> = schema::types(schema).into_iter().map(type_words).collect();
    types.join(" or ")
}

fn choices(schema: Option<&Value>) -> String {
    let words = schema
        .and_then(|schema| schema.get("enum"))
        .and_then(Value::as_array);
    let words: Vec<_> = words
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    words.join(", ")
}

fn type_words(kind: &str) -> &'static str {
    match kind {
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "true or false",
        "array" => "a list",
        "object" => "a map of keys",
        _ => "a text",
    }
}

fn found(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map of keys",
    }
}

/// The schema whose keyword failed.
fn parent_schema<'a>(error: &ValidationError<'_>, file: &'a FileSchema) -> Option<&'a Value> {
    let path = error.schema_path().as_str();
    file.json.pointer(path.rsplit_once('/')?.0)
}

fn keys(schema: &Value) -> Vec<&str> {
    let keys = schema.get("properties").and_then(Value::as_object);
    keys.into_iter()
        .flat_map(|keys| keys.keys())
        .map(String::as_str)
        .collect()
}

/// The parts of a JSON pointer.
fn segments(pointer: &str) -> Vec<String> {
    pointer
        .split('/')
        .skip(1)
        .map(|segment| segment.replace("~1", "/").replace("~0", "~"))
        .collect()
}
