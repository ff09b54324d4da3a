//! [`PersonName`]: the name of a user, in a form that is safe to show to the user and to the
//! members of the user's teams. Teams, projects and keys have names of the same form.
//!
//! A name is visible and on one line. Format characters are refused, except those that scripts and
//! emoji need:
//!
//! - joiners (Persian, Indic scripts, emoji),
//! - a zero width space between letters (Burmese, Khmer and others mark words with it),
//! - the tags of a flag (Scotland, Wales).
//!
//! Programs add direction marks when a user copies a name. Such marks do not change the name, so
//! they are removed (`without_direction_marks`).

use std::error::Error;
use std::fmt;

use unicode_general_category::{GeneralCategory, get_general_category};

/// Greatest length of a name in code points, after trimming.
pub const NAME_CHARS_MAX: usize = 100;

/// A name of 1 to [`NAME_CHARS_MAX`] code points. White space at its ends is trimmed. It contains
/// no line breaks and no invisible control characters.
///
/// ```
/// use latchkey::user::PersonName;
/// assert_eq!(PersonName::parse("  Ada Lovelace ").unwrap().as_str(), "Ada Lovelace");
/// assert!(PersonName::parse("Ada\u{202e}").is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PersonName(String);

impl PersonName {
    /// Reads a name: removes direction marks, trims white space, then checks the rules.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let text = without_direction_marks(text);
        let name = text.trim_matches(is_trimmed);
        if name.chars().all(is_invisible) {
            return Err(NameError::Empty);
        }
        if name.chars().nth(NAME_CHARS_MAX).is_some() {
            return Err(NameError::TooLong);
        }
        match first_forbidden(name) {
            Some(c) => Err(NameError::Forbidden(c)),
            None => Ok(Self(name.to_owned())),
        }
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
    /// The name contains this character, which is not allowed there.
    Forbidden(char),
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Empty => f.write_str("The name is empty."),
            Self::TooLong => f.write_str("The name is longer than 100 characters."),
            Self::Forbidden(c) => {
                let code = u32::from(c);
                write!(f, "The name contains the character U+{code:04X} ({}). Remove it.", word(c))
            }
        }
    }
}

impl Error for NameError {}

/// What a forbidden character is.
fn word(c: char) -> &'static str {
    match c {
        '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}' => "a line break",
        '\t' => "a tab",
        '\u{ad}' => "a soft hyphen",
        '\u{200b}' => "a zero width space",
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => "a direction mark",
        '\u{feff}' => "a byte order mark",
        '\u{e0000}'..='\u{e007f}' => "a tag character outside a flag",
        _ => match get_general_category(c) {
            GeneralCategory::Format => "a format character",
            GeneralCategory::Unassigned => "not a character of Unicode 16",
            _ => "a control character",
        },
    }
}

/// Removes direction marks that do not change the name:
///
/// - LRM, RLM and ALM, which only say that the text beside them has a direction,
/// - an embedding or an isolate that is closed again, which says this of a whole part. Contacts and
///   chats put it around a name.
///
/// An override (U+202D, U+202E) stays, because it shows the letters in another order. Marks that
/// are not balanced also stay.
fn without_direction_marks(text: &str) -> String {
    let mut kept: Vec<Option<char>> = Vec::new();
    // The places of the marks that are still open, each with the mark that closes it.
    let mut open: Vec<(usize, char)> = Vec::new();
    for c in text.chars() {
        match c {
            '\u{200e}' | '\u{200f}' | '\u{61c}' => continue,
            '\u{202a}' | '\u{202b}' => open.push((kept.len(), '\u{202c}')),
            '\u{2066}'..='\u{2068}' => open.push((kept.len(), '\u{2069}')),
            _ => {
                if let Some((at, _)) = open.pop_if(|(_, close)| *close == c) {
                    kept[at] = None;
                    continue;
                }
            }
        }
        kept.push(Some(c));
    }
    kept.into_iter().flatten().collect()
}

/// Whether a character is removed from the ends of a name: white space, characters that look like
/// it, and direction marks that are not balanced. An override is not removed.
fn is_trimmed(c: char) -> bool {
    let is_mark = matches!(c, '\u{202a}'..='\u{202c}' | '\u{2066}'..='\u{2069}');
    let is_blank =
        matches!(c, '\u{200b}' | '\u{2060}' | '\u{feff}' | '\u{2800}' | '\u{3164}' | '\u{ffa0}');
    c.is_whitespace() || is_mark || is_blank
}

/// Whether a user sees nothing of a character that stands alone: white space, the empty Braille
/// pattern, a combining mark without a letter, or `Default_Ignorable_Code_Point` of Unicode.
fn is_invisible(c: char) -> bool {
    let is_mark = matches!(
        get_general_category(c),
        GeneralCategory::NonspacingMark | GeneralCategory::EnclosingMark
    );
    c.is_whitespace() || c == '\u{2800}' || is_mark || is_default_ignorable(c)
}

/// `Default_Ignorable_Code_Point` (DerivedCoreProperties.txt of Unicode 16). Unicode reserves whole
/// ranges for it, so later versions hardly change it.
const fn is_default_ignorable(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fff8}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

/// Returns the first character that a name must not contain.
fn first_forbidden(name: &str) -> Option<char> {
    let mut before = None;
    let mut rest = name.chars();
    while let Some(c) = rest.next() {
        match c {
            '\u{1f3f4}' => {
                let tags = flag_tags(rest.as_str());
                rest = rest.as_str()[tags..].chars();
            }
            '\u{200c}' | '\u{200d}' => {}
            '\u{200b}'
                if before.is_some_and(is_letter) && rest.clone().next().is_some_and(is_letter) => {}
            _ if is_forbidden(c) => return Some(c),
            _ => {}
        }
        before = Some(c);
    }
    None
}

/// The length in bytes of the tags of a flag (UTS 51 §3.1.2): 3 to 6 letters or digits of a region
/// as tags, then the closing tag. Returns 0 if the text does not begin with them.
fn flag_tags(text: &str) -> usize {
    const CLOSING: char = '\u{e007f}';
    let is_tag = |c: &char| matches!(c, '\u{e0030}'..='\u{e0039}' | '\u{e0061}'..='\u{e007a}');
    let tags = text.chars().take_while(is_tag).count();
    let is_flag = (3..=6).contains(&tags) && text.chars().nth(tags) == Some(CLOSING);
    if is_flag { (tags + 1) * CLOSING.len_utf8() } else { 0 }
}

fn is_letter(c: char) -> bool {
    let category = get_general_category(c);
    c.is_alphabetic()
        || matches!(category, GeneralCategory::NonspacingMark | GeneralCategory::SpacingMark)
}

fn is_forbidden(c: char) -> bool {
    matches!(
        get_general_category(c),
        GeneralCategory::Control
            | GeneralCategory::Format
            | GeneralCategory::LineSeparator
            | GeneralCategory::ParagraphSeparator
            | GeneralCategory::Unassigned
    )
}

#[cfg(test)]
#[path = "person_name_tests.rs"]
mod tests;
