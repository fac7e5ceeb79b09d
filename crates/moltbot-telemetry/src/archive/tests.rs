use object_store::memory::InMemory;
use tempfile::TempDir;

use super::*;
use crate::query::Query;

const DAY: Duration = Duration::from_secs(86_400);

struct House {
    folder: TempDir,
    store: Arc<InMemory>,
}

impl House {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            store: Arc::new(InMemory::new()),
        }
    }

    fn log(&self, day: &str, lines: usize) -> PathBuf {
        let file = self.folder.path().join(format!("moltbotd.{day}.jsonl"));
        let line = |number| {
            format!("{{\"ts\":\"{day}T00:00:00.000Z\",\"level\":\"info\",\"msg\":\"{number}\"}}\n")
        };
        fs::write(&file, (0..lines).map(line).collect::<String>()).unwrap();
        file
    }

    fn archive(&self, change: impl FnOnce(&mut ArchiveSettings)) -> Archive {
        let mut settings = ArchiveSettings {
            dir: self.folder.path().to_owned(),
            node: "n1".to_owned(),
            ..ArchiveSettings::default()
        };
        change(&mut settings);
        let store = Arc::clone(&self.store) as Arc<dyn ObjectStore>;
        Archive::new(store, Key::from("logs"), settings)
    }

    async fn put(&self, key: &str) {
        self.store.put(&Key::from(key), "x".into()).await.unwrap();
    }

    async fn keys(&self) -> Vec<String> {
        let found: Vec<_> = self.store.list(None).try_collect().await.unwrap();
        let mut keys: Vec<_> = found
            .into_iter()
            .map(|found| found.location.to_string())
            .collect();
        keys.sort();
        keys
    }
}

fn end_of(day: &str) -> SystemTime {
    Day::parse(day).unwrap().end()
}

#[tokio::test]
async fn a_day_is_archived_once_when_it_is_over_for_long_enough() {
    let house = House::new();
    let file = house.log("2026-01-31", 3);
    let archive = house.archive(|_| ());
    let early = end_of("2026-01-31") + DAY - Duration::from_secs(1);
    assert_eq!(archive.look(early).await.unwrap(), Looked::default());
    assert_eq!(
        archive
            .look(early + Duration::from_secs(1))
            .await
            .unwrap()
            .archived,
        1
    );
    assert_eq!(house.keys().await, ["logs/2026/01/31/n1-1.jsonl.zst"]);
    assert!(archive_mark(&file).exists());
    assert_eq!(archive.look(early + DAY).await.unwrap().archived, 0);
}

#[tokio::test]
async fn the_day_that_runs_is_left_alone() {
    let house = House::new();
    house.log("2026-01-31", 3);
    let archive = house.archive(|settings| settings.after = Duration::ZERO);
    let noon = end_of("2026-01-31") - DAY / 2;
    assert_eq!(archive.look(noon).await.unwrap().archived, 0);
    assert_eq!(
        archive.look(end_of("2026-01-31")).await.unwrap().archived,
        1
    );
}

#[tokio::test]
async fn a_large_day_is_several_objects_and_comes_back_as_one() {
    let house = House::new();
    let file = house.log("2026-01-31", 1000);
    let before = fs::read(&file).unwrap();
    let archive = house.archive(|settings| settings.largest = before.len() as u64 / 11);
    archive.look(end_of("2026-01-31") + DAY).await.unwrap();
    assert_eq!(house.keys().await.len(), 12, "a line is never cut");

    fs::remove_file(&file).unwrap();
    let into = tempfile::tempdir().unwrap();
    assert_eq!(archive.fetch(None, into.path()).await.unwrap(), 1);
    assert_eq!(
        fs::read(into.path().join("moltbotd.2026-01-31.jsonl")).unwrap(),
        before
    );
}

#[tokio::test]
async fn what_a_crash_left_half_done_is_done_again_under_the_same_name() {
    let house = House::new();
    let file = house.log("2026-01-31", 3);
    let archive = house.archive(|_| ());
    archive.look(end_of("2026-01-31") + DAY).await.unwrap();
    fs::remove_file(archive_mark(&file)).unwrap();
    assert_eq!(
        archive
            .look(end_of("2026-01-31") + DAY)
            .await
            .unwrap()
            .archived,
        1
    );
    assert_eq!(house.keys().await.len(), 1);
}

#[tokio::test]
async fn old_objects_of_this_node_are_deleted_by_their_path_and_nothing_else() {
    let house = House::new();
    for key in [
        "logs/2024/01/31/n1-1.jsonl.zst",
        "logs/2026/01/30/n1-1.jsonl.zst",
        "logs/2024/01/31/n2-1.jsonl.zst",
        "logs/2024/01/31/notes.txt",
        "logs/2024/02/31/n1-1.jsonl.zst",
        "logs/2024/n1-1.jsonl.zst",
        "other/2024/01/31/n1-1.jsonl.zst",
    ] {
        house.put(key).await;
    }
    let archive = house.archive(|_| ());
    assert_eq!(archive.look(end_of("2026-01-31")).await.unwrap().deleted, 1);
    let keys = house.keys().await;
    assert_eq!(keys.len(), 6);
    assert!(!keys.contains(&"logs/2024/01/31/n1-1.jsonl.zst".to_owned()));
}

#[tokio::test]
async fn lines_of_the_archive_and_of_the_folder_are_read_once_and_in_order() {
    let house = House::new();
    for day in ["2026-01-29", "2026-01-30", "2026-01-31"] {
        house.log(day, 2);
    }
    let archive = house.archive(|_| ());
    archive.look(end_of("2026-01-31") + DAY).await.unwrap();
    fs::remove_file(house.folder.path().join("moltbotd.2026-01-29.jsonl")).unwrap();

    let older = tempfile::tempdir().unwrap();
    assert_eq!(archive.fetch(None, older.path()).await.unwrap(), 1);
    let query = Query {
        older: Some(older.path().to_owned()),
        ..Query::default()
    };
    let lines = query.read(house.folder.path()).unwrap();
    let days: Vec<_> = lines
        .map(|line| line.unwrap().text()[7..17].to_owned())
        .collect();
    let twice = |day: &str| [day.to_owned(), day.to_owned()];
    assert_eq!(
        days,
        ["2026-01-29", "2026-01-30", "2026-01-31"]
            .map(twice)
            .concat()
    );
}
