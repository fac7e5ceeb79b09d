//! The archive of the log, with a real server of object storage.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use moltbot_tests::{Home, S3};

const DAY: u64 = 86_400;

/// `2026-01-31`, so many days ago.
fn day(ago: u64) -> String {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let time = jiff::Timestamp::from_second((now - ago * DAY) as i64).unwrap();
    time.strftime("%Y-%m-%d").to_string()
}

/// Writes a day's file with one line.
fn write_log(home: &Home, ago: u64) -> PathBuf {
    let day = day(ago);
    let name = format!("logs/moltbotd.{day}.jsonl");
    let line = format!(
        "{{\"ts\":\"{day}T12:00:00.000Z\",\"level\":\"info\",\"msg\":\"{ago} days ago\"}}\n"
    );
    home.write(&name, &line);
    home.path(&name)
}

fn configure(home: &Home, s3: &S3, secret: &str) {
    home.configure(&format!(
        "models: [ {{ name: echo, provider: builtin, model: echo }} ]\nlogs:\n  keep: 7d\n  archive: {{ url: \"s3://bucket/logs\", endpoint: \"{}\", access_key: {}, secret_key: {secret} }}\n",
        s3.url(),
        S3::KEY
    ));
}

/// All files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(self::files(&path));
        } else {
            files.push(path);
        }
    }
    files
}

#[test]
fn closed_days_go_to_object_storage_and_are_read_from_both_places_in_one_order() {
    let home = Home::empty();
    let store = tempfile::tempdir().unwrap();
    std::fs::create_dir(store.path().join("bucket")).unwrap();
    let s3 = S3::start(store.path());
    configure(&home, &s3, S3::SECRET);
    let local: Vec<_> = [20, 3, 2].map(|ago| write_log(&home, ago)).into();
    let mut daemon = home.start();

    let objects = daemon.wait_for(|_| {
        let found = files(&store.path().join("bucket"));
        (found.len() == 3).then_some(found)
    });
    let node = home.read("data/node");
    let expected = format!(
        "bucket/logs/{}/{}-1.jsonl.zst",
        day(20).replace('-', "/"),
        node.trim()
    );
    assert!(
        objects.contains(&store.path().join(&expected)),
        "{objects:?}"
    );

    // the file of 20 days ago has gone with the next turn of the day, or by hand
    std::fs::remove_file(&local[0]).unwrap();
    let read = |home: &Home| {
        let lines = home
            .ctl(&[
                "logs", "--since", "30d", "--grep", "days ago", "--output", "json",
            ])
            .done();
        lines
            .lines()
            .map(|line| {
                serde_json::from_str::<serde_json::Value>(line).unwrap()["msg"]
                    .as_str()
                    .unwrap()
                    .to_owned()
            })
            .collect::<Vec<_>>()
    };
    let expected = ["20 days ago", "3 days ago", "2 days ago"];
    assert_eq!(read(&home), expected);
    daemon.stop();
    assert_eq!(read(&home), expected, "with the daemon down too");
}

#[test]
fn an_archive_that_refuses_the_key_is_one_alert_and_no_lost_line() {
    let home = Home::empty();
    let store = tempfile::tempdir().unwrap();
    std::fs::create_dir(store.path().join("bucket")).unwrap();
    let s3 = S3::start(store.path());
    configure(&home, &s3, "canary-secret-of-the-archive");
    let old = write_log(&home, 20);
    let mut daemon = home.start();
    let alerts = |daemon: &mut moltbot_tests::Daemon| {
        let lines = daemon.log().into_iter();
        let alerts: Vec<_> = lines
            .filter(|line| {
                line["level"] == "warn"
                    && line["msg"]
                        .as_str()
                        .is_some_and(|msg| msg.contains("archive"))
            })
            .collect();
        alerts
    };
    let alert = daemon.wait_for(|daemon| alerts(daemon).pop());
    assert!(!alert.to_string().contains("canary-secret"), "{alert}");
    // two more looks
    std::thread::sleep(Duration::from_secs(45));
    assert_eq!(alerts(&mut daemon).len(), 1);
    assert!(old.exists(), "older than it is kept, and not archived");
    assert!(files(store.path()).is_empty());
    let told = home.ctl(&["logs", "--since", "30d"]).failed(1);
    assert!(told.contains("older lines are missing"), "{told}");
}
