//! What SQLite's errors mean for a person.

use std::path::Path;

use crate::error::StoreError;

/// The error of a statement on `file`.
pub(crate) fn explain(file: &Path, error: &sqlx::Error) -> StoreError {
    let file = file.to_owned();
    let detail = match error {
        sqlx::Error::Database(error) => error.message().to_owned(),
        sqlx::Error::PoolClosed => return StoreError::Closed,
        other => other.to_string(),
    };
    // The low byte is the kind, the rest its detail.
    match code(error).map(|code| code & 0xff) {
        Some(BUSY | LOCKED) => StoreError::Locked(file),
        Some(CORRUPT | NOT_A_DATABASE) => StoreError::Corrupt { file, detail },
        Some(FULL) => StoreError::Full(file),
        Some(READ_ONLY | CANNOT_OPEN) => StoreError::Failed {
            detail: format!(
                "{detail}; give the user that runs this access to it and to its folder"
            ),
            file,
        },
        _ => StoreError::Failed { file, detail },
    }
}

/// Whether a change failed by its own fault, so that others of its transaction may go on.
pub(super) fn is_of_change(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(_) => {
            matches!(
                code(error).map(|code| code & 0xff),
                Some(CONSTRAINT | MISMATCH | TOO_BIG)
            )
        }
        other => matches!(
            other,
            sqlx::Error::Decode(_) | sqlx::Error::ColumnDecode { .. } | sqlx::Error::RowNotFound
        ),
    }
}

const BUSY: i32 = 5;
const LOCKED: i32 = 6;
const READ_ONLY: i32 = 8;
const CORRUPT: i32 = 11;
const FULL: i32 = 13;
const CANNOT_OPEN: i32 = 14;
const TOO_BIG: i32 = 18;
const CONSTRAINT: i32 = 19;
const MISMATCH: i32 = 20;
const NOT_A_DATABASE: i32 = 26;

fn code(error: &sqlx::Error) -> Option<i32> {
    match error {
        sqlx::Error::Database(error) => error.code()?.parse().ok(),
        _ => None,
    }
}
