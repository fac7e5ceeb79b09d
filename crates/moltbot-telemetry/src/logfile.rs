//! One file a day in UTC, readable by its owner alone, kept for some days.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};

use crate::error::TelemetryError;
use crate::level::Level;
use crate::line::Line;
use crate::log::{Batch, Clock, Log};
use crate::stamp::{Day, Stamp};

/// Where lines go and how long they stay.
#[derive(Clone, Debug)]
pub struct LogSettings {
    /// The folder, made with mode 0700 where it is missing.
    pub dir: PathBuf,
    /// What file names begin with: `moltbotd` gives `moltbotd.2026-01-31.jsonl`.
    pub name: String,
    /// The least level that is written.
    pub level: Level,
    /// How long a file is kept, counted from the end of its day, in whole days.
    pub keep: Duration,
    /// Closed days go to an archive; see [`Log::set_archived`].
    pub archived: bool,
    /// Bytes of lines that may wait for the disk; more are dropped and counted.
    pub buffer: usize,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self {
            dir: PathBuf::from("logs"),
            name: "moltbotd".to_owned(),
            level: Level::Info,
            keep: Duration::from_secs(7 * 86_400),
            archived: false,
            buffer: 8 << 20,
        }
    }
}

/// How long the end of the log waits for a disk.
const PATIENCE: Duration = Duration::from_secs(5);

/// The log's writer, a thread of its own. Dropping it writes what is left and ends the thread; a disk
/// that hangs is given up after 5 s.
#[derive(Debug)]
pub struct LogWriter {
    log: Log,
    thread: Option<JoinHandle<()>>,
}

impl LogWriter {
    /// Opens today's file and starts the writer.
    ///
    /// # Errors
    /// The folder or the file can't be written, or the thread can't be started.
    pub fn start(settings: LogSettings) -> Result<(Log, Self), TelemetryError> {
        Self::start_with(settings, Arc::new(SystemTime::now))
    }

    pub(crate) fn start_with(
        settings: LogSettings,
        clock: Clock,
    ) -> Result<(Log, Self), TelemetryError> {
        let log = Log::new(settings.level, settings.buffer, clock);
        log.set_archived(settings.archived);
        let mut files = Files::open(&settings, &log)?;
        let lines = log.clone();
        let thread = thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || {
                let mut batch = Batch::default();
                while lines.take(&mut batch) {
                    files.write(&batch, &lines);
                }
            })
            .map_err(TelemetryError::Thread)?;
        let writer = Self {
            log: log.clone(),
            thread: Some(thread),
        };
        Ok((log, writer))
    }
}

impl Drop for LogWriter {
    fn drop(&mut self) {
        self.log.close();
        if let (Some(thread), true) = (self.thread.take(), self.log.flush(PATIENCE)) {
            let _ = thread.join();
        }
    }
}

/// The path of a day's file.
fn path_of(dir: &Path, name: &str, day: Day) -> PathBuf {
    dir.join(format!("{name}.{}.jsonl", day.text()))
}

/// Stands beside a day's file once the archive has it.
pub(crate) fn archive_mark(file: &Path) -> PathBuf {
    beside(file, "archived")
}

/// A hidden file of ours beside a day's file.
pub(crate) fn beside(file: &Path, ending: &str) -> PathBuf {
    let name = file.file_stem().unwrap_or_default().to_string_lossy();
    file.with_file_name(format!(".{name}.{ending}"))
}

/// The files in `dir` that this log wrote, the oldest first.
pub(crate) fn files(dir: &Path, name: &str) -> io::Result<Vec<(Day, PathBuf)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let file = entry.file_name();
        let day = file
            .to_str()
            .and_then(|file| file.strip_prefix(name)?.strip_prefix('.'))
            .and_then(|file| Day::parse(file.strip_suffix(".jsonl")?));
        if let Some(day) = day {
            files.push((day, entry.path()));
        }
    }
    files.sort();
    Ok(files)
}

struct Files {
    dir: PathBuf,
    name: String,
    keep: Duration,
    today: Option<Today>,
    /// Lines that the disk refused since it last took some.
    lost: u64,
}

struct Today {
    day: Day,
    path: PathBuf,
    file: File,
    inode: u64,
}

impl Files {
    fn open(settings: &LogSettings, log: &Log) -> Result<Self, TelemetryError> {
        let mut files = Self {
            dir: settings.dir.clone(),
            name: settings.name.clone(),
            keep: settings.keep,
            today: None,
            lost: 0,
        };
        let today = Day::of(log.now());
        let path = path_of(&files.dir, &files.name, today);
        files
            .turn_to(today, log)
            .map_err(|source| TelemetryError::Open { path, source })?;
        Ok(files)
    }

    fn write(&mut self, batch: &Batch, log: &Log) {
        let ends = batch.days.iter().skip(1).map(|(start, _)| *start);
        for ((start, day), end) in batch.days.iter().zip(ends.chain([batch.bytes.len()])) {
            let lines = &batch.bytes[*start..end];
            match self.append(*day, lines, log) {
                Ok(()) => self.lost = 0,
                Err(_) => {
                    let count = memchr::memchr_iter(b'\n', lines).count() as u64;
                    self.lost += count;
                    log.lost(count);
                    // Whatever is wrong with the file, the next batch opens it anew.
                    self.today = None;
                }
            }
        }
    }

    fn append(&mut self, day: Day, lines: &[u8], log: &Log) -> io::Result<()> {
        let lost = self.lost;
        let today = self.turn_to(day, log)?;
        let start = today.file.metadata()?.len();
        let written = (|| {
            if lost > 0 {
                today.file.write_all(&recovered(lost, log.now()))?;
            }
            today.file.write_all(lines)
        })();
        if written.is_err() {
            // Half a line helps nobody.
            let _ = today.file.set_len(start);
        }
        written
    }

    /// Opens the day's file where it is not open, or was taken away.
    fn turn_to(&mut self, day: Day, log: &Log) -> io::Result<&mut Today> {
        let current = match self.today.take() {
            Some(today) if today.day == day && today.is_there() => today,
            _ => {
                let today = Today::open(path_of(&self.dir, &self.name, day), day)?;
                self.forget_old(day, log);
                today
            }
        };
        Ok(self.today.insert(current))
    }

    /// Removes files whose day ended longer ago than they are kept.
    fn forget_old(&self, today: Day, log: &Log) {
        let Ok(files) = files(&self.dir, &self.name) else {
            return; // The next turn of the day tries again.
        };
        let days = self.keep.as_secs().div_ceil(86_400);
        for (day, path) in files {
            let mark = archive_mark(&path);
            if day.until(today) > days && (!log.archived() || mark.exists()) {
                let _ = fs::remove_file(path);
                let _ = fs::remove_file(mark);
            }
        }
    }
}

impl Today {
    fn open(path: PathBuf, day: Day) -> io::Result<Self> {
        if let Some(dir) = path.parent() {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(dir)?;
        }
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW)
            .open(&path)?;
        file.set_permissions(fs::Permissions::from_mode(0o600))?;
        end_last_line(&mut file)?;
        let inode = file.metadata()?.ino();
        Ok(Self {
            day,
            path,
            file,
            inode,
        })
    }

    fn is_there(&self) -> bool {
        fs::symlink_metadata(&self.path).is_ok_and(|found| found.ino() == self.inode)
    }
}

/// A line that a crash cut short must not swallow the next one.
fn end_last_line(file: &mut File) -> io::Result<()> {
    if file.seek(SeekFrom::End(0))? > 0 {
        let mut last = [0];
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            file.write_all(b"\n")?;
        }
    }
    Ok(())
}

fn recovered(lost: u64, now: SystemTime) -> Vec<u8> {
    let mut buffer = Vec::new();
    let msg = "the log is written again; the disk had refused lines, which are lost";
    let mut stamp = Stamp::new();
    let mut line = Line::begin(&mut buffer, stamp.at(now), Level::Warn, msg);
    line.number("lines", lost);
    line.end();
    buffer
}

#[cfg(test)]
mod tests;
