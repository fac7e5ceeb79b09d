//! Reads the files under `golden/`, of the shapes that real servers send, and compares what is made of
//! them with the `.out` files beside them. `BLESS=1` writes those anew.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use super::*;

/// The input files of a folder, sorted; there must be some.
fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("golden")
        .join(folder);
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|it| it != "out"))
        .collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

fn compare(file: &Path, made: &str) {
    let out = file.with_extension("out");
    if std::env::var_os("BLESS").is_some() {
        fs::write(&out, made).unwrap();
    }
    let want = fs::read_to_string(&out).unwrap_or_default();
    assert_eq!(made, want, "{}", out.display());
}

fn stem(file: &Path) -> &str {
    file.file_stem().unwrap().to_str().unwrap()
}

#[test]
fn requests_are_read_and_edited_as_written_down() {
    for file in files("requests") {
        let body = Bytes::from(fs::read(&file).unwrap());
        let operation = match stem(&file) {
            "completion" => Operation::Complete,
            "embedding" => Operation::Embed,
            _ => Operation::Chat,
        };
        let head = OPENAI.peek(operation, &body).unwrap();
        let prompt = OPENAI.read(operation, &body).unwrap();
        let edits = [
            Edit::Model(r#""up""#.into()),
            Edit::Default {
                name: "max_tokens".into(),
                value: "2048".into(),
            },
        ];
        let edited = OPENAI.edit(&head, &body, &edits).unwrap();
        let edited = std::str::from_utf8(&edited).unwrap();
        compare(&file, &format!("{head:#?}\n{prompt:#?}\n{edited}\n"));
    }
}

#[test]
fn streams_are_marked_as_written_down() {
    for file in files("streams") {
        let text = fs::read(&file).unwrap();
        // A size that cuts frames, lines and characters apart.
        let mut stream = OPENAI.splitter(Operation::Chat, 1 << 20);
        let mut made = String::new();
        let mut joined = Vec::new();
        let pieces = text
            .chunks(61)
            .map(|piece| Some(Bytes::copy_from_slice(piece)));
        for piece in pieces.chain([None]) {
            let frames = match piece {
                Some(piece) => stream.push(piece),
                None => stream.finish(),
            };
            match frames {
                Ok(frames) => {
                    let frames = frames.unwrap_or_default();
                    joined.extend_from_slice(frames.raw());
                    for (_, mark) in frames.iter() {
                        writeln!(made, "{mark:?}").unwrap();
                    }
                    if let Some(usage) = frames.usage {
                        writeln!(made, "{usage:?}").unwrap();
                    }
                    if let Some(failure) = stream.failure() {
                        writeln!(made, "{failure:?}").unwrap();
                    }
                }
                Err(error) => writeln!(made, "{error:?}").unwrap(),
            }
        }
        assert!(
            joined.starts_with(&text) || text.starts_with(&joined),
            "{}",
            file.display()
        );
        compare(&file, &made);
    }
}

#[test]
fn answers_are_checked_as_written_down() {
    for file in files("answers") {
        let body = fs::read(&file).unwrap();
        compare(
            &file,
            &format!("{:#?}\n", OPENAI.check(Operation::Chat, &body)),
        );
        for cut in 0..body.len() {
            let error = OPENAI.check(Operation::Chat, &body[..cut]).unwrap_err();
            assert_eq!(error.kind(), moltbot_types::Kind::BadReply);
        }
    }
}
