use std::os::unix::fs::symlink;

use secrecy::ExposeSecret;
use tempfile::TempDir;

use super::*;
use crate::config::Auth;
use crate::home::Home;
use crate::layers::Overrides;
use crate::load::load;
use crate::write;

/// A watch over `name` in a folder of its own, with real files and real time.
struct Bench {
    dir: TempDir,
    watch: Watch,
    tracker: TaskTracker,
    stop: CancellationToken,
}

fn bench(prepare: impl FnOnce(&Path)) -> Bench {
    let dir = tempfile::tempdir().unwrap();
    prepare(dir.path());
    let (tracker, stop) = (TaskTracker::new(), CancellationToken::new());
    let watch = Watch::new([dir.path().join("file")], &tracker, stop.clone());
    Bench {
        dir,
        watch,
        tracker,
        stop,
    }
}

impl Bench {
    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    async fn changes_within(&mut self, time: Duration) -> bool {
        timeout(time, self.watch.changed()).await.unwrap_or(false)
    }

    async fn changes(&mut self) -> bool {
        self.changes_within(Duration::from_secs(5)).await
    }

    async fn is_calm(&mut self) -> bool {
        !self.changes_within(Duration::from_millis(700)).await
    }
}

fn file_with(text: &'static str) -> impl FnOnce(&Path) {
    move |dir| fs::write(dir.join("file"), text).unwrap()
}

#[tokio::test]
async fn a_written_file_is_one_change() {
    let mut bench = bench(file_with("a"));
    assert!(bench.is_calm().await);
    fs::write(bench.path("file"), "b").unwrap();
    assert!(bench.changes().await);
    assert!(bench.is_calm().await);
}

#[tokio::test]
async fn the_same_content_is_no_change() {
    let mut bench = bench(file_with("a"));
    fs::write(bench.path("file"), "a").unwrap();
    fs::write(bench.path("other"), "b").unwrap();
    assert!(bench.is_calm().await);
}

#[tokio::test]
async fn mode_bits_are_part_of_a_file() {
    let mut bench = bench(file_with("a"));
    fs::set_permissions(bench.path("file"), fs::Permissions::from_mode(0o600)).unwrap();
    assert!(bench.changes().await);
}

#[tokio::test]
async fn fm_64_an_editor_may_rename() {
    let mut bench = bench(file_with("a"));
    for text in ["b", "c"] {
        fs::rename(bench.path("file"), bench.path("file~")).unwrap();
        fs::write(bench.path("file.new"), text).unwrap();
        fs::rename(bench.path("file.new"), bench.path("file")).unwrap();
        assert!(bench.changes().await, "{text}");
    }
}

#[tokio::test]
async fn fm_64_a_link_may_be_swapped() {
    let mut bench = bench(|dir| {
        for (version, text) in [("v1", "a"), ("v2", "b")] {
            fs::create_dir(dir.join(version)).unwrap();
            fs::write(dir.join(version).join("file"), text).unwrap();
        }
        symlink("v1", dir.join("..data")).unwrap();
        symlink("..data/file", dir.join("file")).unwrap();
    });
    symlink("v2", bench.path("..data_tmp")).unwrap();
    fs::rename(bench.path("..data_tmp"), bench.path("..data")).unwrap();
    assert!(bench.changes().await);
    fs::write(bench.path("v2/file"), "c").unwrap();
    assert!(bench.changes().await);
}

#[tokio::test]
async fn fm_64_a_file_may_be_away_for_a_moment_but_not_for_good() {
    let mut bench = bench(file_with("a"));
    fs::remove_file(bench.path("file")).unwrap();
    assert!(!bench.changes_within(Duration::from_millis(1000)).await);
    fs::write(bench.path("file"), "a").unwrap();
    assert!(bench.is_calm().await);
    fs::remove_file(bench.path("file")).unwrap();
    assert!(bench.changes_within(Duration::from_secs(6)).await);
}

#[tokio::test]
async fn a_file_may_come_even_in_a_folder_that_was_not_there() {
    let mut bench = bench(|_| {});
    bench.watch.follow([bench.path("folder/file")]);
    assert!(bench.is_calm().await);
    fs::create_dir(bench.path("folder")).unwrap();
    fs::write(bench.path("folder/file"), "a").unwrap();
    assert!(bench.changes().await);
}

#[tokio::test]
async fn a_new_path_that_exists_counts_as_a_change() {
    let mut bench = bench(file_with("a"));
    fs::write(bench.path("other"), "b").unwrap();
    bench
        .watch
        .follow([bench.path("file"), bench.path("other")]);
    assert!(bench.changes().await);
    assert!(bench.is_calm().await);
}

#[tokio::test]
async fn stopping_ends_the_task() {
    let mut bench = bench(file_with("a"));
    bench.stop.cancel();
    assert!(!bench.watch.changed().await);
    bench.tracker.close();
    bench.tracker.wait().await;
}

#[tokio::test]
async fn dropping_ends_the_task() {
    let bench = bench(file_with("a"));
    drop(bench.watch);
    bench.tracker.close();
    timeout(Duration::from_secs(5), bench.tracker.wait())
        .await
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn fm_64_a_change_is_told_once_its_writer_rests() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    fs::write(&path, "old").unwrap();
    let paths = BTreeSet::from([path.clone()]);
    let mut seen = Seen::first(&paths);
    fs::write(&path, "a piece").unwrap();
    let writer = async {
        for length in 2..=6 {
            sleep(AGAIN - Duration::from_millis(10)).await;
            fs::write(&path, "a piece".repeat(length)).unwrap();
        }
    };
    let (changed, ()) = tokio::join!(seen.changed(&paths), writer);
    assert!(changed);
    assert_eq!(seen.told, look(&paths));
}

#[tokio::test]
async fn fm_66_a_rotated_secret_is_in_force() {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::new(dir.path());
    let yaml = "models:\n  - {name: a, endpoint: 'http://h', auth: {type: api_key, key: '${file:secret}'}}\n  - {name: b, endpoint: 'http://h'}\n";
    let put = |path: &Path, text: &str| write::replace(path, text).unwrap();
    for file in [home.gateway_file(), home.auth_file()] {
        fs::create_dir(file.parent().unwrap()).unwrap();
    }
    put(&home.gateway_file(), yaml);
    put(
        &home.auth_file(),
        r#"{"b": {"type": "api_key", "key": "old-b"}}"#,
    );
    put(&dir.path().join("secret"), "old-a\n");
    let overrides = Overrides::default();
    let before = load(&home, &overrides).unwrap();
    let (tracker, stop) = (TaskTracker::new(), CancellationToken::new());
    let mut watch = Watch::new(before.watched.clone(), &tracker, stop);

    for (path, text, keys) in [
        (dir.path().join("secret"), "new-a\n", ["new-a", "old-b"]),
        (
            home.auth_file(),
            r#"{"b": {"type": "api_key", "key": "new-b"}}"#,
            ["new-a", "new-b"],
        ),
    ] {
        put(&path, text);
        assert!(
            timeout(Duration::from_secs(5), watch.changed())
                .await
                .unwrap()
        );
        let after = load(&home, &overrides).unwrap();
        let in_force = after.config.models.iter().map(|model| match &model.auth {
            Auth::ApiKey { key, .. } => key.expose_secret(),
            other => panic!("{other:?}"),
        });
        assert!(in_force.eq(keys));
        assert_ne!(after.config.fingerprint(), before.config.fingerprint());
    }
}

#[tokio::test]
async fn a_name_that_comes_into_a_watched_folder_is_a_change() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("workspaces");
    fs::create_dir(&folder).unwrap();
    let (tracker, stop) = (TaskTracker::new(), CancellationToken::new());
    let mut watch = Watch::new([folder.clone()], &tracker, stop);
    fs::create_dir(folder.join(".half")).unwrap();
    assert!(
        timeout(Duration::from_millis(500), watch.changed())
            .await
            .is_err()
    );
    fs::create_dir(folder.join("team")).unwrap();
    let heard = timeout(Duration::from_secs(2), watch.changed()).await;
    assert!(heard.unwrap());
}
