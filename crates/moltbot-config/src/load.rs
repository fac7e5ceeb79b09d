//! From the files, the environment and the command line to a checked configuration.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use crate::archive;
use crate::build;
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
use crate::schema::File;
use crate::secret;
use crate::tree::{Node, Value};
use crate::workspace;

/// A checked configuration and what belongs to it.
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// What a person should know although nothing is wrong, one sentence each.
    pub notices: Vec<String>,
    /// What is wrong with parts that stay out of service while the rest runs, such as a workspace. A check of the
    /// files fails for them, a start does not.
    pub parts: Problems,
    /// Every file that it was read from, and those that may come.
    pub watched: Vec<PathBuf>,
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
    load_texts(home, overrides, &Texts::default())
}

/// Texts in the place of what files hold, to see what would come of them.
#[derive(Default)]
pub(crate) struct Texts<'a>(pub(crate) BTreeMap<PathBuf, &'a str>);

impl Texts<'_> {
    /// The text of a file without its BOM; `None` where there is no such file.
    pub(crate) fn read(&self, path: &Path, name: &str) -> Result<Option<String>, Problem> {
        match self.0.get(path) {
            Some(text) => Ok(Some((*text).to_owned())),
            None => file::read(path, name),
        }
    }
}

/// The same, with some texts in the place of files.
pub(crate) fn load_texts(
    home: &Home,
    overrides: &Overrides,
    texts: &Texts<'_>,
) -> Result<Loaded, Problems> {
    let missing = || Problem {
        file: GATEWAY.to_owned(),
        message: format!("there is no such file in {}", home.root().display()),
        hint: Some("make one with `moltctl init`".to_owned()),
        ..Problem::default()
    };
    let text = texts.read(&home.gateway_file(), GATEWAY);
    let text = text
        .and_then(|text| text.ok_or_else(missing))
        .map_err(|problem| Problems(vec![problem]))?;
    let mut problems = Problems::default();
    let mut notices = Vec::new();
    let references = References {
        home,
        env: &overrides.env,
        files: Default::default(),
        bounds: None,
    };

    // one tree of all layers, each value with its origin
    let auth = match texts.0.get(&home.auth_file()) {
        Some(text) => secret::parse(text, &mut problems),
        None => secret::read(home, &mut problems),
    };
    let file = match file::parse_yaml(&text, GATEWAY, &mut problems).and_then(map) {
        Ok(file) => file,
        Err(problem) => {
            problems.push(problem);
            return Err(problems.sorted());
        }
    };
    let mut tree = file.clone();
    secret::lay_over(&mut tree, &auth, "");
    overrides.lay_over(&mut tree, &mut problems, &mut notices);

    // what is wrong is reported and taken out, so that the rest can be looked at
    tree.drop_nulls(is_free);
    check::refuse_later(&mut tree, File::Gateway, &mut problems);
    expand(
        &mut tree,
        &references,
        secret::is_secret::<String>,
        &mut problems,
    );
    check::against_schema(&mut tree, File::Gateway, &mut problems);
    let mut form: Form = match form(&tree) {
        Ok(form) => form,
        Err(problem) => {
            problems.push(problem);
            return Err(problems.sorted());
        }
    };
    build::complete(&mut form.models);
    form.store.url = Some(build::store_url(form.store.url.take(), home));
    let in_force = serde_json::to_value(&form).unwrap_or_default();

    let credentials = (0..form.models.len())
        .map(|index| credential::of_model(&tree, index, &auth, "", &references, &mut problems))
        .collect();
    let defaults = form.model.defaults.clone();
    let mut config = build::build(form, credentials, &tree, &mut problems);
    let lists = config.filters.read(home, texts, &tree, &mut problems);
    let archive = config.logs.archive.take();
    config.archive = archive::build(archive.as_ref(), &tree, &references, &mut problems);
    config.skill_secrets = secret::of_skills(&auth, &references, &mut problems);
    let read = workspace::Reader {
        home,
        env: &overrides.env,
        texts,
        auth: &auth,
        shared: &config,
        defaults: &defaults,
    }
    .all();
    config.workspaces = read.workspaces;
    if !problems.0.is_empty() {
        // all that can be told is told at once
        problems.0.extend(read.problems.0);
        return Err(problems.sorted());
    }
    let mut watched = vec![home.gateway_file(), home.auth_file(), home.key_file()];
    watched.extend(references.files.into_inner());
    watched.extend(lists);
    watched.extend(read.watched);
    Ok(Loaded {
        config,
        notices,
        parts: read.problems.sorted(),
        watched,
        form: in_force,
        tree,
        file,
    })
}

/// A file as a map; comments alone are an empty one.
pub(crate) fn map(tree: Node) -> Result<Node, Problem> {
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
pub(crate) fn is_free(key: &str) -> bool {
    matches!(key, "params" | "chat" | "code" | "multimodal" | "embedding")
}

/// The form of a file whose tree the schema let pass.
///
/// # Errors
/// What the types refuse all the same.
pub(crate) fn form<T: DeserializeOwned>(tree: &Node) -> Result<T, Problem> {
    serde_json::from_value(tree.to_json()).map_err(|error| Problem {
        file: tree.origin.file.to_string(),
        message: error.to_string(),
        ..Problem::default()
    })
}

/// Replaces references everywhere but in secrets, which are read on their own.
pub(crate) fn expand(
    tree: &mut Node,
    references: &References<'_>,
    is_secret: fn(&[String]) -> bool,
    problems: &mut Problems,
) {
    let mut failed = Vec::new();
    tree.leaves(&mut |path, node| {
        if let Value::Text(text) = &mut node.value
            && text.contains("${")
            && !is_secret(path)
        {
            match references.expand(text, &node.origin.file) {
                Ok(expanded) => *text = expanded,
                Err(error) => failed.push((path.to_vec(), error.message())),
            }
        }
    });
    for (path, message) in failed {
        problems.push(problem_at(tree, &path, message, None));
    }
}

#[cfg(test)]
mod tests;
