//! The order of the folders of `src/`: a folder imports only folders that stand below it.

use std::collections::BTreeSet;

use super::imports::imports;

/// The folders and single files of `src/`, lowest first. `src/lib.rs` describes them in the same order.
const ORDER: &[&str] = &[
    "clock",
    "secret",
    "problem",
    "exit",
    "health",
    "config",
    "telemetry",
    "actor",
    "database",
    "egress",
    "store",
    "audit",
    "mail",
    "token",
    "password",
    "captcha",
    "limits",
    "user",
    "team",
    "session",
    "account",
    "app",
    "http",
    "daemon",
    "cli",
    "main",
];

/// Imports of a higher folder that are left: each line is removed with the import that it names, and none is added.
const LEFT: &[(&str, &str)] = &[];

#[test]
fn a_folder_imports_only_folders_below_it() {
    let rank = |folder: &str| {
        ORDER
            .iter()
            .position(|it| *it == folder)
            .unwrap_or_else(|| panic!("`{folder}` is missing in ORDER"))
    };
    let mut upward = BTreeSet::new();
    let mut lines = Vec::new();
    for import in imports() {
        let (Some(from), Some(to)) = (import.from.first(), import.to.first()) else { continue };
        if from == to || rank(to) < rank(from) {
            continue;
        }
        upward.insert((from.clone(), to.clone()));
        if !LEFT.contains(&(from.as_str(), to.as_str())) {
            lines.push(format!(
                "{}: `{from}` imports `{}`, which stands above it",
                import.line,
                import.to.join("::")
            ));
        }
    }
    assert!(lines.is_empty(), "\n{}", lines.join("\n"));
    let gone: Vec<_> = LEFT
        .iter()
        .filter(|(from, to)| !upward.contains(&((*from).to_owned(), (*to).to_owned())))
        .collect();
    assert!(gone.is_empty(), "remove from LEFT what is mended: {gone:?}");
}
