//! The two dates in a certificate (RFC 5280 §4.1.2.5), and whose it is. rustls serves certificates and does not tell.

use std::path::Path;

use rustls::client::verify_server_name;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::ParsedCertificate;
use time::{Date, Month, PrimitiveDateTime, Time};

use crate::clock::UnixMillis;

const SEQUENCE: u8 = 0x30;
/// `[0] EXPLICIT`: the version, which certificates of version 1 leave out.
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// From when until when it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Validity {
    pub from: UnixMillis,
    pub until: UnixMillis,
}

/// The first certificate of a PEM file: the chain's leaf.
pub(super) fn first(path: &Path) -> Option<Vec<u8>> {
    let leaf = CertificateDer::pem_file_iter(path).ok()?.next()?.ok()?;
    Some(leaf.to_vec())
}

/// Whether the certificate names this host.
pub(super) fn is_for(der: &[u8], host: &str) -> bool {
    let der = CertificateDer::from(der);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    match (ParsedCertificate::try_from(&der), ServerName::try_from(host)) {
        (Ok(parsed), Ok(name)) => verify_server_name(&parsed, &name).is_ok(),
        _ => false,
    }
}

/// Its dates; none where it is no certificate.
pub(super) fn validity(der: &[u8]) -> Option<Validity> {
    let (certificate, _) = take(der, SEQUENCE)?;
    let (mut rest, _) = take(certificate, SEQUENCE)?;
    if rest.first() == Some(&VERSION) {
        rest = skip(rest)?;
    }
    // serialNumber, signature, issuer.
    for _ in 0..3 {
        rest = skip(rest)?;
    }
    let (dates, _) = take(rest, SEQUENCE)?;
    Some(Validity { from: moment(dates)?, until: moment(skip(dates)?)? })
}

/// The content of the element that comes first, which has to have this tag, and what follows it (X.690 §8.1).
fn take(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    (der.first() == Some(&tag)).then(|| element(der)).flatten()
}

fn skip(der: &[u8]) -> Option<&[u8]> {
    element(der).map(|(_, rest)| rest)
}

fn element(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (first, rest) = der.get(1..)?.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(*first), rest),
        // Four bytes of length are more than any certificate has.
        0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}

/// `YYMMDDHHMMSSZ` (years 1950 to 2049) or `YYYYMMDDHHMMSSZ`.
fn moment(der: &[u8]) -> Option<UnixMillis> {
    let (text, century) = match *der.first()? {
        UTC_TIME => (take(der, UTC_TIME)?.0, None),
        GENERALIZED_TIME => {
            let text = take(der, GENERALIZED_TIME)?.0;
            (text.get(2..)?, Some(number(text.get(..2)?)?))
        }
        _ => return None,
    };
    let part = |at: usize| number(text.get(at..at + 2)?);
    let in_century = part(0)?;
    let century = century.unwrap_or(if in_century >= 50 { 19 } else { 20 });
    let year = i32::from(century) * 100 + i32::from(in_century);
    let date = Date::from_calendar_date(year, Month::try_from(part(2)?).ok()?, part(4)?).ok()?;
    let time = Time::from_hms(part(6)?, part(8)?, part(10)?).ok()?;
    (text.get(12..) == Some(b"Z"))
        .then(|| PrimitiveDateTime::new(date, time).assume_utc().unix_timestamp() * 1_000)
}

fn number(text: &[u8]) -> Option<u8> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    fn made(from: (i32, u8, u8), until: (i32, u8, u8)) -> Vec<u8> {
        let mut params = CertificateParams::new(vec!["auth.example".to_owned()]).unwrap();
        params.not_before = date_time_ymd(from.0, from.1, from.2);
        params.not_after = date_time_ymd(until.0, until.1, until.2);
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn the_dates_are_read_in_both_forms_and_the_name_is_compared() {
        let day = |y, m, d| date_time_ymd(y, m, d).unix_timestamp() * 1_000;
        let der = made((1999, 12, 31), (2026, 2, 28));
        let expected = Validity { from: day(1999, 12, 31), until: day(2026, 2, 28) };
        assert_eq!(validity(&der), Some(expected));
        let later = validity(&made((2026, 1, 1), (2051, 1, 2))).unwrap();
        assert_eq!(later.until, day(2051, 1, 2));
        assert!(is_for(&der, "auth.example") && !is_for(&der, "other.example"));
    }

    #[test]
    fn what_is_no_certificate_has_no_dates_wherever_it_is_cut() {
        let der = made((2025, 1, 1), (2026, 1, 1));
        for end in 0..der.len() {
            assert_eq!(validity(&der[..end]), None, "{end}");
        }
        assert!(!is_for(b"nonsense", "auth.example"));
    }
}
