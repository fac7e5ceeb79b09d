use std::sync::Mutex;
use std::time::UNIX_EPOCH;

use super::*;

const NOON: u64 = 1_769_860_800; // 2026-01-31T12:00:00Z
const DAY: u64 = 86_400;

struct Time(Arc<Mutex<SystemTime>>);

impl Time {
    fn at(second: u64) -> Self {
        Self(Arc::new(Mutex::new(
            UNIX_EPOCH + Duration::from_secs(second),
        )))
    }

    fn pass(&self, seconds: u64) {
        *self.0.lock().unwrap() += Duration::from_secs(seconds);
    }

    fn clock(&self) -> Clock {
        let time = Arc::clone(&self.0);
        Arc::new(move || *time.lock().unwrap())
    }
}

fn settings(dir: &Path) -> LogSettings {
    LogSettings {
        dir: dir.to_owned(),
        keep: Duration::from_secs(2 * DAY),
        ..LogSettings::default()
    }
}

fn say(log: &Log, msg: &str) {
    log.line(Level::Info, msg, |_| {});
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn read(dir: &Path, day: &str) -> String {
    fs::read_to_string(dir.join(format!("moltbotd.{day}.jsonl"))).unwrap()
}

#[test]
fn each_day_has_a_file_that_only_its_owner_reads() {
    let dir = tempfile::tempdir().unwrap();
    let time = Time::at(NOON);
    let (log, writer) = LogWriter::start_with(settings(dir.path()), time.clock()).unwrap();
    say(&log, "one");
    time.pass(DAY / 2);
    say(&log, "two");
    drop(writer);
    assert_eq!(
        read(dir.path(), "2026-01-31"),
        "{\"ts\":\"2026-01-31T12:00:00.000Z\",\"level\":\"info\",\"msg\":\"one\"}\n"
    );
    assert!(read(dir.path(), "2026-02-01").contains("\"two\""));
    let mode = fs::metadata(dir.path().join("moltbotd.2026-01-31.jsonl"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn old_files_go_and_foreign_ones_stay() {
    let dir = tempfile::tempdir().unwrap();
    for name in [
        "moltbotd.2026-01-27.jsonl",
        "moltbotd.2026-01-28.jsonl",
        "moltbotd.2026-01-29.jsonl",
        "moltbotd.2026-01-01.jsonl.bak",
        "other.2026-01-01.jsonl",
    ] {
        fs::write(dir.path().join(name), "").unwrap();
    }
    let time = Time::at(NOON);
    let (log, writer) = LogWriter::start_with(settings(dir.path()), time.clock()).unwrap();
    assert!(!dir.path().join("moltbotd.2026-01-28.jsonl").exists());
    time.pass(DAY);
    say(&log, "next");
    drop(writer);
    assert_eq!(
        names(dir.path()),
        [
            "moltbotd.2026-01-01.jsonl.bak",
            "moltbotd.2026-01-31.jsonl",
            "moltbotd.2026-02-01.jsonl",
            "other.2026-01-01.jsonl",
        ]
    );
}

#[test]
fn fm_67_a_full_buffer_drops_lines_and_counts_them() {
    let log = Log::new(Level::Info, 200, Time::at(NOON).clock());
    for _ in 0..10 {
        say(&log, "a line of some length, so that few of them fit");
    }
    assert_eq!(log.dropped(), 8);
    let mut batch = Batch::default();
    assert!(log.take(&mut batch));
    assert_eq!(batch.bytes.iter().filter(|byte| **byte == b'\n').count(), 2);
    say(&log, "room again");
    assert_eq!(log.dropped(), 8);
}

#[test]
fn lines_below_the_level_are_not_written() {
    let dir = tempfile::tempdir().unwrap();
    let (log, writer) =
        LogWriter::start_with(settings(dir.path()), Time::at(NOON).clock()).unwrap();
    log.line(Level::Debug, "quiet", |_| {});
    log.set_level(Level::Debug);
    log.line(Level::Debug, "loud", |_| {});
    drop(writer);
    let text = read(dir.path(), "2026-01-31");
    assert!(text.contains("loud") && !text.contains("quiet"));
}

#[test]
fn a_flush_ends_when_the_lines_are_in_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let (log, _writer) =
        LogWriter::start_with(settings(dir.path()), Time::at(NOON).clock()).unwrap();
    for round in 1..=20 {
        say(&log, "here");
        assert!(log.flush(Duration::from_secs(10)));
        assert_eq!(read(dir.path(), "2026-01-31").lines().count(), round);
    }
}

#[test]
fn a_line_that_a_crash_cut_stands_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("moltbotd.2026-01-31.jsonl");
    fs::write(&path, "{\"ts\":\"2026-01").unwrap();
    let (log, writer) =
        LogWriter::start_with(settings(dir.path()), Time::at(NOON).clock()).unwrap();
    say(&log, "after");
    drop(writer);
    let text = fs::read_to_string(path).unwrap();
    assert_eq!(text.lines().count(), 2);
    assert!(text.ends_with("\"msg\":\"after\"}\n"));
}

#[test]
fn fm_67_a_disk_that_refuses_costs_lines_and_one_warning_when_it_recovers() {
    let dir = tempfile::tempdir().unwrap();
    let logs = dir.path().join("logs");
    let (log, writer) = LogWriter::start_with(settings(&logs), Time::at(NOON).clock()).unwrap();
    fs::remove_dir_all(&logs).unwrap();
    fs::write(&logs, "a file where the folder was").unwrap();
    say(&log, "lost one");
    say(&log, "lost two");
    assert!(log.flush(Duration::from_secs(10)));
    assert_eq!(log.dropped(), 2);
    fs::remove_file(&logs).unwrap();
    say(&log, "kept one");
    assert!(log.flush(Duration::from_secs(10)));
    say(&log, "kept two");
    drop(writer);
    let text = read(&logs, "2026-01-31");
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 3, "{text}");
    assert!(lines[0].contains("\"warn\"") && lines[0].ends_with("\"lines\":2}"));
    assert!(lines[1].contains("kept one") && lines[2].contains("kept two"));
}
