//! The fuzz harness for the names of users and for `Accept-Language`.

use latchkey::mail::Locale;
use latchkey::user::PersonName;

/// Checks that an accepted name is one visible line, and that parsing the name again does not
/// change it. Every value of `Accept-Language` must select one of the supported languages.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(locale) = text.parse::<Locale>();
    let asked = text.to_ascii_lowercase().contains(locale.tag());
    assert!(locale == Locale::En || asked, "nobody asked for {locale:?}");
    let Ok(name) = PersonName::parse(text) else { return };
    let name = name.as_str();
    assert!((1..=100).contains(&name.chars().count()));
    assert!(name.trim() == name && name.chars().any(|c| !c.is_whitespace() && c != '\u{2800}'));
    // Only direction marks are removed from the inside of a name.
    let is_mark = |c: char| matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    assert!(text.replace(is_mark, "").contains(name));
    assert!(
        !name.chars().any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') || is_mark(c))
    );
    assert_eq!(PersonName::parse(name).map(|again| again.as_str().to_owned()), Ok(name.to_owned()));
}
