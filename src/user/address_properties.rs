//! Property tests of the normal form with generated email addresses. All spellings of one address
//! have the same normal form, and different addresses have different normal forms.

use proptest::prelude::*;
use unicode_normalization::UnicodeNormalization as _;

use super::*;

fn parse(text: &str) -> Option<EmailAddress> {
    EmailAddress::parse(text).ok()
}

/// The normal form of a text that must be an address.
fn normal(text: &str) -> String {
    parse(text).unwrap_or_else(|| panic!("{text} is an address")).normal().to_owned()
}

/// Letters that are not ASCII, but look like an ASCII letter, or become an ASCII letter by case
/// folding or decomposition.
const CONFUSABLES: [char; 24] = [
    '\u{212a}', // KELVIN SIGN: its lower case is k
    '\u{131}',  // dotless i: its upper case is I
    '\u{130}',  // I with a dot: its lower case begins with i
    '\u{17f}',  // long s: its upper case is S
    '\u{212b}', // ANGSTROM SIGN
    '\u{ff21}',
    '\u{ff41}',
    '\u{ff4b}', // full-width A, a, k
    '\u{430}',
    '\u{435}',
    '\u{456}',
    '\u{455}', // Cyrillic a, e, i, s
    '\u{3bf}',
    '\u{39a}', // Greek o, K
    '\u{1d41a}',
    '\u{1d4d0}', // mathematical a, A
    '\u{24d0}',  // circled a
    '\u{aa}',
    '\u{2071}', // feminine ordinal, superscript i
    '\u{df}',
    '\u{1e9e}', // sharp s, small and capital
    '\u{fb01}', // the ligature fi
    '\u{e000}',
    '\u{301}', // private use, a combining accent
];

fn local() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9+_-]{1,12}(\\.[a-zA-Z0-9!#$%&'*/=?^`{|}~]{1,8}){0,2}"
}

fn domain() -> impl Strategy<Value = String> {
    "[a-z0-9]{1,12}(-[a-z0-9]{1,5})?\\.(example|test)"
        // A label with hyphens as its third and fourth character must be an A-label.
        .prop_filter("no accidental A-label", |domain| domain.get(2..4) != Some("--"))
}

/// Labels that each use only one script. Domain registries accept such labels.
fn international() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z]{1,6}[äöüéèñçøåœæþ]{1,4}[a-z]{0,6}",
        "[а-я]{2,12}",
        "[α-ρσ-ω]{2,12}",
        "[あ-ん]{2,10}",
        "[一-龠]{2,8}",
        "[가-힣]{2,8}",
    ]
}

proptest! {
    #[test]
    fn a_confusable_in_the_local_part_is_no_address(
        local in local(),
        domain in domain(),
        confusable in prop::sample::select(&CONFUSABLES[..]),
        at in any::<prop::sample::Index>(),
    ) {
        let mut letters: Vec<char> = local.chars().collect();
        let at = at.index(letters.len() + 1);
        letters.insert(at, confusable);
        let text = format!("{}@{domain}", letters.iter().collect::<String>());
        prop_assert_eq!(parse(&text), None);
    }

    #[test]
    fn a_confusable_in_the_domain_is_what_the_dns_makes_of_it(
        domain in domain(),
        confusable in prop::sample::select(&CONFUSABLES[..]),
        at in any::<prop::sample::Index>(),
    ) {
        let mut letters: Vec<char> = domain.chars().collect();
        let at = at.index(letters.len() + 1);
        letters.insert(at, confusable);
        let typed: String = letters.iter().collect();
        if let Some(address) = parse(&format!("a@{typed}")) {
            prop_assert!(address.normal().is_ascii());
            // The normal form of a domain may be plain ASCII only if UTS 46 maps every letter of
            // the domain to ASCII. UTS 46 maps full-width a and KELVIN SIGN to ASCII, but not
            // dotless i and Cyrillic a.
            let mapped: String = typed.nfkc().collect::<String>().to_lowercase();
            let is_plain = !address.domain().contains("xn--");
            prop_assert_eq!(is_plain, mapped.is_ascii(), "{}", address.domain());
            if is_plain {
                prop_assert_eq!(address.domain(), mapped);
            }
        }
    }

    #[test]
    fn u_labels_and_a_labels_are_one_account(local in local(), label in international()) {
        let typed = format!("{local}@{label}.example");
        if let Some(address) = parse(&typed) {
            prop_assert_eq!(address.as_typed(), &typed);
            let ascii = format!("{local}@{}", address.domain());
            for spelling in [
                ascii.clone(),
                ascii.to_ascii_uppercase(),
                typed.to_uppercase().replace(&local.to_uppercase(), &local),
                format!("{local}@{}.EXAMPLE", label.nfd().collect::<String>()),
                format!("{local}@{label}\u{3002}example"),
                format!("{local}@{label}\u{ff0e}example"),
                format!("{local}@{label}.\u{ff45}xample"),
                format!("{local}@{label}.ex\u{ad}ample"),
            ] {
                prop_assert_eq!(normal(&spelling), address.normal(), "{}", spelling);
            }
        }
    }

    #[test]
    fn the_normal_form_is_a_fixed_point(local in local(), label in international(), upper in any::<bool>()) {
        let typed = format!("{local}@{label}.example");
        let typed = if upper { typed.to_uppercase() } else { typed };
        if let Some(address) = parse(&typed) {
            let again = parse(address.normal()).expect("the normal form is an address");
            prop_assert_eq!(again.normal(), address.normal());
            prop_assert_eq!(&again, &address);
            prop_assert!(address.normal().bytes().all(|b| b.is_ascii_graphic() && !b.is_ascii_uppercase()));
        }
    }

    #[test]
    fn different_people_have_different_normal_forms(a in local(), b in local(), domain in domain()) {
        let same = a.eq_ignore_ascii_case(&b);
        prop_assert_eq!(normal(&format!("{a}@{domain}")) == normal(&format!("{b}@{domain}")), same);
    }

    #[test]
    fn nothing_that_ends_a_line_or_a_word_is_in_an_address(
        local in local(),
        domain in domain(),
        evil in prop::sample::select(&[
            "\r", "\n", "\r\n", "\0", " ", "\t", "\u{b}", "\u{7f}", "\u{85}", "\u{a0}", "\u{2028}", "\u{2029}",
            "\u{202e}", "\u{3000}", "<", ">", ",", ";", ":", "\"", "\\", "(", ")", "[", "]", "%0d%0a", "@",
        ][..]),
        at in any::<prop::sample::Index>(),
    ) {
        let mut text = format!("{local}@{domain}");
        // `%` is allowed in a local part.
        let least = if evil == "%0d%0a" { local.len() + 1 } else { 0 };
        text.insert_str(least + at.index(text.len() - least + 1), evil);
        prop_assert_eq!(parse(&text), None, "{:?}", text);
    }
}
