//! The check of the order of the folders of `src/`. A folder imports only from folders that are
//! below it in this order.

use super::imports::imports;

/// The folders and single files of `src/`, with the lowest first. `src/lib.rs` describes them in
/// the same order.
const ORDER: &[&str] = &[
    "clock",
    "client_key",
    "secret",
    "strict_json",
    "authorities",
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
    "admission",
    "user",
    "team",
    "factor",
    "session",
    "account",
    "app",
    "http",
    "daemon",
    "cli",
    "main",
];

#[test]
fn a_folder_imports_only_folders_below_it() {
    let rank = |folder: &str| {
        ORDER
            .iter()
            .position(|it| *it == folder)
            .unwrap_or_else(|| panic!("`{folder}` is missing in ORDER"))
    };
    let mut upward = Vec::new();
    for import in imports() {
        let (Some(from), Some(to)) = (import.from.first(), import.to.first()) else { continue };
        if from != to && rank(to) > rank(from) {
            let to = import.to.join("::");
            upward.push(format!("{}: `{from}` imports `{to}`, which stands above it", import.line));
        }
    }
    assert!(upward.is_empty(), "\n{}", upward.join("\n"));
}
