//! Rows go from the journal into their tables.

use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;
use tracing::warn;

use super::Sqlite;
use crate::error::{Result, StoreError};
use crate::{experiments, journal, ledger};

/// Rows of `ledger` in the journal.
pub(crate) const LEDGER: u8 = 1;
/// Rows of `experiments` in the journal.
pub(crate) const EXPERIMENT: u8 = 2;

/// Rows of one transaction; others get their turn between two.
const CHUNK: usize = 1000;

impl Sqlite {
    /// Hands a row to the operating system.
    pub(crate) fn append(&self, kind: u8, row: &impl Serialize) -> Result<()> {
        let json = serde_json::to_string(row).map_err(|error| self.failed(error))?;
        let appended = self.journal.append(kind, &json);
        appended.map_err(|error| self.of_io(&self.file, &error))
    }

    /// Brings all rows that were appended before to the disk, into their tables.
    pub(crate) async fn fold(&self) -> Result<()> {
        // Whoever waits here finds most of its rows folded by the one before.
        let _turn = self.folding.lock().await;
        let segments = self.journal.seal();
        for segment in segments.map_err(|error| self.of_io(&self.file, &error))? {
            self.fold_segment(&segment).await?;
        }
        Ok(())
    }

    async fn fold_segment(&self, segment: &Path) -> Result<()> {
        let said = |error: io::Error| self.of_io(segment, &error);
        let bytes = tokio::fs::read(segment).await.map_err(said)?;
        let (rows, mut damaged) = journal::lines(&bytes);
        for rows in rows.chunks(CHUNK) {
            let of = |kind| {
                let rows = rows.iter().filter(|row| row.kind == kind);
                rows.map(|row| row.body.to_owned()).collect::<Vec<_>>()
            };
            let (ledger, experiments) = (of(LEDGER), of(EXPERIMENT));
            let write = self.write(move |connection| {
                Box::pin(async move {
                    let unread = ledger::fold(&mut *connection, &ledger).await?;
                    Ok(unread + experiments::fold(connection, &experiments).await?)
                })
            });
            damaged += write.await?;
        }
        if damaged == 0 {
            return tokio::fs::remove_file(segment).await.map_err(said);
        }
        let mut aside = segment.as_os_str().to_owned();
        aside.push(".damaged");
        let aside = PathBuf::from(aside);
        warn!(file = %aside.display(), damaged, "rows of a segment can't be read; the rest is stored and the file is kept");
        tokio::fs::rename(segment, &aside).await.map_err(said)
    }

    fn of_io(&self, file: &Path, error: &io::Error) -> StoreError {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                StoreError::Full(file.to_owned())
            }
            _ => StoreError::Failed {
                file: file.to_owned(),
                detail: error.to_string(),
            },
        }
    }

    fn failed(&self, error: impl std::fmt::Display) -> StoreError {
        StoreError::Failed {
            file: self.file.to_path_buf(),
            detail: error.to_string(),
        }
    }
}
