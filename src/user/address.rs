//! The parser of email addresses, and the normal form by which accounts are found. No other module
//! parses email addresses.
//!
//! The parser accepts a small, safe part of RFC 5321 §4.1.2: an ASCII dot-atom, `@`, and a domain
//! that IDNA accepts (UTS 46, non-transitional, STD3 rules). The local part is ASCII, so it cannot
//! contain a letter that looks like an ASCII letter but is another one (KELVIN SIGN, dotless i). In
//! the domain, the parser accepts the letters that IDNA accepts.

use std::error::Error;
use std::fmt;
use std::net::Ipv4Addr;

/// Greatest length of an email address in bytes. Both the address as typed and its normal form must
/// fit.
///
/// RFC 5321 §4.5.3.1.3 allows a path of 256 bytes, including its angle brackets. The normal form is
/// checked because SMTP uses it, and because A-labels are longer than the text that they encode.
pub const ADDRESS_BYTES_MAX: usize = 254;

/// Greatest length of a local part in bytes (RFC 5321 §4.5.3.1.1).
pub const LOCAL_BYTES_MAX: usize = 64;

/// An email address, as it was typed and in its normal form.
///
/// `Debug` does not show the address, because a user's address must not be logged. Two addresses
/// are equal if their normal forms are equal.
///
/// ```
/// use latchkey::user::EmailAddress;
/// let address = EmailAddress::parse("Ada.L@BÜCHER.example").unwrap();
/// assert_eq!(address.as_typed(), "Ada.L@BÜCHER.example");
/// assert_eq!(address.normal(), "ada.l@xn--bcher-kva.example");
/// ```
#[derive(Clone)]
pub struct EmailAddress {
    typed: String,
    normal: String,
    /// The position of the `@` in `normal`.
    at: usize,
}

impl EmailAddress {
    /// Reads an email address. White space is not trimmed, so a space is an error.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        if text.starts_with(is_space) {
            return Err(AddressError::SpaceAtStart);
        }
        if text.ends_with(is_space) {
            return Err(AddressError::SpaceAtEnd);
        }
        if text.len() > ADDRESS_BYTES_MAX {
            return Err(AddressError::TooLong);
        }
        // A dot-atom has no `@`, so the first `@` ends the local part. A second `@` makes the
        // domain invalid.
        let (local, domain) = text.split_once('@').ok_or(AddressError::NoAt)?;
        check_local(local)?;
        let domain = normal_domain(domain)?;
        let normal = format!("{}@{domain}", local.to_ascii_lowercase());
        if normal.len() > ADDRESS_BYTES_MAX {
            return Err(AddressError::TooLong);
        }
        Ok(Self { typed: text.to_owned(), normal, at: local.len() })
    }

    /// The address exactly as it was typed.
    pub fn as_typed(&self) -> &str {
        &self.typed
    }

    /// The normal form of the address: the local part in lower case, `@`, and the domain as
    /// lower-case A-labels. Unique indexes, lookups, limits and digests use the normal form.
    pub fn normal(&self) -> &str {
        &self.normal
    }

    /// The local part of the normal form.
    pub fn local(&self) -> &str {
        &self.normal[..self.at]
    }

    /// The domain of the normal form: lower-case A-labels.
    pub fn domain(&self) -> &str {
        &self.normal[self.at + 1..]
    }
}

impl fmt::Debug for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EmailAddress(…)")
    }
}

impl PartialEq for EmailAddress {
    fn eq(&self, other: &Self) -> bool {
        self.normal == other.normal
    }
}

impl Eq for EmailAddress {}

/// Why a text is not an accepted email address. `Display` gives a sentence for the user who typed
/// the text. The sentence contains no part of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressError {
    /// The text begins with white space.
    SpaceAtStart,
    /// The text ends with white space.
    SpaceAtEnd,
    /// The text is longer than [`ADDRESS_BYTES_MAX`].
    TooLong,
    /// The text has no `@`.
    NoAt,
    /// The local part is empty, longer than [`LOCAL_BYTES_MAX`], or not an ASCII dot-atom (RFC 5322
    /// §3.2.3).
    Local,
    /// IDNA refuses the domain, or the domain is an IP address.
    Domain,
    /// The domain is a single label.
    NoDot,
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SpaceAtStart => "There is a space at the start of the address. Remove it.",
            Self::SpaceAtEnd => "There is a space at the end of the address. Remove it.",
            Self::TooLong => "The address is longer than 254 bytes.",
            Self::NoAt => "The address has no @.",
            Self::Local => {
                "The part before the @ must have 1 to 64 ASCII letters, digits or marks, with single dots between them. Spaces, quotes and comments are not allowed."
            }
            Self::Domain => "The part after the @ is not a valid domain name.",
            Self::NoDot => "The domain has no dot.",
        })
    }
}

impl Error for AddressError {}

/// Whether a character is white space, or a character without width that programs put beside a
/// copied address: a zero width space or a byte order mark.
fn is_space(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{200b}' | '\u{feff}')
}

fn check_local(local: &str) -> Result<(), AddressError> {
    let fits = local.len() <= LOCAL_BYTES_MAX;
    let is_dot_atom = local.split('.').all(|atom| !atom.is_empty() && atom.bytes().all(is_atext));
    if fits && is_dot_atom { Ok(()) } else { Err(AddressError::Local) }
}

/// Whether a byte is in `atext` of RFC 5322 §3.2.3.
const fn is_atext(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'/'
                | b'='
                | b'?'
                | b'^'
                | b'_'
                | b'`'
                | b'{'
                | b'|'
                | b'}'
                | b'~'
        )
}

/// Returns the domain as lower-case A-labels. The strict profile of IDNA checks the hyphens and
/// that all characters are allowed by STD3. It also checks that each label has 1 to 63 bytes and
/// the domain at most 253 bytes. It allows no dot at the end.
fn normal_domain(domain: &str) -> Result<String, AddressError> {
    let ascii = idna::domain_to_ascii_strict(domain).map_err(|_| AddressError::Domain)?;
    if !ascii.contains('.') {
        return Err(AddressError::NoDot);
    }
    // The domain is an IP address without brackets. IDNA maps full-width digits to ASCII digits, so
    // they can also form an IP address.
    if ascii.parse::<Ipv4Addr>().is_ok() {
        return Err(AddressError::Domain);
    }
    Ok(ascii)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn normal(text: &str) -> String {
        EmailAddress::parse(text).unwrap().normal().to_owned()
    }

    fn refusal(text: &str) -> AddressError {
        EmailAddress::parse(text).unwrap_err()
    }

    #[test]
    fn an_address_is_kept_as_typed_and_compared_in_lower_case_a_labels() {
        let address = EmailAddress::parse("O'Hara+News@Straße.Example").unwrap();
        assert_eq!(address.as_typed(), "O'Hara+News@Straße.Example");
        assert_eq!(address.local(), "o'hara+news");
        assert_eq!(address.domain(), "xn--strae-oqa.example", "non-transitional: ß is not ss");
        assert_eq!(address, EmailAddress::parse("o'hara+news@XN--STRAE-OQA.example").unwrap());
    }

    #[test]
    fn every_character_of_an_atom_is_allowed_and_no_other() {
        assert_eq!(normal("!#$%&'*+-/=?^_`{|}~@a.example").len(), 29);
        for byte in 0..=127_u8 {
            let text = format!("a{}b@a.example", char::from(byte));
            let expected = is_atext(byte) || byte == b'.';
            assert_eq!(EmailAddress::parse(&text).is_ok(), expected, "byte {byte:#x}");
        }
    }

    #[test]
    fn what_is_no_dot_atom_is_refused() {
        for text in [
            "",
            "a",
            "a.example",
            "@a.example",
            ".a@a.example",
            "a.@a.example",
            "a..b@a.example",
            " a@a.example",
            "\"a\"@a.example",
            "\"a b\"@a.example",
            "a(x)@a.example",
            "Ada <a@a.example>",
            "<a@a.example>",
            "ä@a.example",
            "a\u{0}@a.example",
            "a\r\n@a.example",
            "mailto:a@a.example",
            "a,b@a.example",
        ] {
            assert!(EmailAddress::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_space_around_an_address_is_named() {
        for space in [" ", "\t", "\r\n", "\u{a0}", "\u{2003}", "\u{2028}", "\u{3000}", "\u{feff}"] {
            assert_eq!(refusal(&format!("{space}a@a.example")), AddressError::SpaceAtStart);
            assert_eq!(refusal(&format!("a@a.example{space}")), AddressError::SpaceAtEnd);
        }
        let told = refusal("a@a.example ").to_string();
        assert_eq!(told, "There is a space at the end of the address. Remove it.");
        assert!(refusal(" a@a.example").to_string().contains("a space at the start"));
    }

    #[test]
    fn what_is_no_domain_name_is_refused() {
        for text in [
            "a@",
            "a@b@c.example",
            "a@.example",
            "a@a..example",
            "a@a.example.",
            "a@ a.example",
            "a@[127.0.0.1]",
            "a@127.0.0.1",
            "a@１２７.0.0.1",
            "a@[IPv6:::1]",
            "a@-a.example",
            "a@a-.example",
            "a@a_b.example",
            "a@xn--a.example",
            "a@a\u{200b}\u{2028}.example",
            "a@a%2eexample.com",
            "a@a。",
            "a@ab--cd.example",
            "a@\u{202e}a.example",
            "a@a.example>",
            "a@a.example(x)",
        ] {
            assert_eq!(refusal(text), AddressError::Domain, "{text:?}");
        }
        assert_eq!(refusal("a@localhost"), AddressError::NoDot);
    }

    #[test]
    fn lengths_are_held_as_typed_and_in_the_normal_form() {
        let label = "d".repeat(63);
        assert!(EmailAddress::parse(&format!("{}@a.example", "a".repeat(64))).is_ok());
        assert_eq!(refusal(&format!("{}@a.example", "a".repeat(65))), AddressError::Local);
        assert!(EmailAddress::parse(&format!("a@{label}.example")).is_ok());
        assert_eq!(refusal(&format!("a@{label}d.example")), AddressError::Domain);
        let domain = |last: usize| format!("{label}.{label}.{label}.{}", "d".repeat(last));
        assert_eq!(normal(&format!("a@{}", domain(60))).len(), 254);
        assert_eq!(refusal(&format!("a@{}", domain(61))), AddressError::TooLong);
        // This address has 144 bytes as typed, and the DNS accepts its domain. But with A-labels it
        // is too long for an SMTP path.
        let wide = format!("{}@{}", "a".repeat(64), vec!["äa"; 20].join("."));
        assert_eq!(wide.len(), 144);
        assert_eq!(refusal(&wide), AddressError::TooLong);
    }

    #[test]
    fn confusables_are_never_another_persons_address() {
        assert!(EmailAddress::parse("\u{212a}elvin@a.example").is_err(), "KELVIN SIGN");
        assert!(EmailAddress::parse("m\u{131}ke@a.example").is_err(), "dotless i");
        assert!(EmailAddress::parse("\u{ff41}da@a.example").is_err(), "full-width a");
        assert_ne!(normal("a@m\u{131}ke.example"), "a@mike.example");
        assert_ne!(normal("a@\u{430}.example"), "a@a.example", "Cyrillic a");
    }

    #[test]
    fn debug_shows_nothing_of_the_address() {
        let address = EmailAddress::parse("ada@a.example").unwrap();
        assert_eq!(format!("{address:?}"), "EmailAddress(…)");
    }

    proptest! {
        #[test]
        fn parsing_never_panics(text in ".{0,80}", domain in ".{0,40}") {
            let _ = EmailAddress::parse(&text);
            let _ = EmailAddress::parse(&format!("a@{domain}.example"));
        }

        #[test]
        fn the_normal_form_is_its_own_normal_form(domain in "[a-zA-Z0-9äßéжあK\u{212a}\u{ff21}\u{ad}。.-]{1,20}") {
            if let Ok(address) = EmailAddress::parse(&format!("Ab.C@{domain}.Example")) {
                prop_assert!(address.normal().is_ascii());
                prop_assert_eq!(normal(address.normal()), address.normal());
            }
        }

        #[test]
        fn spellings_that_differ_in_case_are_one_address(
            local in "[a-zA-Z0-9+_-]{1,20}(\\.[a-zA-Z0-9]{1,10})?",
            domain in "[a-zA-Z0-9]{1,10}(\\.[a-zA-Z0-9]{1,10}){0,2}",
        ) {
            let text = format!("{local}@{domain}.example");
            prop_assert_eq!(normal(&text), normal(&text.to_ascii_uppercase()));
            prop_assert_eq!(normal(&text), text.to_ascii_lowercase());
        }
    }
}

#[cfg(test)]
#[path = "address_properties.rs"]
mod properties;
