//! Who changed what: a file that only grows, each line bound to the one before, so that a changed byte is found.
//!
//! A line is a JSON object whose last field is the SHA-256 of the line before and of its own text. Whoever can write
//! the whole file can make a new chain; copy its last hash elsewhere to find that out too.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::digest::{Context, SHA256};
use jiff::Timestamp;
use moltbot_config::Home;
use moltbot_types::admin::{AuditEntry, AuditVerdict};
use rustix::fs::OFlags;
use tracing::error;

/// Most bytes of a line.
const LONGEST: usize = 16 << 10;
/// What stands before the hash of a line, and after it.
const BEFORE: &str = ",\"hash\":\"";
const AFTER: &str = "\"}";
const HASH: usize = 64;

/// The audit log of a home. Clones share it.
#[derive(Clone)]
pub(crate) struct Audit {
    path: PathBuf,
    writing: Arc<Mutex<()>>,
}

impl Audit {
    pub(crate) fn new(home: &Home) -> Self {
        Self {
            path: home.audit_file(),
            writing: Arc::default(),
        }
    }

    /// Writes an entry down. Where the disk takes none, the log says so: nothing else can be done about it.
    pub(crate) fn write(&self, entry: &AuditEntry) {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = self.append(entry) {
            error!(%error, action = entry.action, "{} can't be written", self.path.display());
        }
    }

    fn append(&self, entry: &AuditEntry) -> io::Result<()> {
        if let Some(folder) = self.path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let mut file = OpenOptions::new()
            .create(true)
            .read(true)
            .append(true)
            .mode(0o600)
            .custom_flags(OFlags::NOFOLLOW.bits() as i32)
            .open(&self.path)?;
        let last = last_hash(&mut file)?;
        let mut body = serde_json::to_string(entry)?;
        body.pop();
        let hash = hash(&last, &body);
        file.write_all(format!("{body}{BEFORE}{hash}{AFTER}\n").as_bytes())?;
        file.sync_data()
    }

    /// The last `most` entries, the oldest first: of one workspace, or of all.
    ///
    /// # Errors
    /// The file can't be read.
    pub(crate) fn entries(
        &self,
        workspace: Option<&str>,
        most: usize,
    ) -> io::Result<Vec<AuditEntry>> {
        let text = self.text()?;
        let entries = text.lines().rev().filter_map(|line| {
            let entry: AuditEntry = serde_json::from_str(line).ok()?;
            let asked = workspace.is_none_or(|workspace| entry.workspace == workspace);
            asked.then_some(entry)
        });
        let mut last: Vec<_> = entries.take(most).collect();
        last.reverse();
        Ok(last)
    }

    /// Whether the file is what was written, else the first line that is not.
    ///
    /// # Errors
    /// The file can't be read.
    pub(crate) fn verify(&self) -> io::Result<AuditVerdict> {
        let mut last = String::new();
        let text = self.text()?;
        let mut lines = 0;
        for line in text.split_inclusive('\n') {
            lines += 1;
            let found = parts(line.strip_suffix('\n').unwrap_or_default());
            let good = found.filter(|(body, told)| hash(&last, body) == *told);
            let Some((_, told)) = good else {
                return Ok(AuditVerdict {
                    ok: false,
                    lines,
                    broken: Some(lines),
                    last: None,
                });
            };
            told.clone_into(&mut last);
        }
        Ok(AuditVerdict {
            ok: true,
            lines,
            broken: None,
            last: (lines > 0).then_some(last),
        })
    }

    fn text(&self) -> io::Result<String> {
        match std::fs::read(&self.path) {
            Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
            Err(error) => Err(error),
        }
    }
}

/// An entry of this moment.
pub(crate) fn entry(actor: &str, action: impl Into<String>) -> AuditEntry {
    AuditEntry {
        ts: Timestamp::now().to_string(),
        actor: actor.to_owned(),
        action: action.into(),
        ..AuditEntry::default()
    }
}

/// The hash of the last line; a line that a power cut tore is ended, and stays to be found.
fn last_hash(file: &mut File) -> io::Result<String> {
    let length = file.metadata()?.len();
    if length == 0 {
        return Ok(String::new());
    }
    file.seek(SeekFrom::Start(length.saturating_sub(2 * LONGEST as u64)))?;
    let mut end = Vec::new();
    file.read_to_end(&mut end)?;
    if end.last() != Some(&b'\n') {
        file.write_all(b"\n")?;
    }
    let text = String::from_utf8_lossy(&end);
    let last = text.trim_end_matches('\n').rsplit('\n').next();
    let told = last.and_then(parts).map(|(_, told)| told.to_owned());
    Ok(told.unwrap_or_default())
}

/// The text of a line and the hash that it tells.
fn parts(line: &str) -> Option<(&str, &str)> {
    let rest = line.strip_suffix(AFTER)?;
    let (body, told) = rest.split_at_checked(rest.len().checked_sub(HASH)?)?;
    Some((body.strip_suffix(BEFORE)?, told))
}

fn hash(last: &str, body: &str) -> String {
    let mut hash = Context::new(&SHA256);
    hash.update(last.as_bytes());
    hash.update(b"\n");
    hash.update(body.as_bytes());
    hex::encode(hash.finish())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    fn written() -> (tempfile::TempDir, Audit) {
        let dir = tempfile::tempdir().unwrap();
        let audit = Audit::new(&Home::new(dir.path()));
        for n in 0..4 {
            audit.write(&entry("socket", format!("PUT config/values/{n}")));
        }
        (dir, audit)
    }

    #[test]
    fn a_chain_is_whole_and_for_its_owner_alone() {
        let (_dir, audit) = written();
        let verdict = audit.verify().unwrap();
        assert!(verdict.ok && verdict.lines == 4 && verdict.last.is_some());
        assert_eq!(
            std::fs::metadata(&audit.path).unwrap().mode() & 0o777,
            0o600
        );
        let entries = audit.entries(None, 2).unwrap();
        assert_eq!(entries[1].action, "PUT config/values/3");
    }

    #[test]
    fn any_flipped_byte_is_found_in_its_line() {
        let (_dir, audit) = written();
        let good = std::fs::read(&audit.path).unwrap();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            std::fs::write(&audit.path, &bad).unwrap();
            let line = 1 + good[..at].iter().filter(|byte| **byte == b'\n').count();
            let verdict = audit.verify().unwrap();
            assert!(!verdict.ok, "byte {at}");
            assert_eq!(verdict.broken, Some(line), "byte {at}");
        }
    }

    #[test]
    fn a_line_that_is_taken_out_or_moved_is_found() {
        let (_dir, audit) = written();
        let text = std::fs::read_to_string(&audit.path).unwrap();
        let mut lines: Vec<_> = text.lines().collect();
        lines.swap(1, 2);
        std::fs::write(&audit.path, lines.join("\n") + "\n").unwrap();
        assert_eq!(audit.verify().unwrap().broken, Some(2));
        lines.swap(1, 2);
        lines.remove(1);
        std::fs::write(&audit.path, lines.join("\n") + "\n").unwrap();
        assert_eq!(audit.verify().unwrap().broken, Some(2));
    }

    #[test]
    fn a_torn_line_stays_to_be_found_and_new_ones_follow() {
        let (_dir, audit) = written();
        let text = std::fs::read_to_string(&audit.path).unwrap();
        std::fs::write(&audit.path, &text[..text.len() - 10]).unwrap();
        audit.write(&entry("socket", "POST reload"));
        assert_eq!(audit.verify().unwrap().broken, Some(4));
        assert_eq!(audit.entries(None, 1).unwrap()[0].action, "POST reload");
    }
}
