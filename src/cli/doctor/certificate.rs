//! Reads the validity dates of a certificate (RFC 5280 §4.1.2.5), and checks which host it is for.
//! rustls serves certificates, but does not expose their dates and hosts.

use std::path::Path;

use rustls::client::verify_server_name;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::ParsedCertificate;
use x509_parser::prelude::{ASN1Time, FromDer as _, X509Certificate};

use crate::clock::UnixMillis;

/// The time range in which a certificate is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Validity {
    pub from: UnixMillis,
    pub until: UnixMillis,
}

/// Returns the first certificate of a PEM file, which is the leaf of the chain.
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

/// Returns the validity dates. `None` if the bytes are not a certificate.
pub(super) fn validity(der: &[u8]) -> Option<Validity> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let moment = |at: ASN1Time| at.timestamp() * 1_000;
    let dates = certificate.validity();
    Some(Validity { from: moment(dates.not_before), until: moment(dates.not_after) })
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
