//! A file that is not whole yet, and what is known of it.

use std::fs::{File, OpenOptions, TryLockError};
use std::ops::Range;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};

use super::remote::{Head, ReadError, Remote};
use super::{Progress, PullSettings};
use crate::error::{FilesError, disk};
use crate::sum::Note;

/// A file that is not whole yet: `.NAME.part`, and `.NAME.state` with the ranges that are here.
pub(super) struct Part {
    path: PathBuf,
    state_path: PathBuf,
    file: File,
    head: Head,
    source: String,
    /// Ranges that are here, as they were asked for.
    done: Mutex<Vec<Range<u64>>>,
}

#[derive(Serialize, Deserialize)]
struct Saved {
    source: String,
    size: u64,
    tag: String,
    done: Vec<Range<u64>>,
}

impl Part {
    /// Opens the part of a file; what an earlier pull of the same version loaded counts.
    pub(super) fn open(file: &Path, remote: &Remote, head: Head) -> Result<Self, FilesError> {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let path = file.with_file_name(format!(".{name}.part"));
        let state_path = file.with_file_name(format!(".{name}.state"));
        let options = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .mode(0o600)
            .open(&path);
        let part = options.map_err(disk(&path))?;
        part.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => {
                FilesError::Failed(format!("another pull of {name} is under way"))
            }
            TryLockError::Error(error) => disk(&path)(error),
        })?;
        let source = remote.shown();
        let saved = std::fs::read(&state_path).ok();
        let saved = saved.and_then(|text| serde_json::from_slice::<Saved>(&text).ok());
        let saved = saved.filter(|saved| {
            saved.source == source
                && head.size == Some(saved.size)
                && head.tag.as_ref() == Some(&saved.tag)
        });
        let done = saved.map(|saved| saved.done).unwrap_or_default();
        if done.is_empty() {
            part.set_len(0).map_err(disk(&path))?;
        }
        Ok(Self {
            path,
            state_path,
            file: part,
            head,
            source,
            done: Mutex::new(done),
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn size(&self) -> Result<u64, FilesError> {
        Ok(self.file.metadata().map_err(disk(&self.path))?.len())
    }

    /// Bytes that are to come, as far as that is known.
    pub(super) fn missing(&self) -> u64 {
        self.head.size.unwrap_or(0).saturating_sub(self.loaded())
    }

    fn loaded(&self) -> u64 {
        let done = self.done.lock();
        let done = done.map(|done| done.iter().map(|range| range.end - range.start).sum());
        done.unwrap_or(0)
    }

    /// Loads what is missing.
    pub(super) async fn load(
        &mut self,
        remote: &Remote,
        settings: &PullSettings,
        progress: &(dyn Fn(Progress) + Sync),
    ) -> Result<(), FilesError> {
        // A second version is loaded from its start; a source that changes for ever is given up.
        for _ in 0..2 {
            let (size, ranges) = (self.head.size, self.head.ranges && self.head.tag.is_some());
            let loaded = match size {
                Some(size) if ranges => self.by_ranges(size, remote, settings, progress).await,
                _ => self.whole(remote, settings, progress).await,
            };
            match loaded {
                Err(ReadError::Changed) => self.begin_again(remote.head(settings).await?)?,
                other => return remote.told(other),
            }
        }
        remote.told(Err(ReadError::Changed))
    }

    fn begin_again(&mut self, head: Head) -> Result<(), FilesError> {
        self.file.set_len(0).map_err(disk(&self.path))?;
        self.done = Mutex::default();
        self.head = head;
        Ok(())
    }

    async fn by_ranges(
        &self,
        size: u64,
        remote: &Remote,
        settings: &PullSettings,
        progress: &(dyn Fn(Progress) + Sync),
    ) -> Result<(), ReadError> {
        let here = AtomicU64::new(self.loaded());
        let told = |more: u64| {
            let done = here.fetch_add(more, Ordering::Relaxed) + more;
            progress(Progress::Loading {
                done,
                total: Some(size),
            });
        };
        told(0);
        let done = self
            .done
            .lock()
            .map(|done| done.clone())
            .unwrap_or_default();
        stream::iter(missing(size, settings.range, &done))
            .map(Ok)
            .try_for_each_concurrent(settings.parallel.max(1), |range| {
                self.one_range(range, remote, settings, &told)
            })
            .await
    }

    async fn one_range(
        &self,
        range: Range<u64>,
        remote: &Remote,
        settings: &PullSettings,
        told: &(dyn Fn(u64) + Sync),
    ) -> Result<(), ReadError> {
        let mut at = range.start;
        let mut wait = settings.wait;
        let mut tries = 1;
        while at < range.end {
            match self.some(&mut at, range.end, remote, told).await {
                Err(ReadError::Again(_)) if tries < settings.tries => {
                    tries += 1;
                    tokio::time::sleep(wait).await;
                    wait *= 2;
                }
                other => other?,
            }
        }
        self.file.sync_data().map_err(|error| self.disk(error))?;
        if let Ok(mut done) = self.done.lock() {
            done.push(range);
        }
        self.save().map_err(ReadError::Final)
    }

    /// Loads from `at` on, which moves with what came.
    async fn some(
        &self,
        at: &mut u64,
        end: u64,
        remote: &Remote,
        told: &(dyn Fn(u64) + Sync),
    ) -> Result<(), ReadError> {
        let mut pieces = remote
            .read(Some(*at..end), self.head.tag.as_deref())
            .await?;
        while let Some(piece) = pieces.try_next().await? {
            let length = (piece.len() as u64).min(end - *at);
            // a write to the page cache, by a command that does nothing else
            let piece = &piece[..length as usize];
            self.file
                .write_all_at(piece, *at)
                .map_err(|error| self.disk(error))?;
            *at += length;
            told(length);
        }
        if *at < end {
            return Err(ReadError::Again("the connection broke off".to_owned()));
        }
        Ok(())
    }

    async fn whole(
        &self,
        remote: &Remote,
        settings: &PullSettings,
        progress: &(dyn Fn(Progress) + Sync),
    ) -> Result<(), ReadError> {
        let mut wait = settings.wait;
        for _ in 1..settings.tries {
            match self.whole_once(remote, progress).await {
                Err(ReadError::Again(_)) => {}
                other => return other,
            }
            tokio::time::sleep(wait).await;
            wait *= 2;
        }
        self.whole_once(remote, progress).await
    }

    async fn whole_once(
        &self,
        remote: &Remote,
        progress: &(dyn Fn(Progress) + Sync),
    ) -> Result<(), ReadError> {
        let total = self.head.size;
        self.file.set_len(0).map_err(|error| self.disk(error))?;
        let mut at = 0;
        let mut pieces = remote.read(None, None).await?;
        while let Some(piece) = pieces.try_next().await? {
            self.file
                .write_all_at(&piece, at)
                .map_err(|error| self.disk(error))?;
            at += piece.len() as u64;
            progress(Progress::Loading { done: at, total });
        }
        if total.is_some_and(|total| total != at) {
            return Err(ReadError::Again("the connection broke off".to_owned()));
        }
        Ok(())
    }

    /// Notes what is here; a version without a name can't be resumed.
    fn save(&self) -> Result<(), FilesError> {
        let (Some(size), Some(tag)) = (self.head.size, &self.head.tag) else {
            return Ok(());
        };
        let saved = Saved {
            source: self.source.clone(),
            size,
            tag: tag.clone(),
            done: self
                .done
                .lock()
                .map(|done| done.clone())
                .unwrap_or_default(),
        };
        let text =
            serde_json::to_vec(&saved).map_err(|error| FilesError::Failed(error.to_string()))?;
        let new = self.state_path.with_extension("state.new");
        let write = || {
            std::fs::write(&new, &text)?;
            std::fs::rename(&new, &self.state_path)
        };
        write().map_err(disk(&self.state_path))
    }

    fn disk(&self, error: std::io::Error) -> ReadError {
        ReadError::Final(disk(&self.path)(error))
    }

    pub(super) fn note(&self, sha256: String, size: u64) -> Note {
        Note {
            sha256,
            size,
            source: self.source.clone(),
            tag: self.head.tag.clone(),
        }
    }

    /// Gives the file its name: it is whole and right.
    pub(super) fn become_file(
        self,
        file: &Path,
        sha256: &str,
        size: u64,
    ) -> Result<(), FilesError> {
        self.file.sync_all().map_err(disk(&self.path))?;
        std::fs::rename(&self.path, file).map_err(disk(file))?;
        self.note(sha256.to_owned(), size).write(file)?;
        let _ = std::fs::remove_file(&self.state_path);
        let folder = file.parent().map(File::open);
        match folder {
            Some(folder) => folder
                .and_then(|folder| folder.sync_all())
                .map_err(disk(file)),
            None => Ok(()),
        }
    }

    /// Takes away what is wrong or not needed.
    pub(super) fn remove(&self) {
        let _ = std::fs::remove_file(&self.path);
        let _ = std::fs::remove_file(&self.state_path);
    }
}

/// What is not here yet, in pieces of at most `length` bytes.
fn missing(size: u64, length: u64, done: &[Range<u64>]) -> Vec<Range<u64>> {
    let mut done: Vec<_> = done
        .iter()
        .filter(|range| range.start < range.end)
        .cloned()
        .collect();
    done.sort_by_key(|range| range.start);
    let mut missing = Vec::new();
    let mut at = 0;
    for next in done.into_iter().chain(std::iter::once(size..size)) {
        while at < next.start.min(size) {
            let end = (at + length.max(1)).min(next.start).min(size);
            missing.push(at..end);
            at = end;
        }
        at = at.max(next.end);
    }
    missing
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_here_and_what_is_missing_are_the_whole(
            size in 0u64..2000,
            length in 1u64..300,
            cuts in proptest::collection::vec((0u64..2000, 1u64..200), 0..8),
        ) {
            let done: Vec<_> = cuts.iter().map(|(start, length)| *start..start + length).collect();
            let missing = missing(size, length, &done);
            for at in 0..size {
                let here = done.iter().any(|range| range.contains(&at));
                let to_come = missing.iter().filter(|range| range.contains(&at)).count();
                prop_assert_eq!(to_come, usize::from(!here));
            }
            prop_assert!(missing.iter().all(|range| range.end - range.start <= length && range.end <= size));
        }
    }
}
