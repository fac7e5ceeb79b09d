//! Switching channels on and off in `channels.toml`: one value changes, all else stays as it is written.

use toml_edit::{DocumentMut, Item, value};

use super::{EditError, Editor, refuse};
use crate::file;
use crate::problem::Problems;
use crate::write;

impl Editor<'_> {
    /// Switches a channel of the workspace on or off.
    ///
    /// # Errors
    /// [`EditError`]; `NotThere` where the file has no such channel. Nothing was written then.
    pub fn enable_channel(&self, name: &str, on: bool) -> Result<(), EditError> {
        let workspace = self.workspace.unwrap_or("default");
        let path = self.home.channels_file_of(workspace);
        let shown = self.home.relative(&path);
        let none = || EditError::NotThere(format!("{shown} has no channel `{name}`"));
        let io = |source| EditError::Io {
            path: path.clone(),
            source,
        };
        let read = || {
            let text = file::read(&path, &shown);
            text.map_err(|problem| EditError::from(Problems(vec![problem])))
        };
        // before the lock, which makes a folder: a home that is none stays as it is
        read()?.ok_or_else(none)?;
        let _lock = write::lock(self.home).map_err(io)?;
        let before = read()?.ok_or_else(none)?;
        let mut document: DocumentMut = match before.parse() {
            Ok(document) => document,
            Err(error) => return refuse(&format!("{shown} is no TOML: {error}")),
        };
        let channel = document
            .get_mut("channel")
            .and_then(|channels| channels.get_mut(name))
            .and_then(Item::as_table_like_mut)
            .ok_or_else(none)?;
        match channel.get_mut("enabled") {
            Some(Item::Value(enabled)) => {
                let decor = enabled.decor().clone();
                *enabled = on.into();
                *enabled.decor_mut() = decor;
            }
            _ => {
                channel.insert("enabled", value(on));
            }
        }
        let after = document.to_string();
        self.check(&path, &after)?;
        if after == before {
            return Ok(());
        }
        write::replace(&path, &after).map_err(io)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use crate::{EditError, Editor, Home, InitOptions, Overrides, init};

    #[test]
    fn a_channel_is_switched_and_every_other_byte_stays() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::new(folder.path());
        init(&home, &InitOptions::default()).unwrap();
        let written = "# ours\n[channel.web]\nenabled   = false # not yet\nallow = [ \"*\" ]\n\n[channel.x]\nkind = \"web\"\n";
        fs::write(home.channels_file(), written).unwrap();
        let overrides = Overrides::default();
        let editor = Editor::new(&home, &overrides);
        editor.enable_channel("web", true).unwrap();
        let text = fs::read_to_string(home.channels_file()).unwrap();
        assert_eq!(text, written.replace("false", "true"));
        editor.enable_channel("x", false).unwrap();
        let text = fs::read_to_string(home.channels_file()).unwrap();
        assert!(
            text.ends_with("kind = \"web\"\nenabled = false\n"),
            "{text}"
        );
        let none = editor.enable_channel("y", true);
        assert!(matches!(none, Err(EditError::NotThere(_))), "{none:?}");
    }
}
