//! Checks of THREATS.md. For each requirement this document names the code that meets the
//! requirement, and the tests that show it. These files and tests must exist.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The minimum number of rows in the table. Every requirement of this release has a row.
const ROWS_MIN: usize = 50;
/// Macros of latchkey whose first argument is the name of a test.
const TEST_MACROS: [&str; 3] = ["both!(", "with_service!(", "with_vendor!("];

/// Collects every Rust file below a directory.
fn rust_files(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("a directory").flatten() {
        let path = entry.path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Returns the identifier at the start of a text.
fn identifier(text: &str) -> String {
    text.trim_start().chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect()
}

/// Returns the names of all tests in a file. These are functions with a test attribute, and tests
/// that the macros create.
fn tests_of(text: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for after in TEST_MACROS.iter().flat_map(|name| text.split(name).skip(1)) {
        names.insert(identifier(after));
    }
    for after in ["#[test]", "#[tokio::test"].iter().flat_map(|name| text.split(name).skip(1)) {
        if let Some((_, function)) = after.split_once("fn ") {
            names.insert(identifier(function));
        }
    }
    names
}

/// Returns the texts between backticks.
fn quoted(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

#[test]
fn every_test_and_file_that_the_threats_name_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for directory in ["src", "tests", "fuzz"] {
        rust_files(&root.join(directory), &mut files);
    }
    let mut tests = BTreeSet::new();
    for file in files {
        tests.extend(tests_of(&fs::read_to_string(file).expect("a source")));
    }
    let page = fs::read_to_string(root.join("THREATS.md")).expect("the page is there");
    let rows: Vec<Vec<&str>> = page
        .lines()
        .filter(|line| line.starts_with("| ") && line.matches(" | ").count() == 2)
        .map(|line| line.trim_matches(['|', ' ']).split(" | ").collect())
        .filter(|cells: &Vec<&str>| cells[0].starts_with(|c: char| c.is_ascii_digit() || c == 'R'))
        .collect();
    assert!(rows.len() >= ROWS_MIN, "{} rows", rows.len());
    for row in rows {
        let [requirement, places, shown] = row[..] else { panic!("{row:?}") };
        let (places, shown) = (quoted(places), quoted(shown));
        assert!(!places.is_empty(), "{requirement}: met nowhere");
        assert!(!shown.is_empty(), "{requirement}: shown by nothing");
        for place in places {
            assert!(root.join(place).exists(), "{requirement}: {place} is not there");
        }
        for test in shown {
            assert!(tests.contains(test), "{requirement}: no test is called {test}");
        }
    }
}
