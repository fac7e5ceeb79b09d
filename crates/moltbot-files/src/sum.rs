//! Checksums of pulled files, kept beside them.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};

use crate::error::{FilesError, disk};

/// What is known of a pulled file: `.NAME.json` beside it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Note {
    /// SHA-256 in hexadecimal digits.
    pub(crate) sha256: String,
    /// Bytes.
    pub(crate) size: u64,
    /// Where it came from, without what may be secret.
    pub(crate) source: String,
    /// What the source called this version of it.
    pub(crate) tag: Option<String>,
}

impl Note {
    pub(crate) fn path(file: &Path) -> PathBuf {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        file.with_file_name(format!(".{name}.json"))
    }

    pub(crate) fn of(file: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(Self::path(file)).ok()?).ok()
    }

    pub(crate) fn write(&self, file: &Path) -> Result<(), FilesError> {
        let path = Self::path(file);
        let new = path.with_extension("json.new");
        let text = serde_json::to_vec_pretty(self)
            .map_err(|error| FilesError::Failed(error.to_string()))?;
        let write = || {
            let mut to = File::create(&new)?;
            to.write_all(&text)?;
            to.sync_all()?;
            std::fs::rename(&new, &path)
        };
        write().map_err(disk(&path))
    }
}

/// The SHA-256 of a file, in hexadecimal digits; `read` hears how many bytes are done.
///
/// # Errors
/// The file can't be read.
pub fn sha256(file: &Path, read: &dyn Fn(u64)) -> io::Result<String> {
    let mut file = File::open(file)?;
    let mut context = Context::new(&SHA256);
    let mut buffer = vec![0; 1 << 20];
    let mut done = 0;
    loop {
        let length = file.read(&mut buffer)?;
        if length == 0 {
            return Ok(hex::encode(context.finish()));
        }
        context.update(&buffer[..length]);
        done += length as u64;
        read(done);
    }
}

/// How a pulled file is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// Its name in the folder.
    pub name: String,
    /// How it is.
    pub state: State,
}

/// How a pulled file is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// What was pulled.
    Whole,
    /// Its bytes are others than those that were pulled.
    Damaged,
    /// It is gone.
    Gone,
    /// It was put there by hand: there is no sum to compare it with.
    Unknown,
}

impl State {
    /// Its word for people and programs.
    pub fn word(self) -> &'static str {
        match self {
            Self::Whole => "ok",
            Self::Damaged => "damaged",
            Self::Gone => "gone",
            Self::Unknown => "no checksum",
        }
    }
}

impl Checked {
    /// Whether nothing is known to be wrong with it.
    pub fn is_whole(&self) -> bool {
        matches!(self.state, State::Whole | State::Unknown)
    }
}

/// Compares the files of a folder, or the named one, with the sums taken when they were pulled.
///
/// # Errors
/// [`FilesError::Missing`]: there is no file of that name. Otherwise the folder or a file can't be read.
pub fn verify(folder: &Path, name: Option<&str>) -> Result<Vec<Checked>, FilesError> {
    let mut names = names(folder)?;
    if let Some(name) = name {
        // a model may be named as it is pulled, with its path
        let name = Path::new(name)
            .file_name()
            .unwrap_or_default()
            .to_string_lossy();
        names.retain(|known| *known == name);
        if names.is_empty() {
            return Err(FilesError::Missing(format!(
                "there is no file `{name}` in {}; moltctl model verify without a name checks all",
                folder.display()
            )));
        }
    }
    names.into_iter().map(|name| check(folder, name)).collect()
}

fn check(folder: &Path, name: String) -> Result<Checked, FilesError> {
    let file = folder.join(&name);
    let state = match Note::of(&file) {
        _ if !file.exists() => State::Gone,
        None => State::Unknown,
        Some(note) => {
            let length = std::fs::metadata(&file).map_err(disk(&file))?.len();
            let whole =
                length == note.size && sha256(&file, &|_| ()).map_err(disk(&file))? == note.sha256;
            if whole { State::Whole } else { State::Damaged }
        }
    };
    Ok(Checked { name, state })
}

/// Files, and those that are gone but noted; parts of pulls under way are neither.
fn names(folder: &Path) -> Result<Vec<String>, FilesError> {
    let mut names = Vec::new();
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(names),
        Err(error) => return Err(disk(folder)(error)),
    };
    for entry in entries {
        let entry = entry.map_err(disk(folder))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        match name.strip_prefix('.') {
            Some(hidden) => names.extend(hidden.strip_suffix(".json").map(str::to_owned)),
            None if entry.path().is_file() => names.push(name),
            None => {}
        }
    }
    names.sort();
    names.dedup();
    Ok(names)
}
