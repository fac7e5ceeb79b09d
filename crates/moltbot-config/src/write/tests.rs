use std::process::{Command, Stdio};

use tempfile::TempDir;
use tokio::time::Instant;

use super::*;

/// Tells a test that it is the child of itself: the file to write until it is ended.
const CHILD: &str = "MOLTBOT_TEST_WRITER";
/// Long enough to be written in several steps.
const LENGTH: usize = 1 << 20;

fn child() -> Option<PathBuf> {
    std::env::var_os(CHILD).map(PathBuf::from)
}

/// A child that runs `test` under shell `limits` to write `path`.
fn writer(test: &str, limits: &str, path: &Path) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", &format!("{limits}; exec \"$0\" --exact \"$1\"")])
        .arg(std::env::current_exe().unwrap())
        .arg(format!("write::tests::{test}"))
        .env(CHILD, path)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

/// A file of nothing but `letter`, with mode 0640.
fn file_of(letter: &str) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    fs::write(&path, letter.repeat(LENGTH)).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
    (dir, path)
}

/// The one letter that fills the file, which has kept its mode.
fn letter(path: &Path) -> char {
    let content = fs::read_to_string(path).unwrap();
    let letter = content.chars().next().unwrap();
    assert!(content.len() == LENGTH && content.chars().all(|c| c == letter));
    let mode = fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
    letter
}

fn entries(dir: &TempDir) -> usize {
    fs::read_dir(dir.path()).unwrap().count()
}

#[test]
fn fm_65_a_writer_that_dies_half_way_leaves_the_old_file_whole() {
    if let Some(path) = child() {
        return replace(&path, &"b".repeat(LENGTH)).unwrap();
    }
    let (dir, path) = file_of("a");
    // the system ends a process whose file outgrows the limit
    let status = writer(
        "fm_65_a_writer_that_dies_half_way_leaves_the_old_file_whole",
        "ulimit -c 0; ulimit -f 256",
        &path,
    )
    .status();
    assert!(!status.unwrap().success());
    assert_eq!(letter(&path), 'a');
    assert_eq!(entries(&dir), 2, "it died before it began to write");
    replace(&path, &"c".repeat(LENGTH)).unwrap();
    assert_eq!(letter(&path), 'c');
}

#[test]
fn fm_65_a_killed_writer_and_every_reader_find_a_whole_file() {
    if let Some(path) = child() {
        for letter in ["b", "c"].repeat(200) {
            replace(&path, &letter.repeat(LENGTH)).unwrap();
        }
        return;
    }
    let (_dir, path) = file_of("a");
    for _ in 0..5 {
        replace(&path, &"a".repeat(LENGTH)).unwrap();
        let mut child = writer(
            "fm_65_a_killed_writer_and_every_reader_find_a_whole_file",
            "true",
            &path,
        )
        .spawn()
        .unwrap();
        let start = Instant::now();
        while letter(&path) == 'a' && start.elapsed() < Duration::from_secs(20) {}
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(matches!(letter(&path), 'b' | 'c'));
    }
}

#[test]
fn fm_65_a_refused_write_leaves_everything_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("file");
    fs::create_dir(&target).unwrap();
    fs::write(target.join("inside"), "a").unwrap();
    assert!(replace(&target, "b").is_err());
    assert!(target.join("inside").exists());
    assert_eq!(entries(&dir), 1);
}
