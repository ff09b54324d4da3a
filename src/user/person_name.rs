//! [`PersonName`]: the name of a user, in a form that is safe to show to the user and to the
//! members of the user's teams.

use std::error::Error;
use std::fmt;

use unicode_general_category::{GeneralCategory, get_general_category};

/// Greatest length of a name in code points, after trimming.
pub const NAME_CHARS_MAX: usize = 100;

/// A name of 1 to [`NAME_CHARS_MAX`] code points. White space at its ends is trimmed. It contains
/// no invisible control characters.
///
/// ```
/// use latchkey::user::PersonName;
/// assert_eq!(PersonName::parse("  Ada Lovelace ").unwrap().as_str(), "Ada Lovelace");
/// assert!(PersonName::parse("Ada\u{202e}").is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PersonName(String);

impl PersonName {
    /// Reads a name: trims white space, then checks the rules.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let name = text.trim();
        // A name that consists only of joiners and white space would be invisible.
        if name.chars().all(|c| is_joiner(c) || c.is_whitespace()) {
            return Err(NameError::Empty);
        }
        if name.chars().nth(NAME_CHARS_MAX).is_some() {
            return Err(NameError::TooLong);
        }
        if name.chars().any(is_forbidden) {
            return Err(NameError::Invisible);
        }
        Ok(Self(name.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a text is not a valid name. `Display` gives a sentence for the user who typed the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameError {
    /// Nothing visible is left after trimming.
    Empty,
    /// The name is longer than [`NAME_CHARS_MAX`].
    TooLong,
    /// The name contains a control or format character (Cc, Cf) that is not a joiner.
    Invisible,
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "The name is empty.",
            Self::TooLong => "The name is longer than 100 characters.",
            Self::Invisible => "The name contains a control or format character.",
        })
    }
}

impl Error for NameError {}

/// Whether a character is a joiner (ZWNJ or ZWJ). Persian, Indic scripts and emoji need joiners.
const fn is_joiner(c: char) -> bool {
    matches!(c, '\u{200c}' | '\u{200d}')
}

fn is_forbidden(c: char) -> bool {
    let category = get_general_category(c);
    matches!(category, GeneralCategory::Control | GeneralCategory::Format) && !is_joiner(c)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_of_the_world_pass_and_are_trimmed() {
        for name in
            ["Ada", "O'Brien-Núñez", "山田太郎", "محمد\u{200c}علی", "👩\u{200d}🚀", "X Æ A-12", "é"]
        {
            assert_eq!(PersonName::parse(&format!("\t {name}\u{3000}\n")).unwrap().as_str(), name);
        }
    }

    #[test]
    fn a_name_has_1_to_100_code_points_after_trimming() {
        assert_eq!(PersonName::parse(""), Err(NameError::Empty));
        assert_eq!(PersonName::parse(" \u{a0} "), Err(NameError::Empty));
        assert_eq!(PersonName::parse("\u{200d}\u{200c}"), Err(NameError::Empty));
        assert!(PersonName::parse(&format!(" {} ", "ä".repeat(100))).is_ok());
        assert_eq!(PersonName::parse(&"a".repeat(101)), Err(NameError::TooLong));
    }

    #[test]
    fn control_and_format_characters_are_refused() {
        for c in [
            '\0',
            '\n',
            '\u{7f}',
            '\u{85}',
            '\u{ad}',
            '\u{200b}',
            '\u{202e}',
            '\u{2066}',
            '\u{feff}',
            '\u{e0041}',
        ] {
            assert_eq!(PersonName::parse(&format!("a{c}b")), Err(NameError::Invisible), "{c:?}");
        }
    }

    proptest! {
        #[test]
        fn a_name_that_passed_passes_again_unchanged(text in any::<String>()) {
            if let Ok(name) = PersonName::parse(&text) {
                prop_assert_eq!(PersonName::parse(name.as_str()), Ok(name.clone()));
                prop_assert!((1..=100).contains(&name.as_str().chars().count()));
            }
        }
    }
}
