//! [`Slug`]: the name of a team or a project in URLs.

use std::fmt;

use crate::secret::random_bytes;

/// Greatest length of a slug in bytes. It is the greatest length of a label in a domain name (RFC
/// 1035 §2.3.4), so that a slug can be a part of the team's own host name.
pub const SLUG_BYTES_MAX: usize = 63;
/// The maximum number of bytes that a slug takes from a name. Even with a hyphen and [`RANDOM_HEX`]
/// more characters, the slug stays shorter than [`SLUG_BYTES_MAX`].
const FROM_NAME_MAX: usize = 40;
/// The number of hexadecimal digits for 40 random bits. If a million teams have the same name, the
/// slug of the next team with that name is already taken with a probability of about one in a
/// million.
const RANDOM_HEX: usize = 10;

/// A slug: 1 to 63 characters of `a-z`, `0-9` and `-`, with no hyphen at either end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slug(String);

/// Why a text is not a slug. `Display` gives a sentence for the user who typed the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlugError {
    Empty,
    /// The text is longer than [`SLUG_BYTES_MAX`].
    TooLong,
    /// The text contains a character that is not allowed, or has a hyphen at an end.
    Format,
}

impl fmt::Display for SlugError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "The slug is empty.",
            Self::TooLong => "The slug is longer than 63 characters.",
            Self::Format => {
                "A slug may have only lower-case letters, digits and hyphens, and no hyphen at either end."
            }
        })
    }
}

impl std::error::Error for SlugError {}

impl Slug {
    /// Reads a slug. White space is not trimmed, and upper case is not changed to lower case.
    pub fn parse(text: &str) -> Result<Self, SlugError> {
        if text.is_empty() {
            return Err(SlugError::Empty);
        }
        if text.len() > SLUG_BYTES_MAX {
            return Err(SlugError::TooLong);
        }
        let sound = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if !text.bytes().all(sound) || text.starts_with('-') || text.ends_with('-') {
            return Err(SlugError::Format);
        }
        Ok(Self(text.to_owned()))
    }

    /// Derives a slug from a name. The slug consists of the ASCII letters and digits of the name,
    /// in lower case. One hyphen replaces each sequence of other characters between them. Returns
    /// `fallback` if the name has no ASCII letter or digit.
    pub fn of_name(name: &str, fallback: &str) -> Self {
        let words =
            name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
        let joined = words.collect::<Vec<_>>().join("-").to_ascii_lowercase();
        let cut = joined[..joined.len().min(FROM_NAME_MAX)].trim_end_matches('-');
        Self(if cut.is_empty() { fallback } else { cut }.to_owned())
    }

    /// Appends 40 random bits to the slug, which make it unique.
    #[must_use]
    pub fn unique(self) -> Self {
        let random =
            random_bytes::<5>().iter().fold(0_u64, |all, byte| all << 8 | u64::from(*byte));
        let kept = &self.0[..self.0.len().min(SLUG_BYTES_MAX - 1 - RANDOM_HEX)];
        Self(format!("{}-{random:0RANDOM_HEX$x}", kept.trim_end_matches('-')))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_be_a_label_of_a_host_is_a_slug() {
        for good in ["a", "0", "acme", "acme-2", "a--b", &"x".repeat(63)] {
            assert_eq!(Slug::parse(good).map(|slug| slug.0), Ok(good.to_owned()));
        }
        for bad in ["Acme", "a_b", "a b", "ä", "-a", "a-", "a.b", "a\n"] {
            assert_eq!(Slug::parse(bad), Err(SlugError::Format), "{bad}");
        }
        assert_eq!(Slug::parse(""), Err(SlugError::Empty));
        assert_eq!(Slug::parse(&"x".repeat(64)), Err(SlugError::TooLong));
    }

    #[test]
    fn a_name_gives_a_slug_and_a_unique_one() {
        let of = |name: &str| Slug::of_name(name, "team").0;
        assert_eq!(of("Ada's team"), "ada-s-team");
        assert_eq!(of("  Acme -- Inc. "), "acme-inc");
        assert_eq!(of("张伟"), "team");
        for name in ["Ada", &"long ".repeat(30), &"x".repeat(100), "!"] {
            let (one, other) =
                (Slug::of_name(name, "team").unique(), Slug::of_name(name, "team").unique());
            assert_ne!(one, other);
            for slug in [one.as_str(), other.as_str(), &of(name)] {
                assert!(Slug::parse(slug).is_ok(), "{slug}");
            }
        }
    }
}
