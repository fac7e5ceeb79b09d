//! Workspaces: each with its own models, policy and channels, read so that a mistake in one harms no other.

mod make;

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use crate::build;
use crate::channel::{self, Channel, ChannelsForm, Scene};
use crate::check;
use crate::config::{Config, Model};
use crate::credential;
use crate::expand::{Bounds, References};
use crate::file;
use crate::form::{Defaults, ModelsForm};
use crate::home::{DEFAULT, Home};
use crate::load::{self, Texts};
use crate::policy::Policy;
use crate::problem::{Problem, Problems};
use crate::report::{Report, problem_at};
use crate::schema::File;
use crate::secret;
use crate::tree::Node;

pub use make::{WorkspaceError, choose, create, current, delete};

/// A workspace.
#[derive(Clone, Debug, Default)]
pub struct Workspace {
    /// Its name; unique.
    pub name: String,
    /// What its callers meet; `None` where `models.yaml` or `policy.yaml` is invalid.
    pub rules: Option<Rules>,
    /// Its channels, in the order of the file; `None` where `channels.toml` is invalid.
    pub channels: Option<Vec<Channel>>,
}

/// What the callers of a workspace meet.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// Its own models, in the order of the file. No shared model has such a name.
    pub models: Vec<Model>,
    /// What it may use, and how much.
    pub policy: Policy,
}

/// Whether a workspace can have that name: up to 64 small letters, digits, `-` and `_`, the first of them no mark.
///
/// ```
/// use moltbot_config::workspace::is_name;
/// assert!(is_name("finance-team"));
/// assert!(!is_name("Finance") && !is_name("../x") && !is_name("") && !is_name("-x"));
/// ```
pub fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let fits = |byte: u8| plain(byte) || matches!(byte, b'-' | b'_');
    name.len() <= 64 && name.bytes().next().is_some_and(plain) && name.bytes().all(fits)
}

/// The names of the workspaces that a home has, `default` first, then in order.
///
/// # Errors
/// Folders that cannot be read, or that have a name which no workspace can have.
pub fn names(home: &Home) -> (Vec<String>, Problems) {
    let mut problems = Problems::default();
    let problem = |file: String, message: String, hint: &str| Problem {
        file,
        message,
        hint: Some(hint.to_owned()),
        ..Problem::default()
    };
    let mut names = Vec::new();
    let entries = match fs::read_dir(home.workspaces_dir()) {
        Ok(entries) => Some(entries),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => {
            let message = format!("cannot be read: {error}");
            problems.push(problem(
                "workspaces".to_owned(),
                message,
                "give this user the right to read it",
            ));
            None
        }
    };
    for entry in entries.into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') || name == DEFAULT || !entry.path().is_dir() {
            continue;
        }
        if is_name(&name) {
            names.push(name);
        } else {
            problems.push(problem(
                format!("workspaces/{name}"),
                "is no name of a workspace".to_owned(),
                "rename the folder: up to 64 small letters, digits, `-` and `_`",
            ));
        }
    }
    names.sort();
    names.insert(0, DEFAULT.to_owned());
    (names, problems)
}

/// What all workspaces share, and where their files are read.
pub(crate) struct Reader<'a> {
    pub(crate) home: &'a Home,
    pub(crate) env: &'a std::collections::BTreeMap<String, String>,
    pub(crate) texts: &'a Texts<'a>,
    /// The entries of `auth.json`.
    pub(crate) auth: &'a Node,
    /// The checked configuration.
    pub(crate) shared: &'a Config,
    /// Default params by kind.
    pub(crate) defaults: &'a Defaults,
}

/// What was read of all workspaces.
#[derive(Default)]
pub(crate) struct Read {
    pub(crate) workspaces: Vec<Workspace>,
    pub(crate) problems: Problems,
    pub(crate) watched: Vec<PathBuf>,
}

impl Reader<'_> {
    pub(crate) fn all(&self) -> Read {
        let (names, problems) = names(self.home);
        let mut read = Read {
            problems,
            watched: vec![self.home.workspaces_dir(), self.home.skills_dir()],
            ..Read::default()
        };
        for name in &names {
            let workspace = self.one(name, &names, &mut read);
            read.workspaces.push(workspace);
        }
        read
    }

    fn one(&self, name: &str, all: &[String], read: &mut Read) -> Workspace {
        let is_default = name == DEFAULT;
        let references = References {
            home: self.home,
            env: self.env,
            files: Default::default(),
            bounds: (!is_default).then_some(Bounds {
                workspace: name,
                all,
            }),
        };
        let scope = if is_default {
            String::new()
        } else {
            format!("{name}/")
        };
        let mut problems = Problems::default();
        let models = self.models(name, &scope, &references, &mut problems);
        let policy = self.policy(name, &references, &mut problems);
        let rules = match (models, policy) {
            (Some(models), Some(policy)) if problems.0.is_empty() => Some(Rules { models, policy }),
            _ => None,
        };
        read.problems.0.append(&mut problems.0);

        let channels = self.channels(name, &scope, rules.as_ref(), &references, &mut problems);
        let channels = channels.filter(|_| problems.0.is_empty());
        read.problems.0.append(&mut problems.0);

        read.watched.extend([
            self.home.workspace_dir(name),
            self.home.models_file(name),
            self.home.policy_file(name),
            self.home.channels_file_of(name),
            self.home.workspace_skills_dir(name),
        ]);
        read.watched.extend(references.files.into_inner());
        Workspace {
            name: name.to_owned(),
            rules,
            channels,
        }
    }

    /// Its own models. Their names begin with `scope` in `auth.json`.
    fn models(
        &self,
        name: &str,
        scope: &str,
        references: &References<'_>,
        problems: &mut Problems,
    ) -> Option<Vec<Model>> {
        let path = self.home.models_file(name);
        let Some(mut tree) = self.tree(&path, File::Models, problems)? else {
            return Some(Vec::new());
        };
        secret::lay_over(&mut tree, self.auth, scope);
        tree.drop_nulls(load::is_free);
        if name != DEFAULT {
            refuse_instances(&mut tree, problems);
        }
        let is_secret = secret::is_secret::<String>;
        let mut form: ModelsForm =
            self.form(&mut tree, File::Models, references, is_secret, problems)?;
        build::complete(&mut form.models);
        let auth = (0..form.models.len())
            .map(|at| credential::of_model(&tree, at, self.auth, scope, references, problems))
            .collect();
        let shared = self.shared_names();
        let mut report = Report::new(&tree, problems);
        for (index, model) in form.models.iter().enumerate() {
            let path = ["models", &index.to_string(), "name"];
            if shared.contains(&&*model.name) {
                report.say(&path, "a shared model has that name", "choose another");
            } else if !scope.is_empty() && shared.contains(&&*format!("{scope}{}", model.name)) {
                report.say(
                    &path,
                    format!(
                        "its entry in auth.json is that of the shared model {scope}{}",
                        model.name
                    ),
                    "choose another name",
                );
            }
        }
        let models = build::models(&form.models, auth, &shared, self.defaults, &mut report);
        Some(models)
    }

    fn policy(
        &self,
        name: &str,
        references: &References<'_>,
        problems: &mut Problems,
    ) -> Option<Policy> {
        let path = self.home.policy_file(name);
        let Some(mut tree) = self.tree(&path, File::Policy, problems)? else {
            return Some(Policy::default());
        };
        tree.drop_nulls(|_| false);
        let policy: Policy = self.form(&mut tree, File::Policy, references, |_| false, problems)?;
        let skills = folders(&self.home.skills_dir());
        let own = folders(&self.home.workspace_skills_dir(name));
        let skills: Vec<_> = skills.iter().chain(&own).map(String::as_str).collect();
        policy.check(
            &self.shared_names(),
            &skills,
            &self.shared.filters.names(),
            &mut Report::new(&tree, problems),
        );
        Some(policy)
    }

    fn channels(
        &self,
        name: &str,
        scope: &str,
        rules: Option<&Rules>,
        references: &References<'_>,
        problems: &mut Problems,
    ) -> Option<Vec<Channel>> {
        let path = self.home.channels_file_of(name);
        let stray = self.home.workspace_dir(name).join("channels.toml");
        if stray != path && stray.exists() {
            problems.push(Problem {
                file: self.home.relative(&stray),
                message: format!("channels of {name} do not stand here"),
                hint: Some(format!("move it to {}", self.home.relative(&path))),
                ..Problem::default()
            });
        }
        let Some(mut tree) = self.tree(&path, File::Channels, problems)? else {
            return Some(Vec::new());
        };
        secret::lay_over_channels(&mut tree, self.auth, scope);
        let is_secret = secret::is_channels::<String>;
        let form: ChannelsForm =
            self.form(&mut tree, File::Channels, references, is_secret, problems)?;
        let shared = self.shared_names();
        let models = rules.map(|rules| {
            let own = rules.models.iter().map(|model| &*model.name);
            let (may, may_not): (Vec<_>, Vec<_>) = shared
                .iter()
                .copied()
                .partition(|name| rules.policy.allows_model(name));
            (may.into_iter().chain(own).collect::<Vec<_>>(), may_not)
        });
        let scene = Scene {
            references,
            entry: scope,
            models: models.as_ref().map(|(may, may_not)| (&**may, &**may_not)),
        };
        Some(channel::build(form, &tree, &scene, problems))
    }

    /// A file as a map; `Some(None)` where there is none, and `None` where it cannot be read.
    fn tree(&self, path: &Path, file: File, problems: &mut Problems) -> Option<Option<Node>> {
        let name = self.home.relative(path);
        let tree = self.texts.read(path, &name).and_then(|text| {
            let Some(text) = text else { return Ok(None) };
            let tree = match file {
                File::Channels => file::parse_toml(&text, &name)?,
                _ => file::parse_yaml(&text, &name, problems)?,
            };
            load::map(tree).map(Some)
        });
        tree.map_err(|problem| problems.push(problem)).ok()
    }

    /// What is wrong is reported and taken out, so that the rest can be looked at.
    fn form<T: DeserializeOwned>(
        &self,
        tree: &mut Node,
        file: File,
        references: &References<'_>,
        is_secret: fn(&[String]) -> bool,
        problems: &mut Problems,
    ) -> Option<T> {
        check::refuse_later(tree, file, problems);
        load::expand(tree, references, is_secret, problems);
        check::against_schema(tree, file, problems);
        let form = load::form(tree);
        form.map_err(|problem| problems.push(problem)).ok()
    }

    fn shared_names(&self) -> Vec<&str> {
        let models = self.shared.models.iter();
        models.map(|model| &*model.name).collect()
    }
}

/// Servers run as this user, with its files and variables: only who owns the home starts some.
fn refuse_instances(tree: &mut Node, problems: &mut Problems) {
    let count = tree.get("models").map_or(0, |models| models.items().len());
    for index in 0..count {
        let path = ["models", &index.to_string(), "instance"];
        if tree.find(&path).is_some() {
            problems.push(problem_at(
                tree,
                &path,
                "only config/gateway.yaml may start servers",
                Some("write the model there, or give its `endpoint`".to_owned()),
            ));
            tree.remove(&path);
        }
    }
}

/// The names of the folders in `path`.
fn folders(path: &Path) -> Vec<String> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}

impl Workspace {
    /// Whether all its files are valid.
    pub fn is_whole(&self) -> bool {
        self.rules.is_some() && self.channels.is_some()
    }
}
