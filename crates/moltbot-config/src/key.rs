//! Keys as people write them, `models.primary-model.fallback`, and the paths that they mean.

use crate::problem::nearest;
use crate::tree::{Node, Value};

/// A key that leads nowhere.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// It is empty or has an empty part.
    #[error("`{0}` is no key; write it with dots, as `model.failover.enabled`")]
    Malformed(String),
    /// It names an item that the list does not have.
    #[error("{list} has no item `{item}`{}", near.as_ref().map(|near| format!("; the nearest is `{near}`")).unwrap_or_default())]
    NoItem {
        /// The list.
        list: String,
        /// What was asked for: a name or an index.
        item: String,
        /// The item whose name looks most like it.
        near: Option<String>,
    },
}

/// The path that `key` means in `tree`: items of lists are named by name or index.
pub(crate) fn resolve(tree: &Node, key: &str) -> Result<Vec<String>, KeyError> {
    if key.is_empty() {
        return Err(KeyError::Malformed(key.to_owned()));
    }
    follow(tree, key, str::to_owned)
}

/// The path that a variable means, without `MOLTBOT_`: `MODELS__PRIMARY_MODEL__ENDPOINT`.
pub(crate) fn resolve_variable(tree: &Node, name: &str) -> Result<Vec<String>, KeyError> {
    follow(tree, &name.to_lowercase().replace("__", "."), in_variable)
}

/// A name as a variable can spell it.
fn in_variable(name: &str) -> String {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() {
            c.to_ascii_lowercase()
        } else {
            '_'
        }
    };
    name.chars().map(plain).collect()
}

/// Walks down `tree` as far as it reaches; behind its end the parts stand for themselves.
fn follow(tree: &Node, key: &str, spell: fn(&str) -> String) -> Result<Vec<String>, KeyError> {
    let mut path = Vec::new();
    let mut node = Some(tree);
    let mut rest = Some(key);
    while let Some(parts) = rest {
        let (part, after) = match node.map(|node| &node.value) {
            Some(Value::List(items)) => item(items, &path.join("."), parts, spell)?,
            _ => {
                let (part, after) = first_part(parts);
                (part.to_owned(), after)
            }
        };
        if part.is_empty() {
            return Err(KeyError::Malformed(key.to_owned()));
        }
        node = node.and_then(|node| node.get(&part));
        path.push(part);
        rest = after;
    }
    Ok(path)
}

fn first_part(parts: &str) -> (&str, Option<&str>) {
    parts
        .split_once('.')
        .map_or((parts, None), |(part, after)| (part, Some(after)))
}

/// The item that `parts` begin with: the longest name wins, for names may hold dots; else an index.
fn item<'a>(
    items: &[Node],
    list: &str,
    parts: &'a str,
    spell: fn(&str) -> String,
) -> Result<(String, Option<&'a str>), KeyError> {
    let names = items.iter().enumerate().filter_map(|(index, item)| {
        let name = item.get("name").and_then(Node::text)?;
        Some((index, name))
    });
    let named = names
        .clone()
        .filter_map(|(index, name)| {
            let name = spell(name);
            let after = parts.strip_prefix(&*name)?;
            let after = if after.is_empty() {
                None
            } else {
                Some(after.strip_prefix('.')?)
            };
            Some((name.len(), index, after))
        })
        .max_by_key(|(length, ..)| *length);
    if let Some((_, index, after)) = named {
        return Ok((index.to_string(), after));
    }
    let (part, after) = first_part(parts);
    match part.parse::<usize>() {
        // the one behind the last may be made
        Ok(index) if index <= items.len() => Ok((index.to_string(), after)),
        _ => Err(KeyError::NoItem {
            list: list.to_owned(),
            item: part.to_owned(),
            near: nearest(part, names.map(|(_, name)| name)).map(str::to_owned),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> Node {
        crate::file::parse_value(
            "models: [{name: primary-model, targets: [{name: a}]}, {name: gpt-4}, {name: gpt-4.1}]",
        )
        .unwrap()
    }

    #[test]
    fn models_are_named_by_name_or_index() {
        for key in ["models.primary-model.fallback", "models.0.fallback"] {
            assert_eq!(resolve(&tree(), key).unwrap(), ["models", "0", "fallback"]);
        }
        assert_eq!(
            resolve(&tree(), "models.primary-model.targets.a.url").unwrap(),
            ["models", "0", "targets", "0", "url"]
        );
    }

    #[test]
    fn a_name_may_hold_dots() {
        assert_eq!(
            resolve(&tree(), "models.gpt-4.1.kind").unwrap(),
            ["models", "2", "kind"]
        );
        assert_eq!(
            resolve(&tree(), "models.gpt-4.kind").unwrap(),
            ["models", "1", "kind"]
        );
    }

    #[test]
    fn variables_name_models_in_capitals() {
        for name in ["MODELS__PRIMARY_MODEL__ENDPOINT", "MODELS__0__ENDPOINT"] {
            assert_eq!(
                resolve_variable(&tree(), name).unwrap(),
                ["models", "0", "endpoint"]
            );
        }
        assert_eq!(
            resolve_variable(&tree(), "MODELS__GPT_4_1__KIND").unwrap()[1],
            "2"
        );
    }

    #[test]
    fn a_wrong_name_is_told_with_the_nearest() {
        let error = resolve(&tree(), "models.primary-modle.kind").unwrap_err();
        assert!(error.to_string().contains("`primary-model`"), "{error}");
    }

    #[test]
    fn empty_parts_are_refused() {
        for key in ["", ".", "a..b", "a.", ".a"] {
            assert!(
                matches!(resolve(&tree(), key), Err(KeyError::Malformed(_))),
                "{key}"
            );
        }
    }
}
