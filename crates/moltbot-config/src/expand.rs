//! `${env:NAME}`, `${file:PATH}` and `${data}` in texts.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use crate::home::{AUTH, Home};

/// Where references lead, and which files they have led to.
pub(crate) struct References<'a> {
    pub(crate) home: &'a Home,
    pub(crate) env: &'a BTreeMap<String, String>,
    /// Every file that was named, found or not.
    pub(crate) files: RefCell<BTreeSet<PathBuf>>,
    /// Whose files they stand in, where those may not lead everywhere.
    pub(crate) bounds: Option<Bounds<'a>>,
}

/// What the files of a workspace may refer to: variables with its name, files of its own folder.
#[derive(Clone, Copy)]
pub(crate) struct Bounds<'a> {
    pub(crate) workspace: &'a str,
    /// All workspaces: a variable belongs to the one with the longest name that fits.
    pub(crate) all: &'a [String],
}

impl Bounds<'_> {
    fn env(&self, name: &str) -> Result<(), Failed> {
        let own = variables_of(self.workspace);
        let fits = |prefix: &String| name.len() > prefix.len() && name.starts_with(prefix);
        let mut others = self.all.iter().map(|other| variables_of(other));
        if fits(&own) && !others.any(|other| other.len() > own.len() && fits(&other)) {
            return Ok(());
        }
        Err(Failed::Broken(format!(
            "the variable {name} is not this workspace's; the names of its variables begin with {own}"
        )))
    }

    /// The file that `path` means: within its folder, relative to it or to the home.
    fn file(&self, home: &Home, path: &str) -> Result<PathBuf, Failed> {
        let folder = home.workspace_dir(self.workspace);
        let from_home = home.root().join(path);
        let file = if from_home.starts_with(&folder) {
            from_home
        } else {
            folder.join(path)
        };
        let real = fs::canonicalize(&file).unwrap_or_else(|_| file.clone());
        let within = fs::canonicalize(&folder).unwrap_or_else(|_| folder.clone());
        let plain = Path::new(path)
            .components()
            .all(|part| part != std::path::Component::ParentDir);
        let inside = real.starts_with(within) || real.starts_with(&folder);
        if plain && inside {
            return Ok(file);
        }
        Err(Failed::Broken(format!(
            "the file {path} is not this workspace's; its files stand in {}",
            folder.display()
        )))
    }
}

/// How the names of a workspace's variables begin: `MOLTBOT_FINANCE_TEAM_`.
pub(crate) fn variables_of(workspace: &str) -> String {
    format!("MOLTBOT_{}_", workspace.to_uppercase().replace('-', "_"))
}

/// Why a reference gives no text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Failed {
    /// What it names is not there.
    Missing(String),
    /// It is written wrong, or what it names cannot be used.
    Broken(String),
}

impl Failed {
    pub(crate) fn message(self) -> String {
        match self {
            Self::Missing(message) | Self::Broken(message) => message,
        }
    }
}

/// A secret file is short.
const LONGEST: u64 = 1 << 20;

impl References<'_> {
    /// The text with its references replaced. What they give is not looked at again; `$${` is a plain `${`.
    /// It stands in `file`; `auth.json` is the owner's, so that bounds do not hold for it.
    pub(crate) fn expand(&self, text: &str, file: &str) -> Result<String, Failed> {
        let bounds = self.bounds.filter(|_| file != AUTH);
        let mut expanded = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find("${") {
            let (before, reference) = rest.split_at(at);
            if let Some(before) = before.strip_suffix('$') {
                expanded.push_str(before);
                expanded.push_str("${");
                rest = &reference[2..];
                continue;
            }
            expanded.push_str(before);
            let (name, after) = reference[2..]
                .split_once('}')
                .ok_or_else(|| Failed::Broken("a `${` is never closed by `}`".to_owned()))?;
            expanded.push_str(&self.value(name, bounds)?);
            rest = after;
        }
        expanded.push_str(rest);
        Ok(expanded)
    }

    fn value(&self, name: &str, bounds: Option<Bounds<'_>>) -> Result<String, Failed> {
        if name == "data" {
            return Ok(self.home.data_dir().display().to_string());
        }
        match name.split_once(':') {
            Some(("env", name)) if !name.is_empty() => {
                bounds.map_or(Ok(()), |bounds| bounds.env(name))?;
                let value = self.env.get(name).map(|value| trim(value).to_owned());
                value.ok_or_else(|| Failed::Missing(format!("the variable {name} is not set")))
            }
            Some(("file", path)) if !path.is_empty() => self.file(match bounds {
                Some(bounds) => bounds.file(self.home, path)?,
                None => self.home.root().join(path),
            }),
            _ => Err(Failed::Broken(format!(
                "`${{{name}}}` is no reference; write ${{env:NAME}}, ${{file:PATH}} or ${{data}}"
            ))),
        }
    }

    fn file(&self, path: PathBuf) -> Result<String, Failed> {
        self.files.borrow_mut().insert(path.clone());
        let mut text = String::new();
        let read =
            fs::File::open(&path).and_then(|file| file.take(LONGEST + 1).read_to_string(&mut text));
        let shown = path.display();
        match read {
            Ok(length) if length as u64 > LONGEST => Err(Failed::Broken(format!(
                "the file {shown} is longer than 1 MiB"
            ))),
            Ok(_) => Ok(trim(&text).to_owned()),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Err(Failed::Missing(format!("there is no file {shown}")))
            }
            Err(error) => Err(Failed::Broken(format!(
                "the file {shown} cannot be read: {error}"
            ))),
        }
    }
}

/// Cuts a BOM and the blanks at both ends, which editors and shells leave.
pub(crate) fn trim(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text).trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expand(text: &str) -> Result<String, Failed> {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("secret"), "\u{feff} s3cret ${env:A} \r\n").unwrap();
        let home = Home::new(dir.path());
        let env = BTreeMap::from([("A".to_owned(), "${data}".to_owned())]);
        let references = References {
            home: &home,
            env: &env,
            files: RefCell::default(),
            bounds: None,
        };
        references
            .expand(text, "config/gateway.yaml")
            .map(|text| text.replace(&dir.path().display().to_string(), "HOME"))
    }

    #[test]
    fn references_give_text_that_is_not_expanded_again() {
        assert_eq!(expand("x${env:A}y").unwrap(), "x${data}y");
        assert_eq!(expand("${file:secret}").unwrap(), "s3cret ${env:A}");
        assert_eq!(expand("sqlite:${data}/db").unwrap(), "sqlite:HOME/data/db");
        assert_eq!(expand("a $ b } $${env:A}").unwrap(), "a $ b } ${env:A}");
    }

    #[test]
    fn what_is_missing_is_told_from_what_is_broken() {
        assert!(matches!(expand("${env:NONE}"), Err(Failed::Missing(_))));
        assert!(matches!(expand("${file:none}"), Err(Failed::Missing(_))));
        for broken in [
            "${env:A",
            "${}",
            "${env:}",
            "${ENV:A}",
            "${nonsense}",
            "${file:.}",
        ] {
            assert!(matches!(expand(broken), Err(Failed::Broken(_))), "{broken}");
        }
    }

    #[test]
    fn a_workspace_reads_its_own_variables_and_files_alone() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::new(dir.path());
        let folder = home.workspace_dir("a");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("own"), "mine").unwrap();
        fs::write(dir.path().join("other"), "theirs").unwrap();
        std::os::unix::fs::symlink(dir.path().join("other"), folder.join("link")).unwrap();
        let names = ["MOLTBOT_A_KEY", "MOLTBOT_A_B_KEY", "HOME"];
        let env = names.map(|name| (name.to_owned(), "v".to_owned())).into();
        let references = References {
            home: &home,
            env: &env,
            files: RefCell::default(),
            bounds: Some(Bounds {
                workspace: "a",
                all: &["a".to_owned(), "a-b".to_owned()],
            }),
        };
        let expand = |text: &str| references.expand(text, "workspaces/a/models.yaml");
        assert_eq!(expand("${env:MOLTBOT_A_KEY}").unwrap(), "v");
        assert_eq!(expand("${file:own}").unwrap(), "mine");
        assert_eq!(expand("${file:workspaces/a/own}").unwrap(), "mine");
        for text in [
            "${env:HOME}",
            "${env:MOLTBOT_A_B_KEY}",
            "${env:MOLTBOT_A_}",
            "${file:../../other}",
            "${file:link}",
            "${file:/etc/hostname}",
        ] {
            assert!(matches!(expand(text), Err(Failed::Broken(_))), "{text}");
        }
        // what the owner writes into `auth.json` may lead anywhere
        assert_eq!(references.expand("${env:HOME}", AUTH).unwrap(), "v");
    }
}
