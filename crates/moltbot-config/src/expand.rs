//! `${env:NAME}`, `${file:PATH}` and `${data}` in texts.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{ErrorKind, Read};
use std::path::PathBuf;

use crate::home::Home;

/// Where references lead, and which files they have led to.
pub(crate) struct References<'a> {
    pub(crate) home: &'a Home,
    pub(crate) env: &'a BTreeMap<String, String>,
    /// Every file that was named, found or not.
    pub(crate) files: RefCell<BTreeSet<PathBuf>>,
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
    pub(crate) fn expand(&self, text: &str) -> Result<String, Failed> {
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
            expanded.push_str(&self.value(name)?);
            rest = after;
        }
        expanded.push_str(rest);
        Ok(expanded)
    }

    fn value(&self, name: &str) -> Result<String, Failed> {
        if name == "data" {
            return Ok(self.home.data_dir().display().to_string());
        }
        match name.split_once(':') {
            Some(("env", name)) if !name.is_empty() => self
                .env
                .get(name)
                .map(|value| trim(value).to_owned())
                .ok_or_else(|| Failed::Missing(format!("the variable {name} is not set"))),
            Some(("file", path)) if !path.is_empty() => self.file(path),
            _ => Err(Failed::Broken(format!(
                "`${{{name}}}` is no reference; write ${{env:NAME}}, ${{file:PATH}} or ${{data}}"
            ))),
        }
    }

    fn file(&self, path: &str) -> Result<String, Failed> {
        let path = self.home.root().join(path);
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
        };
        references
            .expand(text)
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
}
