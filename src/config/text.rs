//! Reads values from text: durations, numbers, words, hosts, senders and peppers.

use std::time::Duration;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::kind::Refusal;

/// The units of a duration with their length in milliseconds, largest first.
const UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Reads a duration such as `15m`, `14d` or `500ms`. The limits are in milliseconds.
pub fn duration(given: &str, min_ms: u64, max_ms: u64) -> Result<Duration, Refusal> {
    let form = || {
        Refusal::of(given, "is not a duration", "write a number and a unit (ms, s, m, h or d): 15m")
    };
    let at = given.find(|c: char| !c.is_ascii_digit()).ok_or_else(form)?;
    let (number, unit) = given.split_at(at);
    let factor =
        UNITS.iter().find(|(name, _)| *name == unit).map(|(_, ms)| *ms).ok_or_else(form)?;
    if number.is_empty() {
        return Err(form());
    }
    let ms = number.parse::<u64>().ok().and_then(|number| number.checked_mul(factor));
    match ms {
        Some(ms) if (min_ms..=max_ms).contains(&ms) => Ok(Duration::from_millis(ms)),
        _ => Err(Refusal::of(
            given,
            "is out of range",
            format!("write a value from {} to {}", show_duration(min_ms), show_duration(max_ms)),
        )),
    }
}

/// A number of milliseconds as text that [`duration`] reads, in the largest unit that fits.
pub fn show_duration(ms: u64) -> String {
    let (unit, factor) = match ms {
        0 => ("s", 1_000),
        // The documentation says 24h and 72h, which are easier to read than 1d and 3d.
        86_400_000 | 259_200_000 => ("h", 3_600_000),
        _ => UNITS.into_iter().find(|(_, factor)| ms.is_multiple_of(*factor)).unwrap_or(("ms", 1)),
    };
    format!("{}{unit}", ms / factor)
}

/// Reads an integer without a sign or separators.
pub fn integer(given: &str, min: u64, max: u64) -> Result<u64, Refusal> {
    let fix = || format!("write an integer from {min} to {max}");
    if given.is_empty() || !given.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Refusal::of(given, "is not an integer", fix()));
    }
    match given.parse() {
        Ok(number) if (min..=max).contains(&number) => Ok(number),
        _ => Err(Refusal::of(given, "is out of range", fix())),
    }
}

/// Reads one of `words`. The spelling must be exact.
pub fn word(given: &str, words: &[&'static str]) -> Result<&'static str, Refusal> {
    words.iter().find(|word| **word == given).copied().ok_or_else(|| {
        Refusal::of(given, "is not a known value", format!("write one of {}", words.join(", ")))
    })
}

/// Reads one line of text.
pub fn line(given: &str) -> Result<String, Refusal> {
    if given.chars().any(char::is_control) {
        return Err(Refusal::new("contains a control character", "write it on one line"));
    }
    Ok(given.to_owned())
}

/// Reads a mail domain and converts it to lower-case A-labels (RFC 5890 §2.3.2.1).
pub fn domain(given: &str) -> Result<String, Refusal> {
    idna::domain_to_ascii_strict(given)
        .ok()
        .filter(|domain| domain.contains('.'))
        .ok_or_else(|| Refusal::of(given, "is not a domain", "write it as example.com"))
}

/// Reads the host of a web page: an IP address, or a name with or without a dot. A name becomes
/// lower-case A-labels.
pub fn host(given: &str) -> Result<String, Refusal> {
    let address = given.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    if let Ok(address) = address {
        return Ok(address.to_string());
    }
    idna::domain_to_ascii_strict(given).ok().filter(|host| !host.is_empty()).ok_or_else(|| {
        Refusal::of(given, "is not a host", "write it as app.example.com, without scheme and port")
    })
}

/// Reads a domain name, with or without a dot. It becomes lower-case A-labels.
pub fn domain_name(given: &str) -> Result<String, Refusal> {
    let refused = || Refusal::of(given, "is not a domain name", "write it as example.com");
    let is_name = |host: &String| host.parse::<std::net::IpAddr>().is_err();
    host(given).ok().filter(is_name).ok_or_else(refused)
}

/// Reads the name in EHLO (RFC 5321 §4.1.1.1): a domain name with a dot, or an IP address. A name
/// becomes lower-case A-labels, and an IP address becomes an address literal.
pub fn helo_name(given: &str) -> Result<String, Refusal> {
    let bare = given.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(given);
    match bare.strip_prefix("IPv6:").unwrap_or(bare).parse() {
        Ok(std::net::IpAddr::V4(address)) => Ok(format!("[{address}]")),
        Ok(std::net::IpAddr::V6(address)) => Ok(format!("[IPv6:{address}]")),
        Err(_) => domain(given).map_err(|_| {
            Refusal::of(
                given,
                "is neither a full domain name nor an IP address",
                "write it as auth.example.com or [203.0.113.7]",
            )
        }),
    }
}

/// Reads a number from 0 to 1: digits, and optionally a point with one to three more digits.
pub fn fraction(given: &str) -> Result<String, Refusal> {
    let (whole, part) = given.split_once('.').unwrap_or((given, "0"));
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let is_written = is_digits(whole) && is_digits(part) && part.len() <= 3;
    match given.parse::<f64>() {
        Ok(number) if is_written && (0.0..=1.0).contains(&number) => Ok(given.to_owned()),
        _ => Err(Refusal::of(
            given,
            "is not a number from 0 to 1",
            "write it as 0.5, with at most three decimals",
        )),
    }
}

/// Reads a sender that RFC 5322 §3.4 accepts without changes: `address`, `Name <address>` or
/// `"Name" <address>`.
pub fn mailbox(given: &str) -> Result<String, Refusal> {
    let (name, address) = match given.strip_suffix('>').and_then(|rest| rest.rsplit_once('<')) {
        Some((name, address)) => (name.trim(), address),
        None => ("", given),
    };
    if is_display_name(name) && is_address(address) {
        return Ok(given.to_owned());
    }
    Err(Refusal::of(given, "is not a sender", "write it as latchkey <no-reply@example.com>"))
}

/// Whether a display name is empty, consists of plain words, or is in quotes without characters
/// that need an escape.
fn is_display_name(name: &str) -> bool {
    match name.strip_prefix('"') {
        Some(rest) => rest.strip_suffix('"').is_some_and(|inner| {
            !inner.is_empty() && inner.chars().all(|c| !c.is_control() && c != '"' && c != '\\')
        }),
        None => name.chars().all(|c| c == ' ' || is_atom(c)),
    }
}

/// Whether an email address is a dot-atom and a domain. `localhost` is accepted, because the sender
/// is perhaps this machine.
fn is_address(address: &str) -> bool {
    let Some((local, domain)) = address.rsplit_once('@') else { return false };
    local.len() <= 64
        && local.split('.').all(|part| !part.is_empty() && part.chars().all(is_atom))
        && local.is_ascii()
        && idna::domain_to_ascii_strict(domain).is_ok_and(|domain| !domain.is_empty())
}

fn is_atom(c: char) -> bool {
    c.is_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c)
}

/// Decodes base64 in the standard or the URL-safe alphabet, with or without padding.
pub fn base64(given: &str) -> Option<Vec<u8>> {
    let config =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    [alphabet::STANDARD, alphabet::URL_SAFE]
        .iter()
        .find_map(|alphabet| GeneralPurpose::new(alphabet, config).decode(given).ok())
}

/// The minimum number of bytes of a pepper. A shorter key makes HMAC-SHA-256 weaker (RFC 2104 §3).
const PEPPER_BYTES_MIN: usize = 32;

/// Reads a pepper: a version, a colon and a key in base64.
pub fn pepper(given: &str) -> Result<(u16, Vec<u8>), Refusal> {
    let refusal = |reason: &str| Refusal::new(reason, "write it as 1:$(openssl rand -base64 32)");
    let (version, key) =
        given.trim().split_once(':').ok_or_else(|| refusal("is not a version and a key"))?;
    let version = (version.parse::<u16>().ok())
        .filter(|number| (1..=9_999).contains(number) && number.to_string() == version)
        .ok_or_else(|| refusal("has a version that is not a number from 1 to 9999"))?;
    let key = base64(key).ok_or_else(|| refusal("has a key that is not base64"))?;
    if key.len() < PEPPER_BYTES_MIN {
        return Err(refusal("has a key of fewer than 32 bytes"));
    }
    Ok((version, key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pepper_is_a_version_and_a_long_key() {
        let key = "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA";
        assert_eq!(pepper(&format!("1:{key}=")).unwrap().0, 1);
        assert_eq!(pepper(&format!("9999:{key}\n")).unwrap().1.len(), 32);
        for wrong in [
            key.to_owned(),
            format!(":{key}"),
            format!("0:{key}"),
            format!("01:{key}"),
            format!("+1:{key}"),
            format!("10000:{key}"),
            "1:".to_owned(),
            "1:not base64!".to_owned(),
            format!("1:{}", &key[..40]),
        ] {
            let refusal = pepper(&wrong).unwrap_err();
            assert!(refusal.fix.contains("1:$(openssl"), "{wrong}");
            assert!(
                !refusal.what(true).contains(&key[..8]),
                "the message contains part of the secret"
            );
        }
    }

    #[test]
    fn durations_have_a_number_and_a_unit() {
        let read = |given| duration(given, 0, u64::MAX).map(|d| d.as_millis());
        assert_eq!(read("15m"), Ok(900_000));
        assert_eq!(read("14d"), Ok(1_209_600_000));
        assert_eq!(read("250ms"), Ok(250));
        assert_eq!(read("0s"), Ok(0));
        for wrong in ["", "15", "m", "1.5h", "-1s", "1h30m", "15 m", "15M", "+5s"] {
            let refusal = read(wrong).unwrap_err();
            assert!(refusal.fix.contains("15m"), "{wrong}: {refusal:?}");
        }
        assert!(read("99999999999999999999d").unwrap_err().what(true).contains("out of range"));
        assert_eq!(
            duration("2h", 1_000, 3_600_000).unwrap_err().fix,
            "write a value from 1s to 1h"
        );
    }

    #[test]
    fn a_shown_duration_is_read_back() {
        for ms in [0, 1, 999, 1_000, 90_000, 86_400_000, 259_200_000, 34_560_000_000] {
            let shown = show_duration(ms);
            assert_eq!(duration(&shown, 0, u64::MAX), Ok(Duration::from_millis(ms)), "{shown}");
        }
    }

    #[test]
    fn senders_are_addresses_with_or_without_a_name() {
        for good in [
            "no-reply@example.com",
            "latchkey <no-reply@localhost>",
            "\"Example, Inc.\" <no-reply@example.com>",
            "Ångström AB <a.b@xn--bcher-kva.example>",
            "<no-reply@example.com>",
        ] {
            assert_eq!(mailbox(good).as_deref(), Ok(good));
        }
        for wrong in [
            "latchkey",
            "Example, Inc. <no-reply@example.com>",
            "a@b@example.com",
            "a..b@example.com",
            "x <a@example.com",
            "a@example.com\r\nBcc: b@example.com",
            "\"a\"b\" <a@example.com>",
            "@example.com",
            "a@",
        ] {
            assert!(mailbox(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_host_is_a_name_or_an_address_and_nothing_more() {
        assert_eq!(host("App.Example").as_deref(), Ok("app.example"));
        assert_eq!(host("localhost").as_deref(), Ok("localhost"));
        assert_eq!(host("[::1]").as_deref(), Ok("::1"));
        for wrong in ["", "https://a.example", "a.example:443", "a/b", "a b"] {
            assert!(host(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_name_in_ehlo_is_a_full_domain_name_or_an_address_literal() {
        for (given, read) in [
            ("Auth.Bücher.Example", "auth.xn--bcher-kva.example"),
            ("203.0.113.7", "[203.0.113.7]"),
            ("[203.0.113.7]", "[203.0.113.7]"),
            ("2001:db8::1", "[IPv6:2001:db8::1]"),
            ("[IPv6:2001:db8::1]", "[IPv6:2001:db8::1]"),
        ] {
            assert_eq!(helo_name(given).as_deref(), Ok(read));
        }
        for wrong in ["4f2a9c0b1d2e", "localhost", "a_b.example", "a b.example", "[a.example]"] {
            assert!(helo_name(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_fraction_is_from_0_to_1() {
        for good in ["0", "1", "0.5", "1.0", "0.125"] {
            assert_eq!(fraction(good).as_deref(), Ok(good));
        }
        for wrong in ["", ".5", "0.", "1.1", "-0.5", "1e-1", "NaN", "0.1234", "0,5"] {
            assert!(fraction(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn domains_become_lower_case_a_labels() {
        assert_eq!(domain("Bücher.Example").as_deref(), Ok("xn--bcher-kva.example"));
        assert!(domain("localhost").is_err());
        assert!(domain("a b.example").is_err());
    }
}
