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
    assert!(text.contains(name) && name.trim() == name);
    assert!(
        !name
            .chars()
            .any(|c| c.is_control()
                || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'))
    );
    assert_eq!(PersonName::parse(name).map(|again| again.as_str().to_owned()), Ok(name.to_owned()));
}
