//! The JSON Schemas of the files, made from the types that read them.

use std::sync::LazyLock;

use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Value, json};

use crate::channel::ChannelsForm;
use crate::form::{Form, ModelsForm};
use crate::policy::Policy;
use crate::rate;
use crate::unit;

/// A file whose form this crate knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum File {
    /// `config/gateway.yaml`.
    #[default]
    Gateway,
    /// `workspaces/NAME/models.yaml`.
    Models,
    /// `workspaces/NAME/policy.yaml`.
    Policy,
    /// `workspaces/NAME/channels.toml`, and `workspace/channels.toml`.
    Channels,
}

impl File {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Gateway, Self::Models, Self::Policy, Self::Channels];

    /// Its word: `gateway`, `models`, `policy`, `channels`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Models => "models",
            Self::Policy => "policy",
            Self::Channels => "channels",
        }
    }

    /// Its schema.
    pub(crate) fn form(self) -> &'static FileSchema {
        match self {
            Self::Gateway => &GATEWAY,
            Self::Models => &MODELS,
            Self::Policy => &POLICY,
            Self::Channels => &CHANNELS,
        }
    }
}

/// The JSON Schema of a file. Keys with `x-restart` take effect only at a start.
pub fn schema(file: File) -> Value {
    file.form().json.clone()
}

/// The schema of a file and what checks by it, made once.
pub(crate) struct FileSchema {
    pub(crate) json: Value,
    /// `None` only where the schema itself were wrong, which a test excludes.
    pub(crate) validator: Option<jsonschema::Validator>,
}

static GATEWAY: LazyLock<FileSchema> = LazyLock::new(FileSchema::of::<Form>);
static MODELS: LazyLock<FileSchema> = LazyLock::new(FileSchema::of::<ModelsForm>);
static POLICY: LazyLock<FileSchema> = LazyLock::new(FileSchema::of::<Policy>);
static CHANNELS: LazyLock<FileSchema> = LazyLock::new(FileSchema::of::<ChannelsForm>);

impl FileSchema {
    fn of<T: JsonSchema>() -> Self {
        let settings = SchemaSettings::draft2020_12()
            .with(|settings| settings.inline_subschemas = true)
            .with_transform(RecursiveTransform(simplify));
        let json = SchemaGenerator::new(settings)
            .into_root_schema_for::<T>()
            .to_value();
        let validator = validator(&json);
        Self { json, validator }
    }

    /// The part that describes `path`, where it is described.
    pub(crate) fn at<S: AsRef<str>>(&self, path: &[S]) -> Option<&Value> {
        path.iter().try_fold(&self.json, |schema, segment| {
            let segment = segment.as_ref();
            let by_key = schema
                .get("properties")
                .and_then(|keys| keys.get(segment))
                .or_else(|| {
                    schema
                        .get("additionalProperties")
                        .filter(|any| any.is_object())
                });
            by_key.or_else(|| {
                segment.parse::<usize>().ok()?;
                schema.get("items")
            })
        })
    }
}

fn validator(schema: &Value) -> Option<jsonschema::Validator> {
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
        .with_format("store-url", is_store)
        .with_format("token-url", |text: &str| token_url(text).is_ok())
        .with_format("rate", |text: &str| rate::parse(text).is_some())
        .with_format("spend", |text: &str| rate::parse_spend(text).is_some())
        .build(schema)
        .ok()
}

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
        "store-url" => "`sqlite:` and a path, or `memory:`",
        "token-url" => "a URL such as https://auth.example.com/token",
        "rate" => "a rate such as 10/s, 600/min, 1000/h or 5000/d",
        "spend" => "an amount of US dollars in a time, such as 0.5/h or 50/d",
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

/// Whether it is `memory:` or `sqlite:PATH`.
fn is_store(text: &str) -> bool {
    text == "memory:"
        || text
            .strip_prefix("sqlite:")
            .is_some_and(|path| !path.trim_matches('/').is_empty())
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

/// The keys at the top of `gateway.yaml`.
pub(crate) fn schema_keys() -> impl Iterator<Item = &'static str> {
    let keys = GATEWAY.json.get("properties").and_then(Value::as_object);
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
    fn the_schemas_are_sound() {
        for (file, title) in [
            (File::Gateway, "config/gateway.yaml"),
            (File::Models, "models.yaml"),
            (File::Policy, "policy.yaml"),
            (File::Channels, "channels.toml"),
        ] {
            assert!(file.form().validator.is_some(), "{title}");
            assert_eq!(schema(file)["title"], title);
            assert!(schema(file)["$schema"].is_string());
        }
    }

    #[test]
    fn nothing_in_it_is_null_or_hidden_behind_a_choice() {
        for file in File::ALL {
            let text = schema(file).to_string();
            for word in ["null", "anyOf", "oneOf", "$ref"] {
                assert!(!text.contains(&format!("\"{word}\"")), "{word} in {text}");
            }
        }
    }

    #[test]
    fn keys_that_need_a_start_say_so() {
        for key in [
            "server.listen",
            "server.admin",
            "server.workers",
            "logs.keep",
            "store.url",
        ] {
            let path: Vec<_> = key.split('.').collect();
            let schema = GATEWAY.at(&path).unwrap();
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
