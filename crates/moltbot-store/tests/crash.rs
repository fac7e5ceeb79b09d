//! Nothing acknowledged is lost, and nothing damaged is overwritten.

#![allow(clippy::unwrap_used)] // a test that can't go on panics

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use moltbot_store::{Place, Store, StoreError};
use moltbot_types::Workspace;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, SqliteConnection};

/// The program that is killed: built beside this test.
fn program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().and_then(Path::parent).unwrap();
    profile.join("examples/crash")
}

fn place(folder: &Path) -> Place {
    Place::Sqlite(folder.join("moltbot.db"))
}

async fn raw(folder: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(folder.join("moltbot.db"));
    options.connect().await.unwrap()
}

async fn keep(store: &Store, key: &str, value: String) -> Result<(), StoreError> {
    let workspace = Workspace::default();
    store.kv.set(&workspace, "s", key, value).await
}

/// A closed store with some pages in it.
async fn filled(folder: &Path) -> PathBuf {
    let store = Store::open(&place(folder)).await.unwrap();
    for key in 0..200 {
        let value = format!("\"{}\"", "x".repeat(1000));
        keep(&store, &key.to_string(), value).await.unwrap();
    }
    store.close().await.unwrap();
    folder.join("moltbot.db")
}

#[tokio::test]
async fn nothing_acknowledged_is_lost_when_a_process_is_killed_fifty_times() {
    let folder = tempfile::tempdir().unwrap();
    let (mut rows, mut keys) = (Vec::new(), Vec::new());
    for round in 0..50_u64 {
        let mut child = Command::new(program())
            .arg("write")
            .arg(folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let reader =
            std::thread::spawn(move || out.lines().map_while(Result::ok).collect::<Vec<_>>());
        std::thread::sleep(Duration::from_millis(40 + round * 61 % 160));
        child.kill().unwrap();
        child.wait().unwrap();
        for line in reader.join().unwrap() {
            match line.split_once(' ') {
                Some(("row", id)) => rows.push(id.to_owned()),
                Some(("key", key)) => keys.push(key.to_owned()),
                _ => {}
            }
        }
    }
    assert!(
        rows.len() > 500 && keys.len() > 500,
        "{} {}",
        rows.len(),
        keys.len()
    );
    let store = Store::open(&place(folder.path())).await.unwrap();
    let workspace = Workspace::default();
    for id in &rows {
        let found = store.ledger.find(&workspace, id.parse().unwrap()).await;
        assert!(found.unwrap().is_some(), "the row {id} is lost");
    }
    for key in &keys {
        let found = store.kv.get(&workspace, "s", key).await;
        assert!(found.unwrap().is_some(), "the key {key} is lost");
    }
}

#[test]
fn a_full_disk_refuses_what_it_cannot_keep_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let script = r#"mount -t tmpfs -o size=2m none "$1" && head -c 500000 /dev/zero > "$1/ballast" && exec "$0" full "$1""#;
    // A namespace of its own: the small disk is there for this process alone.
    let ran = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", script])
        .arg(program())
        .arg(folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8(ran.stdout).unwrap();
    let lines: Vec<_> = said.lines().collect();
    assert!(
        ran.status.success(),
        "{said} {}",
        String::from_utf8_lossy(&ran.stderr)
    );
    assert!(lines[0].contains("there is no room to write"), "{said}");
    assert!(lines[0].contains("moltbot.db"), "{said}");
    assert_ne!(
        lines[1], "waiting 0",
        "the disk took all rows: it was not full"
    );
    assert_eq!(lines[2..], ["calls 500", "lost 0"], "{said}");
}

#[tokio::test]
async fn a_damaged_file_is_refused_with_its_cure_and_left_as_it_is() {
    for (at, what) in [
        (0, "the head"),
        (8192, "a page"),
        (40 * 4096, "a page in the middle"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let file = filled(folder.path()).await;
        let mut bytes = fs::read(&file).unwrap();
        bytes[at..at + 512].fill(0xa5);
        fs::write(&file, &bytes).unwrap();
        let error = Store::open(&place(folder.path())).await.unwrap_err();
        assert!(
            matches!(error, StoreError::Corrupt { .. }),
            "{what}: {error}"
        );
        let message = error.to_string();
        assert!(message.contains(file.to_str().unwrap()), "{message}");
        assert!(message.contains("put a backup in its place"), "{message}");
        assert!(
            fs::read(&file).unwrap() == bytes,
            "{what} was damaged and is overwritten"
        );
    }
}

#[tokio::test]
async fn a_second_process_is_told_that_the_file_is_in_use() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&place(folder.path())).await.unwrap();
    let error = Store::open(&place(folder.path())).await.unwrap_err();
    assert_eq!(error, StoreError::Locked(folder.path().join("moltbot.db")));
    assert!(
        error
            .to_string()
            .contains("is in use by another process; stop it"),
        "{error}"
    );
    store.close().await.unwrap();
    drop(store);
    Store::open(&place(folder.path())).await.unwrap();
}

#[tokio::test]
async fn a_file_that_another_program_holds_is_waited_for_and_then_named() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path()).await;
    let mut other = raw(folder.path()).await;
    sqlx::query("BEGIN IMMEDIATE")
        .execute(&mut other)
        .await
        .unwrap();
    let store = Store::open(&place(folder.path())).await.unwrap();
    let set = || keep(&store, "k", "1".to_owned());
    let error = set().await.unwrap_err();
    assert!(matches!(error, StoreError::Locked(_)), "{error}");
    sqlx::query("COMMIT").execute(&mut other).await.unwrap();
    set().await.unwrap();
}

#[tokio::test]
async fn a_file_of_a_newer_version_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let file = filled(folder.path()).await;
    let mut other = raw(folder.path()).await;
    let insert = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) VALUES (9999, 'x', 1, x'00', 0)";
    sqlx::query(insert).execute(&mut other).await.unwrap();
    drop(other);
    let error = Store::open(&place(folder.path())).await.unwrap_err();
    assert!(
        matches!(error, StoreError::Newer { found: 9999, .. }),
        "{error}"
    );
    let message = error.to_string();
    assert!(
        message.contains("written by a newer version") && message.contains(file.to_str().unwrap()),
        "{message}"
    );
}
