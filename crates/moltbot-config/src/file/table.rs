//! TOML as a located tree.

use std::sync::Arc;

use serde_json::Number;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::problem::Problem;
use crate::tree::{Layer, Node, Origin, Value};

/// Reads TOML.
///
/// # Errors
/// The place where it is no TOML.
pub(crate) fn parse_toml(text: &str, name: &str) -> Result<Node, Problem> {
    let places = Places::of(text, name);
    let table = DeTable::parse(text).map_err(|error| {
        let at = places.origin(error.span().map_or(0, |span| span.start));
        Problem {
            file: name.to_owned(),
            line: at.line,
            column: at.column,
            message: format!("is no TOML: {}", error.message()),
            ..Problem::default()
        }
    })?;
    let origin = places.origin(table.span().start);
    Ok(Node {
        origin,
        value: places.map(table.get_ref()),
        again: None,
    })
}

/// Where each line of a text begins.
struct Places<'a> {
    text: &'a str,
    file: Arc<str>,
    lines: Vec<usize>,
}

impl<'a> Places<'a> {
    fn of(text: &'a str, name: &str) -> Self {
        let breaks = text.match_indices('\n').map(|(at, _)| at + 1);
        Self {
            text,
            file: name.into(),
            lines: std::iter::once(0).chain(breaks).collect(),
        }
    }

    fn origin(&self, at: usize) -> Origin {
        let line = self.lines.partition_point(|begin| *begin <= at).max(1);
        let begin = self.lines[line - 1];
        let before = self.text.get(begin..at).unwrap_or_default();
        Origin {
            layer: Layer::File,
            file: Arc::clone(&self.file),
            line,
            column: before.chars().count() + 1,
        }
    }

    fn map(&self, table: &DeTable<'_>) -> Value {
        let entry = |(key, value): (&Spanned<_>, &Spanned<DeValue<'_>>)| {
            let key: &Spanned<std::borrow::Cow<'_, str>> = key;
            let node = self.node(key.span().start, value.get_ref());
            (key.get_ref().to_string(), node)
        };
        Value::Map(table.iter().map(entry).collect())
    }

    fn node(&self, at: usize, value: &DeValue<'_>) -> Node {
        let value = match value {
            DeValue::String(text) => Value::Text(text.to_string()),
            DeValue::Boolean(bool) => Value::Bool(*bool),
            DeValue::Integer(whole) => match i64::from_str_radix(whole.as_str(), whole.radix()) {
                Ok(number) => Value::Number(number.into()),
                // too large to be meant; as text it fails where a number is asked for
                Err(_) => Value::Text(whole.to_string()),
            },
            DeValue::Float(float) => {
                let number = float.as_str().parse().ok().and_then(Number::from_f64);
                number.map_or_else(|| Value::Text(float.to_string()), Value::Number)
            }
            DeValue::Datetime(time) => Value::Text(time.to_string()),
            DeValue::Array(items) => {
                let items = items.iter();
                Value::List(
                    items
                        .map(|item| self.node(item.span().start, item.get_ref()))
                        .collect(),
                )
            }
            DeValue::Table(table) => self.map(table),
        };
        Node {
            origin: self.origin(at),
            value,
            again: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_value_knows_its_line() {
        let text = "# x\r\n[channel.slack]\r\nenabled = true\r\nfilter = [\r\n  \"pii\",\r\n]\r\n[channel.\"a b\"]\r\ncontext_window = 0x10\r\n";
        let tree = parse_toml(text, "channels.toml").unwrap();
        let line = |path: &[&str]| tree.origin_of(path).line;
        assert_eq!(line(&["channel", "slack"]), 2);
        assert_eq!(line(&["channel", "slack", "enabled"]), 3);
        assert_eq!(line(&["channel", "slack", "filter"]), 4);
        assert_eq!(line(&["channel", "slack", "filter", "0"]), 5);
        assert_eq!(line(&["channel", "a b", "context_window"]), 8);
        assert_eq!(tree.to_json()["channel"]["a b"]["context_window"], 16);
    }

    #[test]
    fn what_is_no_toml_is_told_with_its_place() {
        let problem = parse_toml("a = 1\nb = yes\n", "channels.toml").unwrap_err();
        assert_eq!((problem.line, problem.column), (2, 5));
        let problem = parse_toml("a = 1\na = 2\n", "channels.toml").unwrap_err();
        assert_eq!(problem.line, 2);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[a-z0-9\\[\\]=\"'.#\n{}, -]{0,80}") {
            let _ = parse_toml(&text, "channels.toml");
        }
    }
}
