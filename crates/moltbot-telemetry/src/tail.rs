//! The lines of one file, which may still grow.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Longest line that is read, in bytes; longer ones are left out.
const LONGEST: usize = 1 << 20;

/// A file that is read line by line.
pub(crate) struct Tail {
    path: PathBuf,
    reader: BufReader<File>,
    inode: u64,
    /// Bytes read so far.
    offset: u64,
    /// The line that is being read. Kept at the end of the file, for the rest may follow.
    line: Vec<u8>,
    /// The line is too long; its rest is passed over.
    overlong: bool,
}

/// What a reading found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// A whole line is in [`Tail::line`].
    Line,
    /// A line was too long and is left out.
    Overlong,
    /// Nothing more for now.
    End,
}

impl Tail {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let inode = file.metadata()?.ino();
        Ok(Self {
            path: path.to_owned(),
            reader: BufReader::with_capacity(64 << 10, file),
            inode,
            offset: 0,
            line: Vec::new(),
            overlong: false,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The last line found, without its end.
    pub(crate) fn line(&self) -> &[u8] {
        self.line.strip_suffix(b"\n").unwrap_or(&self.line)
    }

    /// Reads on to the end of the next line.
    pub(crate) fn next(&mut self) -> io::Result<Found> {
        if self.line.ends_with(b"\n") {
            self.line.clear();
        }
        loop {
            let room = LONGEST.saturating_sub(self.line.len());
            let read = (&mut self.reader)
                .take(room as u64)
                .read_until(b'\n', &mut self.line)?;
            self.offset += read as u64;
            let whole = self.line.ends_with(b"\n");
            if self.line.len() >= LONGEST && !whole {
                self.line.clear();
                self.overlong = true;
                continue;
            }
            if !whole {
                return Ok(Found::End);
            }
            if std::mem::take(&mut self.overlong) {
                return Ok(Found::Overlong);
            }
            return Ok(Found::Line);
        }
    }

    /// Whether the file ended within a line, which will never be whole.
    pub(crate) fn is_cut(&self) -> bool {
        self.overlong || !(self.line.is_empty() || self.line.ends_with(b"\n"))
    }

    /// Begins anew where the file was cut short or replaced by another. Gives whether it was.
    pub(crate) fn renew(&mut self) -> io::Result<bool> {
        match std::fs::metadata(&self.path) {
            Ok(there) if there.ino() != self.inode => {
                *self = Self::open(&self.path)?;
                Ok(true)
            }
            Ok(there) if there.len() < self.offset => {
                self.reader.seek(SeekFrom::Start(0))?;
                self.offset = 0;
                self.line.clear();
                self.overlong = false;
                Ok(true)
            }
            // A file that is gone may come back.
            Ok(_) | Err(_) => Ok(false),
        }
    }
}
