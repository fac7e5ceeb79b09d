//! Files as text, and texts as located trees.

mod table;

use std::fs;
use std::io::{ErrorKind, Read};
use std::path::Path;
use std::sync::Arc;

use serde_saphyr::options::DuplicateKeyPolicy;

use crate::problem::{Problem, Problems};
use crate::tree::{Layer, Node, Value};

pub(crate) use table::parse_toml;

/// Nobody writes a longer configuration by hand.
const LONGEST: u64 = 16 << 20;

/// The text of a file without its BOM; `None` where there is no such file.
///
/// # Errors
/// A file that cannot be read, is empty, too long or not UTF-8.
pub(crate) fn read(path: &Path, name: &str) -> Result<Option<String>, Problem> {
    let problem = |message: String, hint: &str| Problem {
        file: name.to_owned(),
        message,
        hint: Some(hint.to_owned()),
        ..Problem::default()
    };
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(problem(
                format!("cannot be read: {error}"),
                &format!("give this user the right to read {}", path.display()),
            ));
        }
    };
    let mut bytes = Vec::new();
    if let Err(error) = file.take(LONGEST + 1).read_to_end(&mut bytes) {
        return Err(problem(
            format!("cannot be read: {error}"),
            "it must be a plain file",
        ));
    }
    if bytes.len() as u64 > LONGEST {
        return Err(problem(
            "is longer than 16 MiB".into(),
            "is it the right file?",
        ));
    }
    let text = String::from_utf8(bytes).map_err(|error| Problem {
        line: 1 + error.as_bytes()[..error.utf8_error().valid_up_to()]
            .iter()
            .filter(|byte| **byte == b'\n')
            .count(),
        column: 1,
        ..problem("is not UTF-8".into(), "save it as UTF-8")
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    if text.is_empty() {
        return Err(problem(
            "is empty".into(),
            "an empty file is taken for an accident; a comment in it is enough",
        ));
    }
    Ok(Some(text.to_owned()))
}

/// Reads YAML. Keys that stand twice are reported, and the first of them counts.
///
/// # Errors
/// The place where it is no YAML.
pub(crate) fn parse_yaml(text: &str, name: &str, problems: &mut Problems) -> Result<Node, Problem> {
    let options = serde_saphyr::options! {
        strict_booleans: true,
        with_snippet: false,
        emit_comments: false,
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
    };
    let file: Arc<str> = name.into();
    let node: Node = serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let at = error.location();
        Problem {
            file: name.to_owned(),
            line: at.map_or(0, |at| at.line() as usize),
            column: at.map_or(0, |at| at.column() as usize),
            message: first_line(&error.without_snippet().to_string()),
            ..Problem::default()
        }
    })?;
    let node = node.placed(Layer::File, &file);
    report_twice(&node, &mut Vec::new(), problems);
    Ok(node)
}

/// Reads JSON, with the places of its values.
///
/// # Errors
/// The place where it is no JSON.
pub(crate) fn parse_json(text: &str, name: &str, problems: &mut Problems) -> Result<Node, Problem> {
    let json: serde_json::Value = serde_json::from_str(text).map_err(|error| Problem {
        file: name.to_owned(),
        line: error.line(),
        column: error.column(),
        message: format!("is no JSON: {}", without_place(&error.to_string())),
        ..Problem::default()
    })?;
    // JSON is nearly a part of YAML, whose parser knows the places; where it is not, places are lost
    let known = problems.0.len();
    match parse_yaml(text, name, problems) {
        Ok(node) if problems.0.len() > known || node.to_json() == json => Ok(node),
        _ => Ok(Node::from_json(
            json,
            &Node::default().placed(Layer::File, &name.into()).origin,
        )),
    }
}

/// A value as it is given to `config set` or in a variable.
pub(crate) fn parse_value(text: &str) -> Option<Node> {
    parse_yaml(text, "", &mut Problems::default()).ok()
}

fn report_twice(node: &Node, path: &mut Vec<String>, problems: &mut Problems) {
    let mut inside = |key: String, child: &Node| {
        path.push(key);
        if let Some((line, column)) = child.again {
            problems.push(Problem {
                file: child.origin.file.to_string(),
                line,
                column,
                key: path.join("."),
                message: format!("stands here again, first in line {}", child.origin.line),
                hint: Some("keep one of the two".to_owned()),
            });
        }
        report_twice(child, path, problems);
        path.pop();
    };
    match &node.value {
        Value::Map(entries) => entries
            .iter()
            .for_each(|(key, child)| inside(key.clone(), child)),
        Value::List(items) => {
            items
                .iter()
                .enumerate()
                .for_each(|(index, item)| inside(index.to_string(), item));
        }
        _ => {}
    }
}

fn first_line(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default();
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}

fn without_place(message: &str) -> &str {
    message.split(" at line ").next().unwrap_or(message)
}
