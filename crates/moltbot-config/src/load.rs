//! From the files, the environment and the command line to a checked configuration.

use std::fmt;
use std::path::PathBuf;

use aws_lc_rs::digest;

use crate::build;
use crate::channels;
use crate::check;
use crate::config::Config;
use crate::credential;
use crate::expand::References;
use crate::file;
use crate::form::Form;
use crate::home::{GATEWAY, Home};
use crate::layers::Overrides;
use crate::problem::{Problem, Problems};
use crate::report::problem_at;
use crate::secret;
use crate::tree::{Node, Value};

/// A checked configuration and what belongs to it.
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// What a person should know although nothing is wrong, one sentence each.
    pub notices: Vec<String>,
    /// What is wrong with parts that stay out of service while the rest runs, such as channels. A check of the
    /// files fails for them, a start does not.
    pub parts: Problems,
    /// Every file that it was read from, and those that may come.
    pub watched: Vec<PathBuf>,
    /// Equal where the configuration is equal, secrets included. Tells nothing about them.
    pub fingerprint: String,
    /// The values as they are in force, for [`Loaded::entries`].
    pub(crate) form: serde_json::Value,
    /// The values as they were read, with their origins.
    pub(crate) tree: Node,
    /// The same, but of `gateway.yaml` alone.
    pub(crate) file: Node,
}

impl fmt::Debug for Loaded {
    // the trees hold secrets as they were written
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loaded")
            .field("config", &self.config)
            .field("notices", &self.notices)
            .field("parts", &self.parts)
            .field("watched", &self.watched)
            .finish_non_exhaustive()
    }
}

/// Reads and checks everything, and reports all problems at once.
///
/// ```
/// use moltbot_config::{Home, InitOptions, Overrides, init, load};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// let home = Home::new(dir.path());
/// init(&home, &InitOptions::default())?;
/// let loaded = load(&home, &Overrides::default())?;
/// assert_eq!(loaded.config.server.listen, "127.0.0.1:18789");
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`Problems`], each with file, line, key and cure. A missing secret is none: see
/// [`Auth::Missing`](crate::config::Auth::Missing).
pub fn load(home: &Home, overrides: &Overrides) -> Result<Loaded, Problems> {
    let text = file::read(&home.gateway_file(), GATEWAY).and_then(|text| {
        text.ok_or_else(|| Problem {
            file: GATEWAY.to_owned(),
            message: format!("there is no such file in {}", home.root().display()),
            hint: Some("make one with `moltctl init`".to_owned()),
            ..Problem::default()
        })
    });
    match text {
        Ok(text) => load_text(home, overrides, &text),
        Err(problem) => Err(Problems(vec![problem])),
    }
}

/// The same, with `text` in the place of `gateway.yaml`.
pub(crate) fn load_text(
    home: &Home,
    overrides: &Overrides,
    text: &str,
) -> Result<Loaded, Problems> {
    load_texts(home, overrides, text, None)
}

/// The same, with another text in the place of `auth.json`, too.
pub(crate) fn load_texts(
    home: &Home,
    overrides: &Overrides,
    text: &str,
    secrets: Option<&str>,
) -> Result<Loaded, Problems> {
    let mut problems = Problems::default();
    let mut parts = Problems::default();
    let mut notices = Vec::new();
    let references = References {
        home,
        env: &overrides.env,
        files: Default::default(),
    };
    channels::check(home, &mut parts, &mut notices);

    // one tree of all layers, each value with its origin
    let auth = match secrets {
        Some(text) => secret::parse(text, &mut problems),
        None => secret::read(home, &mut problems),
    };
    let file = match map(text, &mut problems) {
        Ok(file) => file,
        Err(problem) => {
            problems.push(problem);
            return Err(problems.sorted());
        }
    };
    let mut tree = file.clone();
    secret::lay_over(&mut tree, &auth);
    overrides.lay_over(&mut tree, &mut problems, &mut notices);

    // what is wrong is reported and taken out, so that the rest can be looked at
    tree.drop_nulls(is_free);
    check::refuse_later(&mut tree, &mut problems);
    expand(&mut tree, &references, &mut problems);
    check::against_schema(&mut tree, &mut problems);
    let mut form = match form(&tree) {
        Ok(form) => form,
        Err(problem) => {
            problems.push(problem);
            return Err(problems.sorted());
        }
    };
    build::complete(&mut form);
    let in_force = serde_json::to_value(&form).unwrap_or_default();

    let credentials = (0..form.models.len())
        .map(|index| credential::of_model(&tree, index, &auth, &references, &mut problems))
        .collect();
    let config = build::build(form, credentials, &tree, &mut problems);
    if !problems.0.is_empty() {
        return Err(problems.sorted());
    }
    let mut watched = vec![
        home.gateway_file(),
        home.auth_file(),
        home.channels_file(),
        home.key_file(),
    ];
    watched.extend(references.files.into_inner());
    Ok(Loaded {
        fingerprint: fingerprint(&config),
        config,
        notices,
        parts: parts.sorted(),
        watched,
        form: in_force,
        tree,
        file,
    })
}

/// `gateway.yaml` as a map; comments alone are an empty one.
fn map(text: &str, problems: &mut Problems) -> Result<Node, Problem> {
    let tree = file::parse_yaml(text, GATEWAY, problems)?;
    match tree.value {
        Value::Map(_) => Ok(tree),
        Value::Null => Ok(Node {
            value: Value::Map(Default::default()),
            ..tree
        }),
        _ => Err(problem_at(&tree, &[""; 0], "expected a map of keys", None)),
    }
}

/// Whether the keys below belong to the model's dialect, where `null` may mean something.
fn is_free(key: &str) -> bool {
    matches!(key, "params" | "chat" | "code" | "multimodal" | "embedding")
}

fn form(tree: &Node) -> Result<Form, Problem> {
    // only what the schema let pass and the types refuse ends here
    serde_json::from_value(tree.to_json()).map_err(|error| Problem {
        file: GATEWAY.to_owned(),
        message: error.to_string(),
        ..Problem::default()
    })
}

/// Replaces references everywhere but in secrets, which are read on their own.
fn expand(tree: &mut Node, references: &References<'_>, problems: &mut Problems) {
    let mut failed = Vec::new();
    tree.leaves(&mut |path, node| {
        if let Value::Text(text) = &mut node.value
            && text.contains("${")
            && !secret::is_secret(path)
        {
            match references.expand(text) {
                Ok(expanded) => *text = expanded,
                Err(error) => failed.push((path.to_vec(), error.message())),
            }
        }
    });
    for (path, message) in failed {
        problems.push(problem_at(tree, &path, message, None));
    }
}

/// A hash over all of it. `Debug` tells everything but secrets, which are added.
fn fingerprint(config: &Config) -> String {
    use secrecy::ExposeSecret;
    let mut hash = digest::Context::new(&digest::SHA256);
    hash.update(format!("{config:?}").as_bytes());
    for model in &config.models {
        for secret in model.auth.secrets() {
            hash.update(&secret.expose_secret().len().to_le_bytes());
            hash.update(secret.expose_secret().as_bytes());
        }
    }
    hex::encode(hash.finish())
}

#[cfg(test)]
mod tests;
