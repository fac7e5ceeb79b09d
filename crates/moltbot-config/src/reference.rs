//! The reference of the configuration as a page, made from the same types as the schema.

use std::fmt::Write;

use serde_json::Value;

use crate::check;
use crate::preset::PRESETS;
use crate::schema::{self, File};
use crate::show::plain;

/// What stands before the tables.
const HEAD: &str = include_str!("reference/head.md");

/// The reference as Markdown: every key with its form, its default and its meaning.
pub fn reference() -> String {
    let mut page = HEAD.to_owned();
    sections(&mut page, "", &File::Gateway.form().json);
    page.push_str("## Providers\n\n`provider` is one of these. With `endpoint` or `targets` it may be anywhere else.\n\n| name | public address |\n|---|---|\n");
    for preset in PRESETS {
        let endpoint = match preset.endpoint {
            "" => "answered by the daemon itself: `model: echo` or `model: script`".to_owned(),
            endpoint => format!("`{endpoint}`"),
        };
        line(
            &mut page,
            format_args!("| `{}` | {endpoint} |", preset.name),
        );
    }
    later(&mut page, File::Gateway);
    page.push_str(include_str!("reference/workspaces.md"));
    for (file, title) in [
        (File::Policy, "workspaces/NAME/policy.yaml"),
        (File::Channels, "workspaces/NAME/channels.toml"),
    ] {
        let json = &file.form().json;
        line(
            &mut page,
            format_args!("\n# {title}\n\n{}\n", description(json)),
        );
        sections(&mut page, "", json);
        later(&mut page, file);
    }
    page
}

/// The keys of a file that a later version brings.
fn later(page: &mut String, file: File) {
    let mut keys = check::later(file).peekable();
    if keys.peek().is_none() {
        return;
    }
    page.push_str(
        "\n## Later\n\nThese are known and refused: \"not supported by this version\".\n\n",
    );
    for key in keys {
        line(page, format_args!("- {key}"));
    }
}

/// A table for the keys of `schema` that hold no others, then the sections below it.
fn sections(page: &mut String, name: &str, schema: &Value) {
    let keys: Vec<_> = schema
        .get("properties")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .collect();
    let (sections_below, plain_keys): (Vec<_>, Vec<_>) = keys
        .into_iter()
        .partition(|(_, schema)| section_of(schema).is_some());
    if !plain_keys.is_empty() {
        let title = if name.is_empty() {
            "At the top".to_owned()
        } else {
            format!("`{name}`")
        };
        line(page, format_args!("## {title}\n"));
        if !name.is_empty() {
            line(page, format_args!("{}\n", description(schema)));
        }
        line(
            page,
            format_args!("| key | form | default | meaning |\n|---|---|---|---|"),
        );
        for (key, schema) in plain_keys {
            let default = schema
                .get("default")
                .map(|value| format!("`{}`", plain(value)));
            let default = default
                .filter(|text| text != "``" && text != "`[]`")
                .unwrap_or_default();
            let (form, meaning) = (form(schema), description(schema));
            line(
                page,
                format_args!("| `{key}` | {form} | {default} | {meaning} |"),
            );
        }
        if schema.get("additionalProperties") == Some(&Value::Bool(true)) {
            line(
                page,
                format_args!(
                    "| any other | any | | A field of the dialect, as the model takes it. |"
                ),
            );
        }
        page.push('\n');
    }
    for (key, schema) in sections_below {
        let dot = if name.is_empty() { "" } else { "." };
        let (section, list) = section_of(schema).unwrap_or((schema, ""));
        sections(page, &format!("{name}{dot}{key}{list}"), section);
    }
}

/// The map that `schema` is, or that its items or entries are.
fn section_of(schema: &Value) -> Option<(&Value, &'static str)> {
    let is_map = |schema: &Value| schema.get("properties").is_some();
    match (schema.get("items"), schema.get("additionalProperties")) {
        (Some(items), _) if is_map(items) => Some((items, "[]")),
        (_, Some(any)) if is_map(any) => Some((any, ".NAME")),
        _ => is_map(schema).then_some((schema, "")),
    }
}

fn description(schema: &Value) -> String {
    let text = schema
        .get("description")
        .and_then(Value::as_str)
        .unwrap_or_default();
    text.replace('\n', " ")
}

fn form(schema: &Value) -> String {
    if let Some(Value::Array(words)) = schema.get("enum") {
        // the providers have a table of their own
        if words.len() > 16 {
            return "a name, see Providers".to_owned();
        }
        return choices(words);
    }
    let words = match schema.get("format").and_then(Value::as_str) {
        Some("time") => "time",
        Some("time-above-zero") => "time above 0",
        Some("size") => "size",
        Some("address") => "`host:port`",
        Some("base-url" | "token-url") => "URL",
        Some("url-path") => "path",
        Some("rate" | "spend") => "rate",
        _ => return numbers(schema),
    };
    words.to_owned()
}

fn numbers(schema: &Value) -> String {
    let words = match *schema::types(schema) {
        ["integer"] => "whole number",
        ["number"] => "number",
        ["boolean"] => "`true`, `false`",
        ["string", "array"] => "name or list of names",
        ["array"] => return list(schema),
        _ => "text",
    };
    let bound = |key: &str, word: &str| {
        let limit = schema.get(key).filter(|limit| limit.is_number())?;
        Some(format!(" {word} {}", check::plain(limit)))
    };
    [
        Some(words.to_owned()),
        bound("minimum", "from").filter(|bound| bound != " from 0" || words == "number"),
        bound("exclusiveMinimum", "above"),
        bound("maximum", "up to"),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn choices(words: &[Value]) -> String {
    let words = words.iter().map(|word| format!("`{}`", plain(word)));
    words.collect::<Vec<_>>().join(", ")
}

fn list(schema: &Value) -> String {
    let words = schema.get("items").and_then(|items| items.get("enum"));
    match words {
        Some(Value::Array(words)) => format!("list of {}", choices(words)),
        _ => "list of texts".to_owned(),
    }
}

/// Writing to a string cannot fail.
fn line(page: &mut String, text: std::fmt::Arguments<'_>) {
    let _ = writeln!(page, "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");

    #[test]
    fn the_page_is_up_to_date() {
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(PAGE, reference()).unwrap();
        }
        let page = std::fs::read_to_string(PAGE).unwrap_or_default();
        assert!(
            page == reference(),
            "docs/configuration.md is stale; run `UPDATE_DOCS=1 cargo test -p moltbot-config the_page_is_up_to_date`"
        );
    }
}
