//! Tests of the rules for names.

use proptest::prelude::*;

use super::*;

fn parsed(text: &str) -> Result<String, NameError> {
    PersonName::parse(text).map(|name| name.as_str().to_owned())
}

#[test]
fn names_of_the_world_pass_and_are_trimmed() {
    for name in [
        "Ada",
        "O'Brien-Núñez",
        "山田太郎",
        "محمد\u{200c}علی",
        "👩\u{200d}🚀",
        "❤\u{fe0f}",
        "X Æ A-12",
        "é",
        "e\u{301}",
        "မြန်\u{200b}မာ",
        "ខ្មែរ\u{200b}ភាសា",
        "🏴\u{e0067}\u{e0062}\u{e0073}\u{e0063}\u{e0074}\u{e007f} Ada",
        "🏴",
        "홍\u{3164}길동",
    ] {
        assert_eq!(parsed(&format!("\t {name}\u{3000}\n")).as_deref(), Ok(name), "{name:?}");
    }
}

#[test]
fn a_name_has_1_to_100_code_points_after_trimming() {
    assert_eq!(PersonName::parse(""), Err(NameError::Empty));
    assert!(PersonName::parse(&format!(" {} ", "ä".repeat(100))).is_ok());
    assert_eq!(PersonName::parse(&"a".repeat(101)), Err(NameError::TooLong));
}

#[test]
fn a_name_that_nobody_can_see_is_empty() {
    for text in [
        " \u{a0} ",
        "\u{200d}\u{200c}",
        "\u{3164}",
        "\u{2800}",
        "\u{2800} \u{2800}",
        "\u{115f}",
        "\u{1160}",
        "\u{ffa0}",
        "\u{17b4}",
        "\u{301}",
        "\u{fe0f}",
        "\u{20e3}",
        "\u{34f}",
        "\u{180e}",
        "\u{ad}",
        "\u{200b}",
        "\u{feff}",
        "\u{2028}",
        "\u{2068}\u{2069}",
        "\u{e0041}\u{e007f}",
    ] {
        assert_eq!(PersonName::parse(text), Err(NameError::Empty), "{text:?}");
    }
}

#[test]
fn control_format_and_unassigned_characters_are_refused_and_named() {
    for (c, word) in [
        ('\0', "U+0000 (a control character)"),
        ('\n', "U+000A (a line break)"),
        ('\u{7f}', "U+007F (a control character)"),
        ('\u{85}', "U+0085 (a line break)"),
        ('\u{ad}', "U+00AD (a soft hyphen)"),
        ('\u{2028}', "U+2028 (a line break)"),
        ('\u{2029}', "U+2029 (a line break)"),
        ('\u{202e}', "U+202E (a direction mark)"),
        ('\u{2066}', "U+2066 (a direction mark)"),
        ('\u{2060}', "U+2060 (a format character)"),
        ('\u{feff}', "U+FEFF (a byte order mark)"),
        ('\u{ffff}', "U+FFFF (not a character of Unicode 16)"),
        ('\u{378}', "U+0378 (not a character of Unicode 16)"),
        ('\u{e0041}', "U+E0041 (a tag character outside a flag)"),
    ] {
        let error = PersonName::parse(&format!("a{c}b")).unwrap_err();
        assert_eq!(error, NameError::Forbidden(c));
        assert_eq!(
            error.to_string(),
            format!("The name contains the character {word}. Remove it.")
        );
    }
    for text in [
        // A zero width space that is not between two letters, and two of them.
        "a \u{200b}b",
        "a\u{200b}\u{200b}b",
        "1\u{200b}b",
        // An override shows the letters in another order, also if it is closed again.
        "\u{202e}annA\u{202c}",
        "\u{202d}Anna\u{202c}",
        // Marks that are not balanced.
        "Anna \u{2068}B",
        "Anna\u{2069} B",
        "a\u{202a}b\u{2069}c",
        // Tags that are not those of a flag.
        "🏴\u{e0067}\u{e0062}\u{e0073}a",
        "🏴\u{e0067}\u{e007f}",
        "a\u{e0067}\u{e0062}\u{e0073}\u{e007f}",
        "🏴\u{e0067}\u{e0062}\u{e0067}\u{e0062}\u{e0067}\u{e0062}\u{e0067}\u{e007f}",
    ] {
        let refusal = PersonName::parse(text);
        assert!(matches!(refusal, Err(NameError::Forbidden(_))), "{text:?} {refusal:?}");
    }
}

#[test]
fn harmless_direction_marks_are_removed() {
    for (text, name) in [
        ("Anna\u{200e}", "Anna"),
        ("\u{202a}Anna\u{202c}", "Anna"),
        ("\u{2068}Anna\u{2069}", "Anna"),
        ("\u{2068}Anna\u{2069} \u{2068}Smith\u{2069}", "Anna Smith"),
        ("\u{2067}\u{202b}דוד\u{202c}\u{2069}", "דוד"),
        ("דוד\u{200f} כהן", "דוד כהן"),
        ("\u{61c}علي", "علي"),
        ("\u{feff}Anna", "Anna"),
        ("Anna\u{200b}\u{feff}", "Anna"),
        (" \u{200f} \u{202c}Anna \u{200e}\u{2069} ", "Anna"),
        ("Anna\u{3164}\u{2800}", "Anna"),
    ] {
        assert_eq!(parsed(text).as_deref(), Ok(name), "{text:?}");
    }
}

proptest! {
    #[test]
    fn a_name_that_passed_passes_again_unchanged(
        text in prop_oneof![
            any::<String>(),
            "[ab \u{200b}\u{200e}\u{202a}\u{202c}\u{2068}\u{2069}\u{feff}\u{2800}\u{301}\u{1f3f4}\u{e0067}\u{e007f}]{0,12}",
        ],
    ) {
        if let Ok(name) = PersonName::parse(&text) {
            prop_assert_eq!(PersonName::parse(name.as_str()), Ok(name.clone()));
            prop_assert!((1..=100).contains(&name.as_str().chars().count()));
        }
    }
}
