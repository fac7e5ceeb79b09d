mod channels;
mod filters;
mod instance;
mod layers;
mod problems;
mod secrets;
mod store;
mod values;
mod workspaces;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use secrecy::ExposeSecret;
use tempfile::TempDir;

use super::*;
use crate::config::{Auth, AuthMode, ModelKind, Provider, Role, Strategy};

/// A home with that `gateway.yaml`.
struct Bench {
    dir: TempDir,
    overrides: Overrides,
}

fn bench(yaml: &str) -> Bench {
    let dir = tempfile::tempdir().unwrap();
    for folder in ["config", "models", "workspace"] {
        fs::create_dir(dir.path().join(folder)).unwrap();
    }
    fs::write(dir.path().join(GATEWAY), yaml).unwrap();
    Bench {
        dir,
        overrides: Overrides::default(),
    }
}

impl Bench {
    fn file(self, name: &str, text: &str) -> Self {
        let path = self.dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        self
    }

    fn env(mut self, name: &str, value: &str) -> Self {
        self.overrides.env.insert(name.into(), value.into());
        self
    }

    fn flag(mut self, key: &str, value: &str) -> Self {
        self.overrides.flags.push((key.into(), value.into()));
        self
    }

    fn load(&self) -> Result<Loaded, Problems> {
        load(&Home::new(self.dir.path()), &self.overrides)
    }

    fn config(&self) -> Config {
        self.load()
            .unwrap_or_else(|problems| panic!("{problems}"))
            .config
    }

    fn problems(&self) -> Vec<String> {
        let problems = self.load().expect_err("the file should be refused");
        problems.0.iter().map(ToString::to_string).collect()
    }

    /// What is wrong with parts that stay out of service.
    fn parts(&self) -> Vec<String> {
        let parts = self.load().unwrap().parts;
        parts.0.iter().map(ToString::to_string).collect()
    }

    /// The one such problem.
    fn part(&self) -> String {
        let parts = self.parts();
        assert_eq!(parts.len(), 1, "{parts:#?}");
        parts.into_iter().next().unwrap()
    }

    /// The one problem.
    fn problem(&self) -> String {
        let problems = self.problems();
        assert_eq!(problems.len(), 1, "{problems:#?}");
        problems.into_iter().next().unwrap()
    }
}

const LOCAL: &str = "models: [{name: m, endpoint: 'http://h/v1'}]\n";
const CHANNELS_FILE: &str = "workspace/channels.toml";
