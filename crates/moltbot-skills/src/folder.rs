//! A folder with a skill, read whole: nothing of it leads out of it.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::manifest::Manifest;
use crate::problem::{Problem, Problems};
use crate::worker::{File, Program, Syntax};

/// The manifest's file.
pub const MANIFEST: &str = "skill.yaml";
const MOST_FILES: usize = 256;
const MOST_BYTES: u64 = 4 << 20;
const DEEPEST: usize = 8;

/// What a folder says; whether its scripts can be read, a worker must see.
#[derive(Clone, Debug)]
pub struct Folder {
    /// Its manifest.
    pub manifest: Arc<Manifest>,
    /// Its texts, as they stand.
    pub program: Program,
    /// A digest of all of it: two folders with the same one are the same skill.
    pub digest: String,
}

/// All files of a folder, read once.
pub(crate) struct Content {
    /// Bytes by path below the folder.
    files: BTreeMap<String, Vec<u8>>,
    /// Changes when anything in the folder does, mistakes included.
    pub(crate) digest: String,
    problem: Option<Problem>,
}

/// Reads a folder. `label` is how errors call it: `skills/order-status`.
///
/// # Errors
/// Every mistake: a link or an entry that leads out, a manifest that is wrong, an entry that is missing.
pub fn read(folder: &Path, label: &str) -> Result<Folder, Problems> {
    content(folder, label).folder(label)
}

/// Reads the files of a folder.
pub(crate) fn content(folder: &Path, label: &str) -> Content {
    let mut content = Content {
        files: BTreeMap::new(),
        digest: String::new(),
        problem: None,
    };
    let gathered = within(folder).and_then(|root| gather(&root, &root, label, 0, &mut content));
    if let Err(problem) = gathered {
        let file = if problem.file.is_empty() {
            label.to_owned()
        } else {
            problem.file
        };
        content.problem = Some(Problem { file, ..problem });
    }
    let mut hash = blake3::Hasher::new();
    for (path, bytes) in &content.files {
        hash.update(&(path.len() as u64).to_le_bytes());
        hash.update(path.as_bytes());
        hash.update(&(bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    }
    if let Some(problem) = &content.problem {
        hash.update(problem.to_string().as_bytes());
    }
    content.digest = hash.finalize().to_hex().to_string();
    content
}

/// The folder's own path; it must not be a link to somewhere else.
fn within(folder: &Path) -> Result<PathBuf, Problem> {
    let unreadable = |error: io::Error| Problem::of_file("", format!("can't be read: {error}"));
    let root = folder.canonicalize().map_err(unreadable)?;
    let shelf = folder.parent().unwrap_or(folder);
    let shelf = shelf.canonicalize().map_err(unreadable)?;
    match root.starts_with(shelf) {
        true => Ok(root),
        false => Err(Problem::of_file(
            "",
            "is a link that leads out: copy the folder here",
        )),
    }
}

fn gather(
    root: &Path,
    folder: &Path,
    label: &str,
    depth: usize,
    content: &mut Content,
) -> Result<(), Problem> {
    let entries = fs::read_dir(folder)
        .map_err(|error| Problem::of_file("", format!("can't be read: {error}")))?;
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(name) = name.to_str().filter(|name| !name.starts_with('.')) else {
            continue;
        };
        let path = folder.join(name);
        let below = path.strip_prefix(root).unwrap_or(&path);
        let below = below.to_string_lossy().into_owned();
        let wrong = |what: String| Problem::of_file(format!("{label}/{below}"), what);
        let real = path
            .canonicalize()
            .map_err(|error| wrong(format!("can't be read: {error}")))?;
        if !real.starts_with(root) {
            return Err(wrong(
                "is a link that leads out of the skill's folder".to_owned(),
            ));
        }
        let facts = real
            .metadata()
            .map_err(|error| wrong(format!("can't be read: {error}")))?;
        if facts.is_dir() {
            if depth >= DEEPEST {
                return Err(wrong(format!("lies deeper than {DEEPEST} folders")));
            }
            gather(root, &path, label, depth + 1, content)?;
        } else if facts.is_file() {
            let so_far: usize = content.files.values().map(Vec::len).sum();
            if content.files.len() >= MOST_FILES || so_far as u64 + facts.len() > MOST_BYTES {
                let most = MOST_BYTES >> 20;
                return Err(wrong(format!(
                    "is too much: a skill has at most {MOST_FILES} files and {most} MiB"
                )));
            }
            let bytes =
                fs::read(&real).map_err(|error| wrong(format!("can't be read: {error}")))?;
            content.files.insert(below, bytes);
        }
    }
    Ok(())
}

impl Content {
    /// What the files say.
    pub(crate) fn folder(self, label: &str) -> Result<Folder, Problems> {
        if let Some(problem) = self.problem {
            return Err(problem.into());
        }
        let file = format!("{label}/{MANIFEST}");
        let wrong = |message: String| Problem::of_file(&file, message);
        let text = self
            .files
            .get(MANIFEST)
            .ok_or_else(|| wrong("is missing".to_owned()))?;
        let text = std::str::from_utf8(text).map_err(|_| wrong("is no UTF-8".to_owned()))?;
        let manifest = Manifest::parse(text, &file)?;
        let name = label.rsplit('/').next().unwrap_or(label);
        if manifest.name != name {
            let words = format!("name: is `{}`, but the folder is `{name}`", manifest.name);
            return Err(wrong(words).into());
        }
        if !self.files.contains_key(&manifest.entry) {
            return Err(wrong(format!("entry: there is no file {}", manifest.entry)).into());
        }
        let texts = self.files.into_iter().filter(|(path, _)| path != MANIFEST);
        let files = texts.filter_map(|(path, bytes)| {
            let text = String::from_utf8(bytes).ok()?;
            let text = text
                .strip_prefix('\u{feff}')
                .map(str::to_owned)
                .unwrap_or(text);
            Some(File {
                path,
                text,
                syntax: Syntax::Text,
            })
        });
        Ok(Folder {
            program: Program {
                entry: manifest.entry.clone(),
                files: files.collect(),
            },
            manifest: Arc::new(manifest),
            digest: self.digest,
        })
    }
}

/// Copies a skill's folder, whole or not at all: readers see what was there before, or the copy.
///
/// # Errors
/// It can't be read or written.
pub fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let shelf = to.parent().unwrap_or(to);
    fs::create_dir_all(shelf)?;
    let name = to.file_name().unwrap_or_default().to_string_lossy();
    // Hidden folders are no skills.
    let (new, old) = (
        shelf.join(format!(".{name}.new")),
        shelf.join(format!(".{name}.old")),
    );
    for left in [&new, &old] {
        if left.exists() {
            fs::remove_dir_all(left)?;
        }
    }
    let content = content(from, &name);
    for (path, bytes) in &content.files {
        let file = new.join(path);
        fs::create_dir_all(file.parent().unwrap_or(&new))?;
        fs::write(file, bytes)?;
    }
    if to.exists() {
        fs::rename(to, &old)?;
    }
    fs::rename(&new, to)?;
    match old.exists() {
        true => fs::remove_dir_all(&old),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn skill(yaml: &str) -> (tempfile::TempDir, PathBuf) {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("skills/a");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(MANIFEST), yaml).unwrap();
        fs::write(folder.join("index.js"), "module.exports = () => 'a'").unwrap();
        (home, folder)
    }

    fn told(folder: &Path) -> String {
        read(folder, "skills/a").unwrap_err().to_string()
    }

    #[test]
    fn fine_print_8_a_folder_is_complete_when_manifest_and_entry_are_there() {
        let (_home, folder) = skill("name: a");
        assert!(read(&folder, "skills/a").is_ok());
        fs::remove_file(folder.join("index.js")).unwrap();
        assert!(told(&folder).contains("there is no file index.js"));
        fs::remove_file(folder.join(MANIFEST)).unwrap();
        assert_eq!(told(&folder), "skills/a/skill.yaml: is missing");
    }

    #[test]
    fn fine_print_8_a_link_that_leads_out_is_broken_and_one_within_is_not() {
        let (home, folder) = skill("name: a");
        symlink(folder.join("index.js"), folder.join("same.js")).unwrap();
        assert!(read(&folder, "skills/a").is_ok());
        fs::write(home.path().join("secret"), "x").unwrap();
        symlink(home.path().join("secret"), folder.join("secret.txt")).unwrap();
        assert!(told(&folder).contains("secret.txt: is a link that leads out"));
        let linked = home.path().join("skills/b");
        fs::create_dir(home.path().join("elsewhere")).unwrap();
        symlink(home.path().join("elsewhere"), &linked).unwrap();
        assert!(
            read(&linked, "skills/b")
                .unwrap_err()
                .to_string()
                .contains("leads out")
        );
    }

    #[test]
    fn fine_print_8_the_folder_and_the_manifest_have_one_name() {
        let (_home, folder) = skill("name: b");
        assert!(told(&folder).contains("is `b`, but the folder is `a`"));
    }

    #[test]
    fn a_digest_changes_with_any_file() {
        let (_home, folder) = skill("name: a");
        let before = read(&folder, "skills/a").unwrap().digest;
        fs::write(folder.join("faq.md"), "# Q").unwrap();
        assert_ne!(read(&folder, "skills/a").unwrap().digest, before);
    }
}
