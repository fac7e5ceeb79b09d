//! The JSON Schema of `gateway.yaml`, made from the types that read it.

use std::sync::LazyLock;

use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{Schema, SchemaGenerator};
use serde_json::{Value, json};

use crate::form::Form;
use crate::unit;

/// The JSON Schema of `config/gateway.yaml`. Keys with `x-restart` take effect only at a start.
pub fn schema() -> Value {
    SCHEMA.clone()
}

/// The schema, made once.
pub(crate) static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
    let settings = SchemaSettings::draft2020_12()
        .with(|settings| settings.inline_subschemas = true)
        .with_transform(RecursiveTransform(simplify));
    SchemaGenerator::new(settings)
        .into_root_schema_for::<Form>()
        .to_value()
});

/// The validator, made once; `None` only where the schema itself were wrong, which a test excludes.
pub(crate) static VALIDATOR: LazyLock<Option<jsonschema::Validator>> = LazyLock::new(|| {
    jsonschema::options()
        .should_validate_formats(true)
        .with_format("time", |text: &str| unit::parse_time(text).is_some())
        .with_format("time-above-zero", |text: &str| {
            unit::parse_time(text).is_some_and(|time| !time.is_zero())
        })
        .with_format("size", |text: &str| {
            unit::parse_size(text).is_some_and(|size| size > 0)
        })
        .with_format("address", is_address)
        .with_format("url-path", is_path)
        .with_format("base-url", |text: &str| base_url(text).is_ok())
        .with_format("token-url", |text: &str| token_url(text).is_ok())
        .build(&SCHEMA)
        .ok()
});

/// What a format stands for, in words.
pub(crate) fn format_words(format: &str) -> Option<&'static str> {
    Some(match format {
        "time" => "a time such as 500ms, 5s, 10m, 7d, or a number of milliseconds",
        "time-above-zero" => {
            "a time above zero such as 500ms, 5s, 10m, 7d, or a number of milliseconds"
        }
        "size" => "a size such as 32MiB, 32MB, or a number of bytes",
        "address" => "an address such as 127.0.0.1:18789, with a port up to 65535",
        "url-path" => "a path such as /v1/models",
        "base-url" => "a base URL such as https://api.example.com/v1",
        "token-url" => "a URL such as https://auth.example.com/token",
        _ => return None,
    })
}

/// Whether it is `host:port`.
fn is_address(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| {
        port.parse::<u16>().is_ok()
            && port.bytes().all(|byte| byte.is_ascii_digit())
            && (url::Host::parse(host).is_ok() && !host.is_empty())
    })
}

/// Whether it is the path of a URL.
fn is_path(text: &str) -> bool {
    text.starts_with('/')
        && text
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'#')
}

/// Reads a base URL: `http` or `https`, with a host, without credentials, query or fragment.
pub(crate) fn base_url(text: &str) -> Result<url::Url, &'static str> {
    let url = token_url(text)?;
    if url.query().is_some() {
        return Err("must not hold a query or a fragment");
    }
    Ok(url)
}

/// Reads a URL of any page: `http` or `https`, with a host, without credentials or fragment.
fn token_url(text: &str) -> Result<url::Url, &'static str> {
    let url = url::Url::parse(text).map_err(|_| "is no URL")?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("must begin with http:// or https://");
    }
    if url.host_str().is_none_or(str::is_empty) || url.port() == Some(0) {
        return Err("has no host or an impossible port");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not hold a user or a password; use `auth`");
    }
    if url.fragment().is_some() {
        return Err("must not hold a query or a fragment");
    }
    Ok(url)
}

/// The part of the schema that describes `path`, where it is described.
pub(crate) fn at<S: AsRef<str>>(path: &[S]) -> Option<&'static Value> {
    path.iter().try_fold(&*SCHEMA, |schema, segment| {
        let by_key = schema
            .get("properties")
            .and_then(|keys| keys.get(segment.as_ref()));
        by_key.or_else(|| {
            segment.as_ref().parse::<usize>().ok()?;
            schema.get("items")
        })
    })
}

/// The keys at the top.
pub(crate) fn schema_keys() -> impl Iterator<Item = &'static str> {
    let keys = SCHEMA.get("properties").and_then(Value::as_object);
    keys.into_iter()
        .flat_map(|keys| keys.keys())
        .map(String::as_str)
}

/// The types that `schema` allows.
pub(crate) fn types(schema: &Value) -> Vec<&str> {
    match schema.get("type") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// Absent is not `null` in our files, and a choice of words is an `enum`.
fn simplify(schema: &mut Schema) {
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|kind| kind != "null");
        if let [only] = &**types {
            let only = only.clone();
            schema.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(choices)) = schema.get_mut("enum") {
        choices.retain(|choice| !choice.is_null());
    }
    // a section's default is the defaults of its keys
    if schema
        .get("default")
        .is_some_and(|value| value.is_null() || value.is_object())
    {
        schema.remove("default");
    }
    // how a number is kept in memory is nobody's business
    let format = schema.get("format").and_then(Value::as_str);
    if format.is_some_and(|format| format_words(format).is_none()) {
        schema.remove("format");
    }
    if let Some(Value::Array(choices)) = schema.get("anyOf") {
        let null = json!({"type": "null"});
        let others: Vec<_> = choices
            .iter()
            .filter(|choice| **choice != null)
            .cloned()
            .collect();
        if let [Value::Object(only)] = &*others {
            schema.remove("anyOf");
            for (key, value) in only {
                if schema.get(key).is_none() {
                    schema.insert(key.clone(), value.clone());
                }
            }
        }
    }
    if let Some(Value::Array(choices)) = schema.get("oneOf") {
        let words: Option<Vec<_>> = choices.iter().map(words_of).collect();
        if let Some(words) = words {
            schema.remove("oneOf");
            schema.insert("type".to_owned(), json!("string"));
            schema.insert("enum".to_owned(), words.concat().into());
        }
    }
}

/// The words that one branch of a choice stands for.
fn words_of(choice: &Value) -> Option<Vec<Value>> {
    match (choice.get("const"), choice.get("enum")) {
        (Some(word), _) => Some(vec![word.clone()]),
        (_, Some(Value::Array(words))) => Some(words.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_is_sound() {
        assert!(VALIDATOR.is_some());
        assert_eq!(schema()["title"], "config/gateway.yaml");
        assert!(schema()["$schema"].is_string());
    }

    #[test]
    fn nothing_in_it_is_null_or_hidden_behind_a_choice() {
        let text = schema().to_string();
        for word in ["null", "anyOf", "oneOf", "$ref"] {
            assert!(!text.contains(&format!("\"{word}\"")), "{word} in {text}");
        }
    }

    #[test]
    fn keys_that_need_a_start_say_so() {
        for key in [
            "server.listen",
            "server.admin",
            "server.workers",
            "logs.keep",
        ] {
            let path: Vec<_> = key.split('.').collect();
            let schema = at(&path).unwrap();
            assert_eq!(schema["x-restart"], true, "{key}");
            assert!(
                schema["description"]
                    .as_str()
                    .unwrap()
                    .contains("at a start"),
                "{key}"
            );
        }
    }

    #[test]
    fn addresses_are_host_and_port() {
        for good in [
            "127.0.0.1:0",
            "[::1]:80",
            "localhost:18789",
            "0.0.0.0:65535",
        ] {
            assert!(is_address(good), "{good}");
        }
        for bad in [
            "127.0.0.1",
            "127.0.0.1:65536",
            ":80",
            "a b:80",
            "::1:80",
            "h:+80",
            "h:",
        ] {
            assert!(!is_address(bad), "{bad}");
        }
    }

    #[test]
    fn base_urls_hold_nothing_that_does_not_belong() {
        assert!(base_url("http://10.0.0.1:8000/v1").is_ok());
        for bad in [
            "",
            "x",
            "ftp://h/",
            "http://",
            "http://u:p@h/",
            "http://h/?k=1",
            "http://h:70000",
        ] {
            assert!(base_url(bad).is_err(), "{bad}");
        }
    }
}
