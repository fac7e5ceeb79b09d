use super::*;

fn journal() -> (tempfile::TempDir, Journal) {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(&folder.path().join("a.db")).unwrap();
    (folder, journal)
}

#[test]
fn sealed_segments_hold_the_rows_in_order_and_an_empty_one_is_none() {
    let (_folder, journal) = journal();
    assert!(journal.seal().unwrap().is_empty());
    journal.append(1, r#"{"a":1}"#).unwrap();
    journal.append(2, "\"x\"").unwrap();
    assert_eq!(journal.seal().unwrap().len(), 1);
    journal.append(1, "3").unwrap();
    let segments = journal.seal().unwrap();
    assert_eq!(segments.len(), 2, "what nobody removed is told again");
    let first = fs::read(&segments[0]).unwrap();
    let (rows, damaged) = lines(&first);
    let told: Vec<_> = rows.iter().map(|row| (row.kind, row.body)).collect();
    assert_eq!(told, [(1, r#"{"a":1}"#), (2, "\"x\"")]);
    assert_eq!(damaged, 0);
}

#[test]
fn a_new_process_goes_on_after_the_last_segment() {
    let (folder, journal) = journal();
    journal.append(1, "1").unwrap();
    drop(journal);
    let journal = Journal::open(&folder.path().join("a.db")).unwrap();
    journal.append(1, "2").unwrap();
    let segments = journal.seal().unwrap();
    assert_eq!(segments.len(), 2);
    assert_eq!(lines(&fs::read(&segments[1]).unwrap()).0[0].body, "2");
}

#[test]
fn an_unfinished_line_is_passed_over_and_a_changed_one_is_damaged() {
    let mut bytes = [line(1, "1"), line(1, "22")].concat().into_bytes();
    let whole = bytes.len();
    bytes.extend_from_slice(&line(1, "333").as_bytes()[..9]);
    assert_eq!((lines(&bytes).0.len(), lines(&bytes).1), (2, 0));
    bytes[whole - 2] ^= 1;
    assert_eq!((lines(&bytes).0.len(), lines(&bytes).1), (1, 1));
}

#[test]
fn rows_that_the_disk_does_not_take_wait_and_are_not_lost() {
    let (folder, journal) = journal();
    let base = folder.path().join("gone");
    let journal = Journal {
        base: base.join("a.db"),
        ..journal
    };
    assert!(journal.append(1, "1").is_err());
    assert!(journal.append(1, "2").is_err());
    assert!(journal.seal().is_err());
    fs::create_dir(&base).unwrap();
    let segments = journal.seal().unwrap();
    let bytes = fs::read(&segments[0]).unwrap();
    assert_eq!(lines(&bytes).0.len(), 2);
    assert_eq!(journal.lost(), 0);
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic(bytes: Vec<u8>) {
        let (rows, damaged) = lines(&bytes);
        proptest::prop_assert!(rows.len() + damaged <= bytes.len());
    }
}
