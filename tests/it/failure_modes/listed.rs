//! The table of `docs/failures.md` has every row, and names tests that exist.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// Rows that this version shows; what the others need is not built.
fn rows() -> impl Iterator<Item = u32> {
    (1..=47)
        .chain([50, 51, 52, 54, 55])
        .chain(57..=67)
        .chain([73, 76, 77, 78])
}

/// The row of a test by its name: `fm_07_…` is of row 7.
fn row_of(name: &str) -> Option<u32> {
    name.strip_prefix("fm_")?.get(..2)?.parse().ok()
}

/// Names of functions in the Rust sources below `folder`.
fn functions(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            functions(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") {
            let text = fs::read_to_string(&path).expect("a source");
            let after = text.split("fn ").skip(1);
            let names = after.filter_map(|rest| rest.split(['(', '<']).next());
            found.extend(
                names
                    .filter(|name| row_of(name).is_some())
                    .map(str::to_owned),
            );
        }
    }
}

#[test]
fn every_row_is_listed_with_tests_that_exist() {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let mut tests = BTreeSet::new();
    for folder in ["crates", "tests/it", "bins"] {
        functions(&root.join(folder), &mut tests);
    }
    let page = fs::read_to_string(root.join("docs/failures.md")).expect("docs/failures.md");
    let mut listed: BTreeMap<u32, BTreeSet<String>> = BTreeMap::new();
    for line in page.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
        let Ok(row) = cells[0].parse() else { continue };
        let last = cells.last().expect("a row has cells");
        let names = last
            .split('`')
            .map(str::to_owned)
            .filter(|name| row_of(name).is_some());
        listed.insert(row, names.collect());
    }
    let missing: Vec<_> = rows().filter(|row| !listed.contains_key(row)).collect();
    assert!(missing.is_empty(), "rows without a line: {missing:?}");
    for (row, names) in &listed {
        // no address of this version comes from a caller, so that there is nothing to be guarded
        assert!(!names.is_empty() || *row == 4, "row {row} has no test");
        for name in names {
            assert_eq!(row_of(name), Some(*row), "{name} stands in the wrong row");
            assert!(tests.contains(name), "{name} of row {row} is no test");
        }
    }
}
