//! Writing files so that a crash leaves the old one or the new one, never half of one.

use std::fs::{self, File, Permissions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::home::Home;

/// How many versions of `gateway.yaml` are kept.
const KEPT: usize = 10;

/// Replaces the content of `path`. A link stays a link, and mode bits stay; a new file gets 0600.
pub(crate) fn replace(path: &Path, content: &str) -> io::Result<()> {
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let folder = path.parent().unwrap_or(Path::new("/"));
    let mode = fs::metadata(&path).map_or(0o600, |meta| meta.permissions().mode());
    let mut temporary = tempfile::Builder::new()
        .prefix(".moltbot-")
        .tempfile_in(folder)?;
    temporary.write_all(content.as_bytes())?;
    temporary
        .as_file()
        .set_permissions(Permissions::from_mode(mode))?;
    temporary.as_file().sync_all()?;
    temporary.persist(&path)?;
    File::open(folder)?.sync_all()
}

/// Makes a folder that only its owner may enter.
pub(crate) fn private_dir(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
}

/// Other writers need milliseconds.
const PATIENCE: Duration = Duration::from_secs(5);

/// Holds back other writers of the same home until it is dropped.
///
/// # Errors
/// Another one holds it for too long.
pub(crate) fn lock(home: &Home) -> io::Result<File> {
    private_dir(&home.versions_dir())?;
    let lock = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(home.versions_dir().join("lock"))?;
    let step = Duration::from_millis(20);
    for _ in 0..PATIENCE.as_millis() / step.as_millis() {
        match lock.try_lock() {
            Ok(()) => return Ok(lock),
            Err(TryLockError::WouldBlock) => std::thread::sleep(step),
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
    Err(io::Error::new(
        io::ErrorKind::TimedOut,
        "another command is changing it",
    ))
}

/// The versions that are kept, the oldest first.
pub(crate) fn versions(home: &Home) -> io::Result<Vec<PathBuf>> {
    let folder = match fs::read_dir(home.versions_dir()) {
        Ok(folder) => folder,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut versions: Vec<_> = folder
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| number(path).is_some())
        .collect();
    versions.sort_by_key(|path| number(path));
    Ok(versions)
}

/// Keeps `content` as the newest version, where it is not already, and lets the oldest go.
pub(crate) fn keep(home: &Home, content: &str) -> io::Result<()> {
    let mut versions = versions(home)?;
    let last = versions.last();
    // a writer that crashed kept it and got no further
    if last.is_some_and(|path| fs::read_to_string(path).is_ok_and(|kept| kept == content)) {
        return Ok(());
    }
    let next = last.and_then(|path| number(path)).unwrap_or(0) + 1;
    let path = home.versions_dir().join(format!("{next}.yaml"));
    replace(&path, content)?;
    versions.push(path);
    let too_many = versions.len().saturating_sub(KEPT);
    versions[..too_many].iter().try_for_each(fs::remove_file)
}

fn number(path: &Path) -> Option<u64> {
    path.file_name()?
        .to_str()?
        .strip_suffix(".yaml")?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests;
