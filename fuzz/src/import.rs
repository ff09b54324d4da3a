//! The fuzz harness for one line of a file for `latchkey users import`. Such a file comes from
//! another system, so it can contain anything.

use latchkey::account::transfer::Line;
use latchkey::password::{Params, Setup};
use latchkey::user::EmailAddress;
use serde_json::Value;

/// A value that some inputs contain. No error message may repeat this value.
const PLANTED: &str = "hunter2";

/// The date 2026-11-28.
const NOW: i64 = 1_795_824_000_000;

/// Checks that an accepted line contains a valid email address and a valid user. If a line is
/// refused, the error message must not repeat a value of the line.
pub fn run(data: &[u8]) {
    let hashing = Setup::plain(Params { memory_kib: 19_456, iterations: 2, parallelism: 1 });
    match Line::read(7, data, &hashing, NOW) {
        Ok(line) => {
            let value: Value = serde_json::from_slice(data).expect("JSON, since it was read");
            let sent = value["email"].as_str().expect("an address");
            assert_eq!(
                EmailAddress::parse(sent).expect("read before").normal(),
                line.email.normal()
            );
            assert!((1..=100).contains(&line.name.chars().count()));
            let hash = value["passwordHash"].as_str();
            let hash = hash.filter(|hash| !hash.is_empty() && !hash.starts_with('!'));
            assert_eq!(hash, line.password_hash.as_deref());
            assert_eq!(value["disabled"].as_bool().unwrap_or(false), line.disabled);
            assert!(line.created_at.is_none_or(|at| (0..=NOW + 86_400_000).contains(&at)));
            assert!(line.id.is_none_or(|id| !id.is_nil()));
        }
        Err(error) => {
            assert_eq!(error.line, 7);
            let told = error.to_string();
            assert!(!told.contains(PLANTED) && told.len() < 512, "{told}");
        }
    }
}
