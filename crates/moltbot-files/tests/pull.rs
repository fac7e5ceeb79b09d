//! Pulls from a server that breaks off, changes its mind, or knows no ranges.

mod server;

use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use moltbot_files::{FilesError, Progress, PullSettings, Pulled, State, pull, verify};
use server::{Content, Server};

const SIZE: usize = 300_000;

fn settings() -> PullSettings {
    PullSettings {
        range: 50_000,
        wait: Duration::from_millis(1),
        ..PullSettings::default()
    }
}

async fn load(server: &Server, folder: &Path) -> Result<Pulled, FilesError> {
    pull(
        &server.url("model.bin?token=hidden-token"),
        folder,
        &settings(),
        &|_| (),
    )
    .await
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let mut names: Vec<_> = entries
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .into_string()
                .expect("a name")
        })
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_file_comes_in_ranges_and_leaves_nothing_beside_it() {
    let (server, folder) = (
        Server::start(Content::of(SIZE)).await,
        tempfile::tempdir().unwrap(),
    );
    let told = Mutex::new(Vec::new());
    let tell = |progress| told.lock().unwrap().push(progress);
    let pulled = pull(&server.url("model.bin"), folder.path(), &settings(), &tell)
        .await
        .unwrap();
    assert_eq!(std::fs::read(&pulled.file).unwrap(), server.bytes());
    assert_eq!(names(folder.path()), [".model.bin.json", "model.bin"]);
    assert!(
        server
            .asked()
            .iter()
            .filter(|asked| asked.starts_with("bytes="))
            .count()
            >= 6
    );
    let last = *told
        .lock()
        .unwrap()
        .iter()
        .rfind(|told| matches!(told, Progress::Loading { .. }))
        .unwrap();
    assert_eq!(
        last,
        Progress::Loading {
            done: SIZE as u64,
            total: Some(SIZE as u64)
        }
    );
}

#[tokio::test]
async fn a_pull_goes_on_where_the_last_one_broke() {
    let (server, folder) = (
        Server::start(Content::of(SIZE)).await,
        tempfile::tempdir().unwrap(),
    );
    server.change(|content| content.fails_after = Some(3));
    let error = load(&server, folder.path()).await.unwrap_err();
    assert_eq!(error.exit_code(), 1);
    assert!(!error.to_string().contains("hidden-token"), "{error}");
    assert!(!folder.path().join("model.bin").exists());

    server.change(|content| content.fails_after = None);
    let before = server.sent();
    load(&server, folder.path()).await.unwrap();
    let again = server.sent() - before;
    assert!(again < SIZE as u64, "{again} bytes were loaded again");
    assert_eq!(
        std::fs::read(folder.path().join("model.bin")).unwrap(),
        server.bytes()
    );
}

#[tokio::test]
async fn a_connection_that_breaks_off_is_tried_again_from_where_it_broke() {
    let (server, folder) = (
        Server::start(Content::of(SIZE)).await,
        tempfile::tempdir().unwrap(),
    );
    server.change(|content| content.breaks = 2);
    load(&server, folder.path()).await.unwrap();
    assert_eq!(
        std::fs::read(folder.path().join("model.bin")).unwrap(),
        server.bytes()
    );
    assert!(server.asked().iter().all(|asked| asked != "whole"));
}

#[tokio::test]
async fn another_version_of_the_file_is_never_mixed_with_the_first() {
    let (server, folder) = (
        Server::start(Content::of(SIZE)).await,
        tempfile::tempdir().unwrap(),
    );
    server.change(|content| content.fails_after = Some(3));
    load(&server, folder.path()).await.unwrap_err();
    server.change(|content| {
        content.fails_after = None;
        content.bytes.fill(7);
        content.tag = "\"second\"".to_owned();
    });
    load(&server, folder.path()).await.unwrap();
    assert_eq!(
        std::fs::read(folder.path().join("model.bin")).unwrap(),
        vec![7; SIZE]
    );

    // … and neither when it changes in the middle of a pull
    let folder = tempfile::tempdir().unwrap();
    server.change(|content| content.changes_after = Some(3));
    load(&server, folder.path()).await.unwrap();
    assert_eq!(
        std::fs::read(folder.path().join("model.bin")).unwrap(),
        server.bytes()
    );
}

#[tokio::test]
async fn a_server_without_ranges_is_read_from_its_start() {
    let (server, folder) = (
        Server::start(Content::of(SIZE)).await,
        tempfile::tempdir().unwrap(),
    );
    server.change(|content| {
        content.ranges = false;
        content.breaks = 1;
    });
    load(&server, folder.path()).await.unwrap();
    assert_eq!(
        std::fs::read(folder.path().join("model.bin")).unwrap(),
        server.bytes()
    );
}

#[tokio::test]
async fn a_wrong_checksum_never_gets_the_name() {
    let (server, folder) = (
        Server::start(Content::of(SIZE)).await,
        tempfile::tempdir().unwrap(),
    );
    let sum = "0".repeat(64);
    let settings = PullSettings {
        sha256: Some(sum),
        ..settings()
    };
    let error = pull(&server.url("model.bin"), folder.path(), &settings, &|_| ())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("checksum"), "{error}");
    assert!(
        names(folder.path()).is_empty(),
        "{:?}",
        names(folder.path())
    );
}

#[tokio::test]
async fn an_error_page_is_no_model() {
    let (server, folder) = (
        Server::start(Content::of(SIZE)).await,
        tempfile::tempdir().unwrap(),
    );
    let error = pull(&server.url("m.gguf"), folder.path(), &settings(), &|_| ())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("no GGUF file"), "{error}");
    assert!(names(folder.path()).is_empty());
}

#[tokio::test]
async fn an_equal_file_is_kept_and_a_different_one_replaced_only_when_told() {
    let (server, folder) = (
        Server::start(Content::of(SIZE)).await,
        tempfile::tempdir().unwrap(),
    );
    assert!(!load(&server, folder.path()).await.unwrap().kept);
    let before = server.sent();
    assert!(load(&server, folder.path()).await.unwrap().kept);
    assert!(
        server.sent() - before < 10,
        "an equal version is not loaded again"
    );

    server.change(|content| {
        content.bytes.fill(9);
        content.tag = "\"second\"".to_owned();
    });
    let error = load(&server, folder.path()).await.unwrap_err();
    assert!(error.to_string().contains("--force"), "{error}");
    let force = PullSettings {
        force: true,
        ..settings()
    };
    let before = server.sent();
    let source = server.url("model.bin?token=hidden-token");
    let pulled = pull(&source, folder.path(), &force, &|_| ()).await.unwrap();
    assert!(
        server.sent() - before < 10,
        "what was loaded for the comparison is used"
    );
    assert_eq!(std::fs::read(pulled.file).unwrap(), server.bytes());
}

#[tokio::test]
async fn a_source_that_is_none_is_told_apart_from_one_that_is_missing() {
    let (server, folder) = (
        Server::start(Content::of(10)).await,
        tempfile::tempdir().unwrap(),
    );
    for (source, code) in [
        ("ftp://host/file".to_owned(), 2),
        (server.url(""), 2),
        ("/no/such/file.gguf".to_owned(), 4),
        (server.url("missing"), 4),
        ("http://127.0.0.1:1/file".to_owned(), 1),
    ] {
        let error = pull(&source, folder.path(), &settings(), &|_| ())
            .await
            .unwrap_err();
        assert_eq!(error.exit_code(), code, "{source}: {error}");
    }
}

#[tokio::test]
async fn a_damaged_file_is_named() {
    let (server, folder) = (
        Server::start(Content::of(SIZE)).await,
        tempfile::tempdir().unwrap(),
    );
    let pulled = load(&server, folder.path()).await.unwrap();
    let state = |name| verify(folder.path(), name).unwrap()[0].state;
    assert_eq!(state(None), State::Whole);
    let mut bytes = server.bytes();
    bytes[SIZE / 2] ^= 1;
    std::fs::write(&pulled.file, bytes).unwrap();
    assert_eq!(state(Some("model.bin")), State::Damaged);
    std::fs::remove_file(&pulled.file).unwrap();
    assert_eq!(state(None), State::Gone);
    assert_eq!(
        verify(folder.path(), Some("other"))
            .unwrap_err()
            .exit_code(),
        4
    );
}
