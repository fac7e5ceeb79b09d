//! What may be wrong with a house, and what to do about it.
//!
//! A check is a function over [`Facts`]; a new one is a line in [`Facts::security`] or beside it.

mod security;

use std::path::PathBuf;

use jiff::Timestamp;
use moltbot_config::{Config, Home, Loaded};
use moltbot_store::keys::KeyRecord;
use moltbot_types::admin::Check;

pub(crate) use security::mend;

/// What checks look at.
pub(crate) struct Facts<'a> {
    /// The home.
    pub(crate) home: &'a Home,
    /// What its files say.
    pub(crate) loaded: &'a Loaded,
    /// The keys of its store, where it could be opened.
    pub(crate) keys: Option<Vec<KeyRecord>>,
    /// Now.
    pub(crate) now: Timestamp,
}

impl Facts<'_> {
    fn config(&self) -> &Config {
        &self.loaded.config
    }

    /// Checks of every look at a house.
    pub(crate) fn general(&self) -> Vec<Check> {
        let parts = &self.loaded.parts.0;
        vec![match parts.first() {
            None => ok("config.files", "every file is valid"),
            Some(problem) => fail(
                "config.files",
                format!("{} problems, the first: {problem}", parts.len()),
                "mend the files; `moltctl config validate` names all problems",
            ),
        }]
    }

    /// Checks of its security.
    pub(crate) fn security(&self) -> Vec<Check> {
        security::ALL.iter().map(|check| check(self)).collect()
    }
}

/// All is well.
fn ok(id: &str, what: impl Into<String>) -> Check {
    Check {
        id: id.to_owned(),
        status: "ok".to_owned(),
        what: what.into(),
        cure: String::new(),
    }
}

/// It wants a look.
fn warn(id: &str, what: impl Into<String>, cure: impl Into<String>) -> Check {
    Check {
        status: "warn".to_owned(),
        cure: cure.into(),
        ..ok(id, what)
    }
}

/// It must be mended.
fn fail(id: &str, what: impl Into<String>, cure: impl Into<String>) -> Check {
    Check {
        status: "fail".to_owned(),
        ..warn(id, what, cure)
    }
}

/// Paths in words.
fn list(paths: &[PathBuf]) -> String {
    let paths: Vec<_> = paths
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    paths.join(", ")
}
