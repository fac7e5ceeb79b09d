//! Changes of `models/auth.json`: the order of its keys stays, and no other entry is touched.

use serde_json::{Map, Value as Json};

use super::{EditError, Editor};
use crate::file;
use crate::home::AUTH;
use crate::load::load;
use crate::problem::{Problem, Problems};
use crate::write;

impl Editor<'_> {
    /// Sets keys of a credential, the entry of a model or a profile; its other keys stay, unless its `type`
    /// becomes another. A new file gets mode 0600.
    ///
    /// # Errors
    /// [`EditError`]; nothing was written then.
    pub fn set_credential(&self, entry: &str, keys: &[(&str, &str)]) -> Result<(), EditError> {
        self.edit_secrets(|entries| {
            let kind = keys.iter().find(|(key, _)| *key == "type");
            let mut old = match entries.get(entry) {
                Some(Json::Object(old)) => old.clone(),
                _ => Map::new(),
            };
            let before = old.get("type").and_then(Json::as_str);
            if before.is_some() && kind.is_some_and(|(_, kind)| before != Some(*kind)) {
                old.clear();
            }
            for (key, value) in keys {
                old.insert((*key).to_owned(), (*value).into());
            }
            entries.insert(entry.to_owned(), old.into());
            Ok(())
        })
    }

    /// Takes a credential out.
    ///
    /// # Errors
    /// [`EditError`], also where there is none; nothing was written then.
    pub fn remove_credential(&self, entry: &str) -> Result<(), EditError> {
        self.edit_secrets(|entries| match entries.shift_remove(entry) {
            Some(_) => Ok(()),
            None => Err(EditError::NotThere(format!(
                "{AUTH} has no entry \"{entry}\""
            ))),
        })
    }

    /// Takes all entries of a workspace out, where there are any.
    ///
    /// # Errors
    /// [`EditError`]; nothing was written then.
    pub fn remove_credentials_of(&self, workspace: &str) -> Result<(), EditError> {
        let scope = format!("{workspace}/");
        // a shared model may have such a name
        let kept = load(self.home, self.overrides).map(|loaded| loaded.config.models);
        let kept = kept.unwrap_or_default();
        let goes = |name: &String| {
            name.starts_with(&scope) && !kept.iter().any(|model| model.name == *name)
        };
        let any = file::read(&self.home.auth_file(), AUTH);
        if !any.is_ok_and(|text| text.is_some_and(|text| text.contains(&scope))) {
            return Ok(());
        }
        self.edit_secrets(|entries| {
            entries.retain(|name, _| !goes(name));
            Ok(())
        })
    }

    /// Reads, changes, checks, writes.
    fn edit_secrets(
        &self,
        change: impl FnOnce(&mut Map<String, Json>) -> Result<(), EditError>,
    ) -> Result<(), EditError> {
        let path = self.home.auth_file();
        let io = |source| EditError::Io {
            path: path.clone(),
            source,
        };
        // before the lock, which makes a folder: a home that is none stays as it is
        self.read()?;
        let _lock = write::lock(self.home).map_err(io)?;
        let problem = |problem: Problem| EditError::Invalid(Problems(vec![problem]));
        let before = file::read(&path, AUTH).map_err(problem)?;
        let mut entries: Map<String, Json> = match &before {
            None => Map::new(),
            Some(text) => serde_json::from_str(text).map_err(|error| {
                problem(Problem {
                    file: AUTH.to_owned(),
                    line: error.line(),
                    column: error.column(),
                    message: "is no map in JSON".to_owned(),
                    hint: Some("mend it by hand first".to_owned()),
                    ..Problem::default()
                })
            })?,
        };
        change(&mut entries)?;
        let after = format!("{:#}\n", Json::Object(entries));
        self.check(&path, &after)?;
        if let Some(folder) = path.parent() {
            write::private_dir(folder).map_err(io)?;
        }
        write::replace(&path, &after).map_err(io)
    }
}
