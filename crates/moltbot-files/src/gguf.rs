//! The head of a GGUF file: enough to tell a model from an error page.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::error::{FilesError, disk};

/// Tensors or metadata entries; real files have thousands.
const MOST: u64 = 1 << 24;

/// Checks the head of a file whose name ends in `.gguf`; others are taken as they are.
pub(crate) fn check(name: &Path, file: &Path) -> Result<(), FilesError> {
    if name.extension().is_none_or(|ending| ending != "gguf") {
        return Ok(());
    }
    let mut head = [0; 24];
    let mut file = File::open(file).map_err(disk(file))?;
    let is_gguf = file.read_exact(&mut head).is_ok() && looks_right(&head);
    if is_gguf {
        return Ok(());
    }
    Err(FilesError::Failed(format!(
        "{} is no GGUF file: its head is wrong; look at the address with a browser",
        name.display()
    )))
}

/// Magic, version, number of tensors, number of metadata entries; all little-endian.
fn looks_right(head: &[u8; 24]) -> bool {
    let version = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
    let number = |at: usize| {
        let bytes = head[at..at + 8].try_into().unwrap_or_default();
        u64::from_le_bytes(bytes)
    };
    head.starts_with(b"GGUF")
        && (1..=16).contains(&version)
        && number(8) < MOST
        && number(16) < MOST
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(magic: &[u8; 4], version: u32, tensors: u64) -> [u8; 24] {
        let mut head = [0; 24];
        head[..4].copy_from_slice(magic);
        head[4..8].copy_from_slice(&version.to_le_bytes());
        head[8..16].copy_from_slice(&tensors.to_le_bytes());
        head
    }

    #[test]
    fn a_model_is_told_from_an_error_page() {
        assert!(looks_right(&head(b"GGUF", 3, 272)));
        assert!(!looks_right(b"<!DOCTYPE html><html><he"));
        assert!(!looks_right(&head(b"GGML", 3, 272)));
        assert!(!looks_right(&head(b"GGUF", 0, 272)));
        assert!(!looks_right(&head(b"GGUF", 3, u64::MAX)));
    }

    #[test]
    fn a_short_file_is_no_model_and_other_names_are_not_looked_into() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("part");
        std::fs::write(&file, "GGUF").unwrap();
        assert!(check(Path::new("m.gguf"), &file).is_err());
        assert!(check(Path::new("m.safetensors"), &file).is_ok());
    }
}
