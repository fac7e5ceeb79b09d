//! Pulling a file into a folder: side by side, resumed after a break, and named only when it is whole.

mod part;
mod remote;

use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::statvfs;

use crate::error::{FilesError, disk};
use crate::gguf;
use crate::objects::ObjectSettings;
use crate::sum::{Note, sha256};
use part::Part;
use remote::{Head, Remote};

/// How a file is pulled.
#[derive(Clone, Debug)]
pub struct PullSettings {
    /// The SHA-256 that the file must have, in hexadecimal digits.
    pub sha256: Option<String>,
    /// A different file of that name is replaced.
    pub force: bool,
    /// Keys and endpoint for `s3://`; its `url` is not used.
    pub objects: ObjectSettings,
    /// Ranges that are loaded at once.
    pub parallel: usize,
    /// Bytes of a range.
    pub range: u64,
    /// Tries of each range; what a try has loaded stays.
    pub tries: u32,
    /// Wait before the second try; it doubles.
    pub wait: Duration,
    /// Longest pause between two pieces.
    pub idle: Duration,
}

impl Default for PullSettings {
    fn default() -> Self {
        Self {
            sha256: None,
            force: false,
            objects: ObjectSettings::default(),
            parallel: 4,
            range: 16 << 20,
            tries: 3,
            wait: Duration::from_millis(500),
            idle: Duration::from_secs(30),
        }
    }
}

/// How far a pull is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Bytes that are here, and bytes in all where the source says.
    Loading {
        /// Bytes that are here, those of an earlier try included.
        done: u64,
        /// Bytes in all.
        total: Option<u64>,
    },
    /// Bytes whose checksum is taken.
    Checking {
        /// Bytes done.
        done: u64,
        /// Bytes in all.
        total: u64,
    },
}

/// What came of a pull.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pulled {
    /// The file.
    pub file: PathBuf,
    /// Its SHA-256, in hexadecimal digits.
    pub sha256: String,
    /// Bytes.
    pub size: u64,
    /// An equal file was there and stays.
    pub kept: bool,
}

/// Pulls a file into a folder.
///
/// A break is survived: the next pull of the same source goes on where this one stopped, provided that
/// the source still has the same version of the file.
///
/// # Errors
/// [`FilesError::Usage`]: an unknown kind of source, or one that names no file.
/// [`FilesError::Missing`]: there is no such file.
/// [`FilesError::Failed`]: the network, the disk, a wrong checksum, or a different file of that name.
pub async fn pull(
    source: &str,
    folder: &Path,
    settings: &PullSettings,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Pulled, FilesError> {
    if let Some(sum) = &settings.sha256
        && (sum.len() != 64 || !sum.bytes().all(|byte| byte.is_ascii_hexdigit()))
    {
        return Err(FilesError::Usage(format!(
            "`{sum}` is no SHA-256: it has 64 hexadecimal digits"
        )));
    }
    let remote = Remote::parse(source, settings)?;
    let file = folder.join(remote.file_name()?);
    let there = file.exists();
    if let (true, Some(sum)) = (there, &settings.sha256)
        && sha256(&file, &|_| ())
            .map_err(disk(&file))?
            .eq_ignore_ascii_case(sum)
    {
        return kept(file, sum.to_ascii_lowercase());
    }

    let head = remote.head(settings).await?;
    if there {
        if let Some(note) = Note::of(&file).filter(|note| is_same(note, &head, &file, settings)) {
            return kept(file, note.sha256);
        }
        let length = std::fs::metadata(&file).map_err(disk(&file))?.len();
        if !settings.force && head.size.is_some_and(|size| size != length) {
            return Err(differs(&file));
        }
    }
    std::fs::create_dir_all(folder).map_err(disk(folder))?;
    let mut part = Part::open(&file, &remote, head)?;
    has_room(folder, part.missing())?;
    part.load(&remote, settings, progress).await?;

    let size = part.size()?;
    let check = |done| progress(Progress::Checking { done, total: size });
    let sum = sha256(part.path(), &check).map_err(disk(part.path()))?;
    if let Some(asked) = &settings.sha256
        && !asked.eq_ignore_ascii_case(&sum)
    {
        part.remove();
        return Err(FilesError::Failed(format!(
            "the checksum of {} is {sum}, not {asked}: it was not kept",
            remote.shown()
        )));
    }
    if let Err(error) = gguf::check(&file, part.path()) {
        part.remove();
        return Err(error);
    }
    if there {
        if sha256(&file, &|_| ()).map_err(disk(&file))? == sum {
            part.remove();
            part.note(sum.clone(), size).write(&file)?;
            return kept(file, sum);
        }
        // what was loaded stays, so that --force has nothing to load again
        if !settings.force {
            return Err(differs(&file));
        }
    }
    part.become_file(&file, &sum, size)?;
    Ok(Pulled {
        file,
        sha256: sum,
        size,
        kept: false,
    })
}

/// Whether the file that is here is the version that the source has.
fn is_same(note: &Note, head: &Head, file: &Path, settings: &PullSettings) -> bool {
    settings.sha256.is_none()
        && head.tag.is_some()
        && note.tag == head.tag
        && head.size == Some(note.size)
        && std::fs::metadata(file).is_ok_and(|file| file.len() == note.size)
}

fn kept(file: PathBuf, sha256: String) -> Result<Pulled, FilesError> {
    let size = std::fs::metadata(&file).map_err(disk(&file))?.len();
    Ok(Pulled {
        file,
        sha256,
        size,
        kept: true,
    })
}

fn differs(file: &Path) -> FilesError {
    FilesError::Failed(format!(
        "{} is there and is another file; --force replaces it",
        file.display()
    ))
}

fn has_room(folder: &Path, missing: u64) -> Result<(), FilesError> {
    // a system that can't tell has room until a write fails
    let Ok(disk) = statvfs(folder) else {
        return Ok(());
    };
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    if free >= missing {
        return Ok(());
    }
    let mib = |bytes: u64| bytes.div_ceil(1 << 20);
    Err(FilesError::Failed(format!(
        "{} has {} MiB free and {} MiB are to come: make room first",
        folder.display(),
        mib(free),
        mib(missing)
    )))
}
