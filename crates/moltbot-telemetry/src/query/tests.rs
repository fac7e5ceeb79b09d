use std::fs::{self, OpenOptions};
use std::io::Write;
use std::sync::mpsc::{Receiver, sync_channel};

use tempfile::TempDir;

use super::*;

struct Home(TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self, day: &str) -> PathBuf {
        self.0.path().join(format!("moltbotd.{day}.jsonl"))
    }

    fn add(&self, day: &str, text: &str) {
        let mut options = OpenOptions::new();
        let file = options.append(true).create(true).open(self.file(day));
        file.unwrap().write_all(text.as_bytes()).unwrap();
    }

    /// What `query` finds, as messages, and how many lines were left out.
    fn find(&self, query: Query) -> (Vec<String>, u64) {
        let mut lines = query.read(self.0.path()).unwrap();
        let found = lines.by_ref().map(|entry| msg(&entry.unwrap())).collect();
        (found, lines.skipped())
    }

    /// A followed log in a thread of its own.
    fn follow(&self) -> (Receiver<String>, Arc<AtomicBool>, thread::JoinHandle<()>) {
        let stop = Arc::new(AtomicBool::new(false));
        let lines = Query::default()
            .follow(self.0.path(), Arc::clone(&stop))
            .unwrap();
        let (sender, receiver) = sync_channel(100);
        let thread = thread::spawn(move || {
            for entry in lines {
                sender.send(msg(&entry.unwrap())).unwrap();
            }
        });
        (receiver, stop, thread)
    }
}

fn msg(entry: &Entry) -> String {
    entry.fields()["msg"].as_str().unwrap().to_owned()
}

fn line(ts: &str, level: &str, msg: &str, more: &str) -> String {
    format!("{{\"ts\":\"{ts}\",\"level\":\"{level}\",\"msg\":\"{msg}\"{more}}}\n")
}

fn three_days() -> Home {
    let home = Home::new();
    let big = ",\"workspace\":\"default\",\"model\":\"big\",\"served\":\"small\"";
    let small = ",\"workspace\":\"team\",\"model\":\"small\"";
    home.add(
        "2026-01-30",
        &line("2026-01-30T23:59:59.999Z", "error", "a", big),
    );
    home.add(
        "2026-01-29",
        &line("2026-01-29T10:00:00.000Z", "debug", "first", ""),
    );
    home.add(
        "2026-01-31",
        &line("2026-01-31T00:00:00.000Z", "warn", "b", small),
    );
    home.add(
        "2026-01-31",
        &line("2026-01-31T12:00:00.000Z", "info", "c \\\"d\\\"", big),
    );
    fs::write(home.0.path().join("other.2026-01-31.jsonl"), "{}\n").unwrap();
    home
}

fn next(lines: &Receiver<String>) -> String {
    lines.recv_timeout(Duration::from_secs(20)).unwrap()
}

#[test]
fn all_files_are_read_in_the_order_of_time() {
    let (found, skipped) = three_days().find(Query::default());
    assert_eq!(found, ["first", "a", "b", "c \"d\""]);
    assert_eq!(skipped, 0);
}

#[test]
fn each_filter_finds_its_lines() {
    let home = three_days();
    let ask = |change: fn(&mut Query)| {
        let mut query = Query::default();
        change(&mut query);
        home.find(query).0
    };
    assert_eq!(ask(|q| q.level = Some(Level::Warn)), ["a", "b"]);
    assert_eq!(ask(|q| q.model = Some("big".into())), ["a", "c \"d\""]);
    assert_eq!(
        ask(|q| q.model = Some("small".into())),
        ["a", "b", "c \"d\""]
    );
    assert_eq!(ask(|q| q.workspace = Some("team".into())), ["b"]);
    assert_eq!(
        ask(|q| q.grep = Regex::new("\"msg\":\"(a|b)\"").ok()),
        ["a", "b"]
    );
    let noon =
        |q: &mut Query| q.since = crate::since("2026-01-31T12:00:00Z", SystemTime::now()).ok();
    assert_eq!(ask(noon), ["c \"d\""]);
    assert_eq!(
        ask(|q| {
            q.since = crate::since("2026-01-30", SystemTime::now()).ok();
            q.model = Some("big".into());
            q.level = Some(Level::Error);
        }),
        ["a"]
    );
}

#[test]
fn broken_and_endless_lines_are_left_out_and_counted() {
    let home = Home::new();
    home.add("2026-01-30", "{\"ts\":\"2026-01-30T00:0");
    home.add("2026-01-31", "no json\n{}\n\u{fffd}\n");
    home.add("2026-01-31", &"x".repeat(3 << 20));
    home.add("2026-01-31", "\n");
    let long = format!(",\"pad\":\"{}\"", "x".repeat(900_000));
    home.add(
        "2026-01-31",
        &line("2026-01-31T12:00:00.000Z", "info", "good", &long),
    );
    let (found, skipped) = home.find(Query::default());
    assert_eq!((found.as_slice(), skipped), (&["good".to_owned()][..], 5));
}

#[test]
fn a_folder_that_is_not_there_has_no_lines() {
    let home = Home::new();
    let lines = Query::default().read(&home.0.path().join("none")).unwrap();
    assert_eq!(lines.count(), 0);
}

#[test]
fn a_followed_log_goes_on_over_a_half_line_the_turn_of_the_day_and_a_truncation() {
    let home = three_days();
    let (lines, stop, thread) = home.follow();
    for expected in ["first", "a", "b", "c \"d\""] {
        assert_eq!(next(&lines), expected);
    }
    let whole = line("2026-01-31T13:00:00.000Z", "info", "in two pieces", "");
    home.add("2026-01-31", &whole[..20]);
    thread::sleep(POLL * 2);
    assert!(lines.try_recv().is_err());
    home.add("2026-01-31", &whole[20..]);
    assert_eq!(next(&lines), "in two pieces");

    home.add(
        "2026-01-31",
        &line("2026-01-31T23:59:59.000Z", "info", "late", ""),
    );
    home.add(
        "2026-02-01",
        &line("2026-02-01T00:00:00.000Z", "info", "new day", ""),
    );
    assert_eq!(next(&lines), "late");
    assert_eq!(next(&lines), "new day");

    fs::write(home.file("2026-02-01"), "").unwrap();
    thread::sleep(POLL * 2);
    home.add(
        "2026-02-01",
        &line("2026-02-01T00:00:01.000Z", "info", "cut", ""),
    );
    assert_eq!(next(&lines), "cut");

    fs::remove_file(home.file("2026-02-01")).unwrap();
    home.add(
        "2026-02-01",
        &line("2026-02-01T00:00:02.000Z", "info", "replaced", ""),
    );
    assert_eq!(next(&lines), "replaced");
    stop.store(true, Ordering::Relaxed);
    thread.join().unwrap();
}

#[test]
fn a_log_is_followed_before_it_exists() {
    let home = Home::new();
    let (lines, stop, thread) = home.follow();
    thread::sleep(POLL);
    home.add(
        "2026-01-31",
        &line("2026-01-31T00:00:00.000Z", "info", "there", ""),
    );
    assert_eq!(next(&lines), "there");
    stop.store(true, Ordering::Relaxed);
    thread.join().unwrap();
}
