//! Rows that a call leaves behind: handed to the operating system at once, folded into the database later.
//!
//! A row is one line, `CRC KIND JSON`, appended with one write to the current segment beside the database. A killed
//! process loses none. The fold seals the segment, commits its rows, and only then removes the file; what it finds at
//! a start it folds first. A row may so be told twice: every row has a key and counts once.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Bytes of rows that wait in memory while the disk takes none; further ones are lost, and counted.
const BACKLOG: usize = 16 << 20;

/// The current segment of a journal, and the sealed ones before it.
#[derive(Debug)]
pub(crate) struct Journal {
    base: PathBuf,
    current: Mutex<Current>,
}

#[derive(Debug)]
struct Current {
    file: Option<File>,
    number: u64,
    /// Lines that the disk did not take.
    backlog: Vec<u8>,
    lost: u64,
}

/// One row of a segment.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Line<'a> {
    /// Which role it belongs to.
    pub(crate) kind: u8,
    /// JSON.
    pub(crate) body: &'a str,
}

impl Journal {
    /// The journal of the database `base`: `BASE.rows.N`.
    pub(crate) fn open(base: &Path) -> io::Result<Self> {
        let journal = Self {
            base: base.to_owned(),
            current: Mutex::new(Current {
                file: None,
                number: 0,
                backlog: Vec::new(),
                lost: 0,
            }),
        };
        let last = journal.segments()?.last().map_or(0, |(number, _)| *number);
        journal.lock().number = last + 1;
        Ok(journal)
    }

    /// Hands a row to the operating system.
    ///
    /// # Errors
    /// The disk does not take it. The row waits in memory for the next fold, as long as there is room.
    pub(crate) fn append(&self, kind: u8, body: &str) -> io::Result<()> {
        let line = line(kind, body);
        let mut current = self.lock();
        if current.backlog.is_empty() {
            match current.write(&self.base, line.as_bytes()) {
                Ok(()) => return Ok(()),
                Err(error) => {
                    current.keep(&line);
                    return Err(error);
                }
            }
        }
        // In order: those before it wait too.
        current.keep(&line);
        Err(io::Error::other("rows before it still wait for the disk"))
    }

    /// Ends the current segment and gives all that wait to be folded, oldest first.
    pub(crate) fn seal(&self) -> io::Result<Vec<PathBuf>> {
        let mut current = self.lock();
        if !current.backlog.is_empty() {
            let backlog = std::mem::take(&mut current.backlog);
            if let Err(error) = current.write(&self.base, &backlog) {
                current.backlog = backlog;
                return Err(error);
            }
        }
        if current.file.take().is_some() {
            current.number += 1;
        }
        let open = current.number;
        drop(current);
        let segments = self.segments()?.into_iter();
        Ok(segments
            .filter(|(number, _)| *number < open)
            .map(|(_, path)| path)
            .collect())
    }

    /// Rows that were lost for want of disk and memory, since the start.
    pub(crate) fn lost(&self) -> u64 {
        self.lock().lost
    }

    fn segments(&self) -> io::Result<Vec<(u64, PathBuf)>> {
        let folder = match self.base.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let prefix = format!(
            "{}.rows.",
            self.base.file_name().unwrap_or_default().to_string_lossy()
        );
        let mut found = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let number = name.to_str().and_then(|name| name.strip_prefix(&prefix));
            if let Some(Ok(number)) = number.map(str::parse) {
                found.push((number, entry.path()));
            }
        }
        found.sort();
        Ok(found)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Current {
    fn write(&mut self, base: &Path, lines: &[u8]) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(
                OpenOptions::new()
                    .create(true)
                    .append(true)
                    .mode(0o600)
                    .open(segment(base, self.number))?,
            ),
        };
        let written = file.write_all(lines);
        if written.is_err() {
            // Part of a line may be there: the next line begins a segment of its own.
            self.file = None;
            self.number += 1;
        }
        written
    }

    fn keep(&mut self, line: &str) {
        if self.backlog.len() + line.len() <= BACKLOG {
            self.backlog.extend_from_slice(line.as_bytes());
        } else {
            self.lost += 1;
        }
    }
}

fn segment(base: &Path, number: u64) -> PathBuf {
    let mut name = base.as_os_str().to_owned();
    name.push(format!(".rows.{number}"));
    PathBuf::from(name)
}

fn line(kind: u8, body: &str) -> String {
    let rest = format!("{kind} {body}");
    format!("{:08x} {rest}\n", crc32fast::hash(rest.as_bytes()))
}

/// The rows of a segment and the number of its damaged lines. An unfinished last line is none: its writer was killed
/// before it had handed the row over.
pub(crate) fn lines(segment: &[u8]) -> (Vec<Line<'_>>, usize) {
    let whole = segment.iter().rposition(|byte| *byte == b'\n');
    let whole = &segment[..whole.map_or(0, |end| end + 1)];
    let mut damaged = 0;
    let rows = whole.split_inclusive(|byte| *byte == b'\n');
    let rows = rows.filter_map(|line| {
        let read = read(line.trim_ascii_end());
        damaged += usize::from(read.is_none());
        read
    });
    (rows.collect(), damaged)
}

fn read(line: &[u8]) -> Option<Line<'_>> {
    let (sum, rest) = std::str::from_utf8(line).ok()?.split_once(' ')?;
    if u32::from_str_radix(sum, 16).ok()? != crc32fast::hash(rest.as_bytes()) {
        return None;
    }
    let (kind, body) = rest.split_once(' ')?;
    Some(Line {
        kind: kind.parse().ok()?,
        body,
    })
}

#[cfg(test)]
mod tests;
