//! The passwords that everybody tries first.
//!
//! `common.txt` holds 16 285 passwords of 8 characters and more, lower-case, one a line, sorted by bytes: the union of
//! two public frequency lists, as shipped with Django 5.2 (`django.contrib.auth`, by Royce Williams, drawn from
//! breaches) and with zxcvbn 4.5 (`passwords`, by Dan Wheeler), without entries that are not printable ASCII (broken
//! encodings in the sources). It is searched where the linker put it: no table is built and no memory taken.

/// Sorted by bytes, each line ended by `\n`.
static COMMON: &str = include_str!("common.txt");

/// Whether `lowercase`, a password in lower case, is on the list as a whole.
pub(super) fn is_common(lowercase: &str) -> bool {
    let mut rest = COMMON;
    // Halves `rest` at a line's border: 18 steps over 156 KB.
    while !rest.is_empty() {
        let middle = rest.len() / 2;
        let bytes = rest.as_bytes();
        let start = bytes[..middle].iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
        let end = bytes[middle..]
            .iter()
            .position(|&byte| byte == b'\n')
            .map_or(rest.len(), |at| middle + at);
        let line = &rest[start..end];
        match line.cmp(lowercase) {
            std::cmp::Ordering::Equal => return true,
            std::cmp::Ordering::Less => rest = rest.get(end + 1..).unwrap_or_default(),
            std::cmp::Ordering::Greater => rest = &rest[..start],
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted_unique_lower_case_and_of_the_stated_size() {
        let lines: Vec<&str> = COMMON.lines().collect();
        assert_eq!(lines.len(), 16_285);
        assert!(lines.is_sorted_by(|a, b| a < b));
        assert!(lines.iter().all(|line| line.len() >= 8 && line.is_ascii()));
        assert!(lines.iter().all(|line| *line == line.to_lowercase()));
        assert!(COMMON.ends_with('\n'));
    }

    #[test]
    fn every_line_is_found_and_what_is_near_it_is_not() {
        for line in COMMON.lines() {
            assert!(is_common(line), "{line}");
            assert!(!is_common(&format!("{line}\u{1}")), "{line}");
        }
        for absent in
            ["", "\n", "a", "zzzzzzzzzzzzzzzzzzzz", "~~~~~~~~~~~", "password1\npassword2", "ÿ"]
        {
            assert!(!is_common(absent), "{absent:?}");
        }
    }
}
