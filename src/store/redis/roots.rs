//! The certificate authorities for `rediss://`. If the machine has certificate authorities (also
//! from `SSL_CERT_FILE` and `SSL_CERT_DIR`), latchkey uses them. Otherwise, as in the container
//! image, latchkey uses Mozilla's certificate authorities, which are compiled into the binary.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use redis::TlsCertificates;

use crate::egress;

/// The machine's certificate authorities in the form of the Redis client. None means that the
/// compiled-in certificate authorities are used.
pub(super) fn of_the_machine() -> TlsCertificates {
    let found = egress::authorities();
    let pem: String = found.iter().map(|certificate| as_pem(certificate)).collect();
    TlsCertificates { client_tls: None, root_cert: (!pem.is_empty()).then(|| pem.into_bytes()) }
}

/// Writes a certificate as PEM (RFC 7468 §5.1). The base64 text is in one line, because parsers
/// accept lines of any length.
fn as_pem(certificate: &[u8]) -> String {
    let text = STANDARD.encode(certificate);
    format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject as _;

    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let some: Vec<u8> = (0..=255).collect();
        let text = as_pem(&some) + &as_pem(&some[1..]);
        let read: Vec<_> = CertificateDer::pem_slice_iter(text.as_bytes())
            .map(|it| it.unwrap().to_vec())
            .collect();
        assert_eq!(read, [&some[..], &some[1..]]);
    }
}
