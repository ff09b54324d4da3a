//! The fuzz harness for stored password hashes: PHC strings of argon2, and the formats of other
//! systems that an import accepts.

use std::cell::RefCell;

use latchkey::password::hashing::STORED_BYTES_MAX;
use latchkey::password::{Format, HashError, Hasher, Params, Setup, Unsupported, Verdict, admit};
use latchkey::secret::Secret;

use super::edits::edited;

const OURS: Params = Params { memory_kib: 64, iterations: 1, parallelism: 1 };
/// The maximum work of an argon2 hash that the harness computes: memory times passes, in KiB. The
/// work must be small, because a fuzzer has to test thousands of inputs per second.
const WORK_KIB_HERE: u64 = 1024;

struct State {
    hasher: Hasher,
    good: String,
}

thread_local! {
    static STATE: RefCell<State> = RefCell::new({
        let mut hasher = Hasher::new(Setup::plain(OURS)).expect("parameters");
        let good = hasher.hash(&Secret::new("right".to_owned())).expect("a hash");
        State { hasher, good }
    });
}

/// Checks that a wrong password never matches, and that the hasher refuses each string that `admit`
/// refuses. The first byte of the input selects how the other bytes are used: as a string, or as a
/// list of edits that are applied to a valid string.
pub fn run(data: &[u8]) {
    let Some((mode, rest)) = data.split_first() else { return };
    STATE.with_borrow_mut(|state| {
        let edits = mode & 1 == 1;
        let text = if edits {
            edited(&state.good, rest)
        } else {
            String::from_utf8_lossy(rest).into_owned()
        };
        let admitted = admit(&text);
        if let Err(why) = admitted {
            // The hasher must refuse the string for the same reason, before it computes a hash.
            let verdict = state.hasher.verify(&Secret::new("wrong".to_owned()), &text);
            let same = match why {
                Unsupported::Algorithm | Unsupported::Unsalted | Unsupported::Malformed(_) => {
                    matches!(verdict, Err(HashError::Corrupt))
                }
                Unsupported::TooCostly(_) => matches!(verdict, Err(HashError::ParametersRefused)),
                Unsupported::Pepper => matches!(verdict, Err(HashError::PepperMissing)),
            };
            assert!(same, "{text}: {why} and {verdict:?}");
            assert!(!edits || text != state.good);
            return;
        }
        assert!(text.len() <= STORED_BYTES_MAX);
        if !admitted.is_ok_and(|format| is_cheap(format, &text)) {
            return;
        }
        let wrong = state.hasher.verify(&Secret::new("wrong".to_owned()), &text);
        assert!(matches!(wrong, Ok(Verdict::Mismatch)), "{text}: {wrong:?}");
        if edits {
            let right = state.hasher.verify(&Secret::new("right".to_owned()), &text);
            let passes = matches!(right, Ok(Verdict::Match | Verdict::MatchNeedsRehash));
            assert!(passes || text != state.good);
            // The edited string may match only if nothing but the order of its parameters has
            // changed.
            assert!(!passes || fields(&text) == fields(&state.good), "{text}");
        }
    });
}

/// Whether the hash is cheap enough for the harness. This function has its own simple parser. If
/// the hash could be too expensive, the result is false.
fn is_cheap(format: Format, text: &str) -> bool {
    let runs = text.split(|c: char| !c.is_ascii_digit()).filter(|run| !run.is_empty());
    let most = runs.map(|run| run.parse().unwrap_or(u64::MAX)).max().unwrap_or(0);
    match format {
        Format::Argon2 => asked(text, "m=").saturating_mul(asked(text, "t=")) <= WORK_KIB_HERE,
        Format::Bcrypt => ["$04$", "$05$"].iter().any(|cost| text.contains(cost)),
        // Without a `$`, the number of iterations is not readable.
        Format::Pbkdf2Sha1 | Format::Pbkdf2Sha256 | Format::Pbkdf2Sha512 => {
            most <= 2000 && text.contains('$')
        }
        Format::Scrypt => most <= 9 && ["$scrypt", "scrypt"].iter().any(|it| text.starts_with(it)),
        Format::FirebaseScrypt => most <= 9,
        Format::ShaCrypt => most <= 2000 && text.contains("rounds="),
        Format::Phpass => ["$P$5", "$H$5"].iter().any(|it| text.starts_with(it)),
        Format::SaltedSha => true,
    }
}

/// Returns the largest value that the string contains for a parameter. Returns 0 if the string does
/// not contain the parameter.
fn asked(text: &str, name: &str) -> u64 {
    let values = text.split(['$', ',']).filter_map(|part| part.strip_prefix(name));
    values.filter_map(|value| value.parse().ok()).max().unwrap_or(0)
}

/// Returns the parts of a string between its separators, sorted.
fn fields(text: &str) -> Vec<&str> {
    let mut fields: Vec<&str> = text.split(['$', ',']).collect();
    fields.sort_unstable();
    fields
}
