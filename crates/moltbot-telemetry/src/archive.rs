//! Closed days of the log go to object storage: compressed, once, and checked before the file may go.
//!
//! A day is `PREFIX/YYYY/MM/DD/NODE-N.jsonl.zst`, one object below 1 GB of lines. A file that is not there yet
//! stays, whatever its age; what the archive holds of a node is deleted by that node alone, when its day is old.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_lc_rs::digest::{Context, SHA256};
use futures_util::TryStreamExt;
use moltbot_files::sha256;
use object_store::path::Path as Key;
use object_store::{ObjectStore, ObjectStoreExt, WriteMultipart};
use tokio::io::AsyncReadExt;

use crate::error::TelemetryError;
use crate::logfile::{LogSettings, archive_mark, beside, files};
use crate::stamp::Day;

/// Bytes that are sent at once; S3 wants 5 MiB at least.
const PIECE: usize = 8 << 20;
/// Pieces under way at once.
const AT_ONCE: usize = 2;
/// The compression that costs little and gives most.
const COMPRESSION: i32 = 3;

/// What is archived, and for how long.
#[derive(Clone, Debug)]
pub struct ArchiveSettings {
    /// The folder of the log.
    pub dir: PathBuf,
    /// What file names begin with.
    pub name: String,
    /// Names this node among all that share the archive.
    pub node: String,
    /// How long after its end a day is archived.
    pub after: Duration,
    /// How long it stays there, counted from its end.
    pub keep: Duration,
    /// Bytes of lines in one object.
    pub largest: u64,
}

impl Default for ArchiveSettings {
    fn default() -> Self {
        let log = LogSettings::default();
        Self {
            dir: log.dir,
            name: log.name,
            node: "node".to_owned(),
            after: Duration::from_secs(86_400),
            keep: Duration::from_secs(365 * 86_400),
            largest: 1_000_000_000,
        }
    }
}

/// What one look did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Looked {
    /// Days that are in the archive now.
    pub archived: usize,
    /// Objects that were old and are deleted.
    pub deleted: usize,
}

/// The archive of one node's log.
pub struct Archive {
    store: Arc<dyn ObjectStore>,
    prefix: Key,
    settings: ArchiveSettings,
}

impl fmt::Debug for Archive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Archive")
            .field("prefix", &self.prefix)
            .field("node", &self.settings.node)
            .finish_non_exhaustive()
    }
}

impl Archive {
    /// An archive below `prefix`; nothing is asked of the store yet.
    pub fn new(store: Arc<dyn ObjectStore>, prefix: Key, settings: ArchiveSettings) -> Self {
        Self {
            store,
            prefix,
            settings,
        }
    }

    /// Archives days that are over for long enough and deletes objects that are too old.
    ///
    /// A crash costs nothing: a day without its mark is sent again, under the same name.
    ///
    /// # Errors
    /// The store refuses or does not answer, or the disk fails; what was done before stays done.
    pub async fn look(&self, now: SystemTime) -> Result<Looked, TelemetryError> {
        let mut looked = Looked::default();
        let ArchiveSettings { dir, name, .. } = &self.settings;
        let files = match files(dir, name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            other => other.map_err(disk(dir))?,
        };
        for (day, file) in files {
            let due = day.end() + self.settings.after;
            if due <= now && day < Day::of(now) && !archive_mark(&file).exists() {
                self.send_day(day, &file).await?;
                looked.archived += 1;
            }
        }
        looked.deleted = self.delete_old(now).await?;
        Ok(looked)
    }

    async fn send_day(&self, day: Day, file: &Path) -> Result<(), TelemetryError> {
        let packed = beside(file, "zst");
        let mut from = 0;
        for number in 1.. {
            let (source, target) = (file.to_owned(), packed.clone());
            let largest = self.settings.largest;
            let pack = move || pack(&source, from, largest, &target);
            let next = tokio::task::spawn_blocking(pack).await;
            let next = next.map_err(|error| TelemetryError::Archive(error.to_string()))?;
            let next = next.map_err(disk(file))?;
            self.send(&self.key(day, number), &packed).await?;
            match next {
                Some(next) => from = next,
                None => break,
            }
        }
        let _ = fs::remove_file(&packed);
        let mark = archive_mark(file);
        let made = File::create(&mark).and_then(|mark| mark.sync_all());
        made.map_err(disk(&mark))
    }

    /// Sends a file and reads it back.
    async fn send(&self, key: &Key, file: &Path) -> Result<(), TelemetryError> {
        let upload = self.store.put_multipart(key).await.map_err(refused(key))?;
        let mut upload = WriteMultipart::new_with_chunk_size(upload, PIECE);
        let mut source = tokio::fs::File::open(file).await.map_err(disk(file))?;
        let mut buffer = vec![0; 1 << 20];
        loop {
            let length = source.read(&mut buffer).await.map_err(disk(file))?;
            if length == 0 {
                break;
            }
            upload
                .wait_for_capacity(AT_ONCE)
                .await
                .map_err(refused(key))?;
            upload.write(&buffer[..length]);
        }
        upload.finish().await.map_err(refused(key))?;

        let sent = sha256(file, &|_| ()).map_err(disk(file))?;
        let mut context = Context::new(&SHA256);
        let there = self.store.get(key).await.map_err(refused(key))?;
        let mut pieces = there.into_stream();
        while let Some(piece) = pieces.try_next().await.map_err(refused(key))? {
            context.update(&piece);
        }
        if hex::encode(context.finish()) == sent {
            return Ok(());
        }
        let what = format!("{key} is not what was sent; it is sent again");
        Err(TelemetryError::Archive(what))
    }

    async fn delete_old(&self, now: SystemTime) -> Result<usize, TelemetryError> {
        let mut deleted = 0;
        for (day, _, key) in self.objects(&self.prefix).await? {
            if day.end() + self.settings.keep <= now {
                self.store.delete(&key).await.map_err(refused(&key))?;
                deleted += 1;
            }
        }
        Ok(deleted)
    }

    /// Loads the days since `since` that the log's folder does not have any more into `into`, as files of
    /// the log. Gives the number of days.
    ///
    /// # Errors
    /// The store refuses or does not answer, or the disk fails.
    pub async fn fetch(
        &self,
        since: Option<SystemTime>,
        into: &Path,
    ) -> Result<usize, TelemetryError> {
        let ArchiveSettings { dir, name, .. } = &self.settings;
        let here: Vec<Day> = match files(dir, name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            other => other
                .map_err(disk(dir))?
                .into_iter()
                .map(|(day, _)| day)
                .collect(),
        };
        let first = since.map(Day::of);
        let mut objects = self.objects(&self.prefix).await?;
        objects.retain(|(day, ..)| Some(*day) >= first && !here.contains(day));
        objects.sort();
        let mut days = Vec::new();
        for (day, _, key) in objects {
            let file = into.join(format!("{name}.{}.jsonl", day.text()));
            let packed = self.store.get(&key).await.map_err(refused(&key))?;
            let packed = packed.bytes().await.map_err(refused(&key))?;
            let mut to = File::options()
                .create(true)
                .append(true)
                .open(&file)
                .map_err(disk(&file))?;
            zstd::stream::copy_decode(&*packed, &mut to).map_err(disk(&file))?;
            days.push(day);
        }
        days.dedup();
        Ok(days.len())
    }

    /// The node's own objects: day, number, key. Foreign names are left out.
    async fn objects(&self, prefix: &Key) -> Result<Vec<(Day, u32, Key)>, TelemetryError> {
        let mut objects = Vec::new();
        let mut found = self.store.list(Some(prefix));
        while let Some(object) = found.try_next().await.map_err(refused(prefix))? {
            if let Some((day, number)) = self.parse(&object.location) {
                objects.push((day, number, object.location));
            }
        }
        Ok(objects)
    }

    fn key(&self, day: Day, number: u32) -> Key {
        let day = day.text();
        let mut key = self.prefix.clone();
        for part in day.split('-') {
            key = key.join(part);
        }
        key.join(format!("{}-{number}.jsonl.zst", self.settings.node))
    }

    /// Reads `PREFIX/YYYY/MM/DD/NODE-N.jsonl.zst` of this node.
    fn parse(&self, key: &Key) -> Option<(Day, u32)> {
        let parts: Vec<_> = key.prefix_match(&self.prefix)?.collect();
        let [year, month, day, name] = &parts[..] else {
            return None;
        };
        let parts = [year, month, day].map(|part| part.as_ref());
        let day = Day::parse(&parts.join("-"))?;
        let number = name
            .as_ref()
            .strip_prefix(&*self.settings.node)?
            .strip_prefix('-')?
            .strip_suffix(".jsonl.zst")?;
        Some((day, number.parse().ok().filter(|number| *number > 0)?))
    }
}

/// Packs lines of `file` from byte `from` on, at most `largest` bytes of them but always one, into `target`.
/// Gives where the next object begins, if there is more.
fn pack(file: &Path, from: u64, largest: u64, target: &Path) -> io::Result<Option<u64>> {
    use std::io::{Seek, SeekFrom};
    use std::os::unix::fs::OpenOptionsExt;
    let mut source = File::open(file)?;
    source.seek(SeekFrom::Start(from))?;
    let mut lines = BufReader::with_capacity(1 << 20, source);
    let to = File::options()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(target)?;
    let mut packer = zstd::stream::write::Encoder::new(to, COMPRESSION)?;
    let mut taken = 0;
    let mut line = Vec::new();
    loop {
        line.clear();
        let length = lines.read_until(b'\n', &mut line)? as u64;
        let is_full = taken > 0 && taken + length > largest;
        if length == 0 || is_full {
            packer.finish()?.sync_all()?;
            return Ok(is_full.then_some(from + taken));
        }
        packer.write_all(&line)?;
        taken += length;
    }
}

fn disk(path: &Path) -> impl Fn(io::Error) -> TelemetryError {
    move |error| TelemetryError::Archive(format!("{}: {error}", path.display()))
}

/// One clear line; the libraries' own words are long and may hold what the server sent.
fn refused(key: &Key) -> impl Fn(object_store::Error) -> TelemetryError {
    move |error| {
        let why = match &error {
            object_store::Error::Unauthenticated { .. }
            | object_store::Error::PermissionDenied { .. } => {
                "the store refuses the key; look at logs.archive.access_key and secret_key"
                    .to_owned()
            }
            object_store::Error::NotFound { .. } => {
                "the store has no such bucket; look at logs.archive.url".to_owned()
            }
            other => {
                let words = other.to_string();
                let first = words.lines().next().unwrap_or_default();
                first.chars().take(300).collect()
            }
        };
        TelemetryError::Archive(format!("{key}: {why}"))
    }
}

#[cfg(test)]
mod tests;
