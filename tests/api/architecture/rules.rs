//! Rules for single lines and files: which file may name which crate, how long a file may be, and
//! what a test must not do. `clippy.toml` has the rules for single functions.

use std::collections::BTreeSet;
use std::fs;

use super::source::{Source, code, root, sources};

/// The maximum length of a source file in lines. The unit tests of the file do not count. A person
/// can read a file of this length without a break.
const FILE_LINES_MAX: usize = 400;

/// The only test file that is allowed to sleep.
const POLLING: &str = "tests/api/poll.rs";

/// A crate or a path that only some files may name.
struct Rule {
    crates: &'static [&'static str],
    /// Other texts that the rule treats like the name of a crate.
    words: &'static [&'static str],
    /// The files that may contain one of these texts. Each entry is a path, a directory that ends
    /// in `/`, or a path in which `*` stands for one part. If an entry has a second value, the file
    /// is allowed to contain only the text in the second value.
    allowed: &'static [(&'static str, Option<&'static str>)],
    reason: &'static str,
}

const RULES: &[Rule] = &[
    Rule {
        crates: &["hyper", "hyper_util", "http_body_util"],
        words: &[],
        allowed: &[
            ("src/http/", None),
            ("src/egress/", None),
            ("src/problem/code.rs", Some("hyper::StatusCode")),
        ],
        reason: "rooms know no HTTP: they answer values, and http/ makes answers of them",
    },
    Rule {
        crates: &["hyper_rustls"],
        words: &[],
        allowed: &[("src/egress/", None)],
        reason: "requests of others are bounded in one place",
    },
    Rule {
        crates: &["rustls_native_certs", "webpki_roots"],
        words: &[],
        allowed: &[("src/authorities.rs", None)],
        reason: "every connection trusts the same certificate authorities",
    },
    Rule {
        crates: &["ractor"],
        words: &[],
        allowed: &[("src/actor/", None), ("src/*/mod.rs", None)],
        reason: "a worker's work is plain functions; only the room's mod.rs knows that messages carry it",
    },
    Rule {
        crates: &["latchkey_entity", "sea_orm"],
        words: &[],
        allowed: &[
            ("src/database.rs", None),
            ("src/database/", None),
            ("src/health/", None),
            ("src/problem/", None),
            ("src/store/", None),
            ("src/audit/", None),
            ("src/mail/", None),
            ("src/token/", None),
            ("src/user/", None),
            ("src/team/", None),
            ("src/factor/", None),
            ("src/session/", None),
            ("src/account/", None),
        ],
        reason: "pages, endpoints and commands call a service: rows and SQL end there",
    },
    Rule {
        crates: &["redis"],
        words: &[],
        allowed: &[("src/store/redis.rs", None), ("src/store/redis/", None)],
        reason: "the store's operations are the same on both backends",
    },
    Rule {
        crates: &["lettre"],
        words: &[],
        allowed: &[("src/mail/", None)],
        reason: "everybody else writes an outbox row",
    },
    Rule {
        crates: &["jsonwebtoken"],
        words: &[],
        allowed: &[("src/token/", None)],
        reason: "one place decides what a token is worth",
    },
    Rule {
        crates: &["totp_rs"],
        words: &[],
        allowed: &[("src/factor/", None)],
        reason: "one place decides what a code is worth",
    },
    Rule {
        crates: &["argon2", "argon2_rust"],
        words: &[],
        allowed: &[("src/password/", None)],
        reason: "hashing is admitted by the password pool alone",
    },
    Rule {
        crates: &[],
        words: &["std::env", "env::var"],
        // `src/http/pages/tests.rs` reads a variable that a test script sets. The variable contains
        // the folder for the page gallery. It is not a setting of the daemon.
        allowed: &[("src/config/", None), ("src/http/pages/tests.rs", None)],
        reason: "settings come out of config/, checked, or do not exist",
    },
    Rule {
        crates: &[],
        words: &["SystemTime::now", "OffsetDateTime::now", "UtcDateTime::now"],
        allowed: &[("src/clock.rs", None)],
        reason: "time is an argument: use crate::clock::Clock",
    },
    Rule {
        crates: &[],
        words: &["tokio::spawn", "tokio::task::spawn("],
        // A transaction runs to its end even if its caller is gone.
        allowed: &[("src/actor/", None), ("src/database/transaction.rs", None)],
        reason: "work that outlives its request belongs to a pool, work that starts by itself to a task of actor/",
    },
    Rule {
        crates: &[],
        words: &["crate::app"],
        allowed: &[
            ("src/http/", None),
            ("src/cli/", None),
            ("src/app.rs", None),
            ("src/daemon/", None),
        ],
        reason: "a room never sees App: it says what it needs",
    },
    Rule {
        crates: &[],
        words: &["print!", "println!", "io::stdout", "io::stderr", "dbg!"],
        allowed: &[("src/cli/", None), ("src/telemetry/writer.rs", None)],
        reason: "a reader of stderr that stalls would block the caller: use the log, or telemetry::print",
    },
];

#[test]
fn a_crate_is_named_only_where_its_rule_allows_it() {
    let mut breaches = Vec::new();
    for file in sources(&["src"]) {
        for rule in RULES {
            breaches.extend(rule.breaches(&file));
        }
    }
    assert!(breaches.is_empty(), "\n{}", breaches.join("\n"));
}

#[test]
fn a_file_ends_before_400_lines_its_tests_apart() {
    let long: Vec<String> =
        sources(&["src", "entity", "migration", "tests", "benches", "fuzz/src", "fuzz/targets"])
            .iter()
            .map(|file| (&file.path, file.text.lines().count() - file.tests().lines().count()))
            .filter(|(_, lines)| *lines >= FILE_LINES_MAX)
            .map(|(path, lines)| {
                format!("{path} has {lines} lines: give a part of it a file of its own")
            })
            .collect();
    assert!(long.is_empty(), "\n{}", long.join("\n"));
}

#[test]
fn no_test_is_skipped_and_none_sleeps() {
    // This text is put together from two parts, so that the search does not find this file.
    let skipped = concat!("#[", "ignore");
    let sleeps = concat!("sleep", "(");
    let mut found = Vec::new();
    for file in sources(&["src", "entity", "migration", "tests"]) {
        let tests = if file.path.starts_with("tests/") || file.path.ends_with("/tests.rs") {
            file.text.as_str()
        } else {
            file.tests()
        };
        for line in tests.lines().map(code) {
            if line.contains(skipped) {
                found.push(format!("{}: a skipped test proves nothing: {line}", file.path));
            }
            if line.contains(sleeps) && file.path != POLLING {
                found
                    .push(format!("{}: advance the clock, or poll::eventually: {line}", file.path));
            }
        }
    }
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn nothing_is_put_off_in_the_sources() {
    let marks = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X:")];
    let found: Vec<String> =
        sources(&["src", "entity", "migration", "tests", "benches", "fuzz/src", "fuzz/targets"])
            .iter()
            .flat_map(|file| file.text.lines().map(move |line| (&file.path, line)))
            .filter(|(_, line)| marks.iter().any(|mark| line.contains(mark)))
            .map(|(path, line)| format!("{path}: do it or leave it: {line}"))
            .collect();
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn every_direct_dependency_has_its_reason() {
    let page = fs::read_to_string(root().join("docs/dependencies.md")).expect("the page is there");
    let explained: BTreeSet<String> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` |"))
        .map(|(name, _)| name.to_owned())
        .collect();
    let mut used = BTreeSet::new();
    for folder in [".", "entity", "migration", "fuzz", "benches/load"] {
        let text = fs::read_to_string(root().join(folder).join("Cargo.toml"))
            .expect("the manifest is there");
        let manifest: toml::Table = text.parse().expect("the manifest is TOML");
        for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let names = manifest.get(section).and_then(toml::Value::as_table);
            used.extend(names.into_iter().flat_map(|table| table.keys().cloned()));
        }
    }
    let unexplained: Vec<_> = used.difference(&explained).collect();
    assert!(unexplained.is_empty(), "docs/dependencies.md says no reason for {unexplained:?}");
    let gone: Vec<_> = explained.difference(&used).collect();
    assert!(gone.is_empty(), "docs/dependencies.md explains what is not used: {gone:?}");
}

#[test]
fn the_rules_find_what_they_are_meant_to_find() {
    let breaks = |path: &str, text: &str, name: &str| {
        let file = Source { path: path.to_owned(), text: text.to_owned() };
        let rule = RULES.iter().find(|rule| rule.crates.contains(&name)).expect("a rule");
        !rule.breaches(&file).is_empty()
    };
    assert!(breaks("src/session/mod.rs", "use hyper::Request;", "hyper"));
    assert!(breaks("src/session/mod.rs", "let x = ::redis::Client::open(url);", "redis"));
    assert!(breaks("src/problem/code.rs", "use hyper::{Request, StatusCode};", "hyper"));
    assert!(breaks("src/session/rotation.rs", "use ractor::Actor;", "ractor"));
    assert!(!breaks("src/problem/code.rs", "use hyper::StatusCode;", "hyper"));
    assert!(!breaks("src/http/body.rs", "use hyper::Request;", "hyper"));
    assert!(!breaks("src/session/mod.rs", "// hyper::Request is not known here", "hyper"));
    assert!(!breaks("src/session/mod.rs", "use ractor::Actor;", "ractor"));
    assert!(!breaks("src/store/mod.rs", "mod redis;\nuse redis::Redis;", "redis"));
    assert!(!breaks("src/app.rs", "use crate::store::redis::Redis;", "redis"));
}

impl Rule {
    fn breaches(&self, file: &Source) -> Vec<String> {
        let place = self.allowed.iter().find(|(pattern, _)| matches(pattern, &file.path));
        let allowed_words = match place {
            Some((_, None)) => return Vec::new(),
            Some((_, Some(words))) => words,
            None => "\0",
        };
        let mut breaches = Vec::new();
        for (number, line) in file.text.lines().enumerate() {
            let line = code(line).replace(allowed_words, "");
            let named = self.crates.iter().filter(|name| names(file, &line, name));
            let said = self.words.iter().filter(|word| line.contains(**word));
            for what in named.chain(said) {
                breaches.push(format!(
                    "{}:{} names {what}: {}",
                    file.path,
                    number + 1,
                    self.reason
                ));
            }
        }
        breaches
    }
}

/// Says whether a line names this crate. A module of latchkey with the same name does not count.
fn names(file: &Source, line: &str, name: &str) -> bool {
    // This closure searches the whole file. It is called only for a line that contains the name.
    let is_module_of_that_name = || {
        let module = format!("mod {name};");
        file.text.lines().any(|line| {
            line.trim_start_matches("pub ").trim_start_matches("pub(crate) ").trim() == module
        })
    };
    let part_of_a_name = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(&format!("{name}::")).any(|(at, _)| {
        let before = &line[..at];
        match before.strip_suffix("::") {
            // `::redis::` is the crate. `store::redis::` is a module of latchkey.
            Some(path) => !path.ends_with(part_of_a_name),
            None => !before.ends_with(part_of_a_name) && !is_module_of_that_name(),
        }
    })
}

/// Says whether a path equals the pattern. If the pattern ends in `/`, every path below this
/// directory matches. A `*` stands for one part of the path.
fn matches(pattern: &str, path: &str) -> bool {
    if let Some((head, tail)) = pattern.split_once('*') {
        return path
            .strip_prefix(head)
            .and_then(|rest| rest.strip_suffix(tail))
            .is_some_and(|part| !part.is_empty() && !part.contains('/'));
    }
    path == pattern || (pattern.ends_with('/') && path.starts_with(pattern))
}
