//! The certificate authorities that latchkey trusts when it connects to a server: the machine's,
//! and those in the `ca_file` of a setting.
//!
//! Every connection to another machine uses this list: PostgreSQL, Redis, SMTP, captcha vendors,
//! the service of breached passwords and a telemetry collector over HTTP. The variables
//! `SSL_CERT_FILE` and `SSL_CERT_DIR` replace the machine's list, as they do for OpenSSL.

use std::error::Error;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

/// Certificate authorities. Each of them can verify a certificate.
#[derive(Clone, Debug, Default)]
pub struct Authorities(Vec<CertificateDer<'static>>);

/// Why a file of certificate authorities cannot be used.
#[derive(Debug)]
pub struct BadFile {
    path: PathBuf,
    what: String,
}

impl BadFile {
    /// What the operator can do.
    pub const FIX: &'static str =
        "write the path of a file in PEM that contains the certificates of the authorities";
}

impl fmt::Display for BadFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "names the file {}, which {}", self.path.display(), self.what)
    }
}

impl Error for BadFile {}

impl Authorities {
    /// The machine's certificate authorities. A certificate that cannot be read is left out.
    /// They are read once, because a connection is opened again and again.
    pub fn of_machine() -> Self {
        static MACHINE: LazyLock<Authorities> = LazyLock::new(|| {
            let found = rustls_native_certs::load_native_certs().certs;
            Authorities(found.into_iter().filter(is_usable).collect())
        });
        MACHINE.clone()
    }

    /// The machine's certificate authorities, and those in `file`.
    ///
    /// # Errors
    /// If the file cannot be read, is damaged, or contains no certificate that can be used.
    pub fn with(file: Option<&Path>) -> Result<Self, BadFile> {
        let mut all = file.map_or(Ok(Vec::new()), read)?;
        all.extend(Self::of_machine().0);
        Ok(Self(all))
    }

    /// Checks a file like [`Authorities::with`].
    pub fn check(file: &Path) -> Result<(), BadFile> {
        read(file).map(drop)
    }

    /// Each certificate as DER.
    pub fn der(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(AsRef::as_ref)
    }

    /// All certificates as PEM (RFC 7468 §5.1). `None` if there are none. The base64 text of a
    /// certificate is in one line, because parsers accept lines of any length.
    pub fn pem(&self) -> Option<Vec<u8>> {
        let block = |certificate: &[u8]| {
            let text = STANDARD.encode(certificate);
            format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
        };
        let all: String = self.der().map(block).collect();
        (!all.is_empty()).then(|| all.into_bytes())
    }

    /// These certificate authorities and Mozilla's, which are compiled in.
    pub fn and_mozilla(self) -> RootCertStore {
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        roots.add_parsable_certificates(self.0);
        roots
    }
}

/// Whether a connection failed because the certificate of the server was not accepted: its
/// authority is not trusted, it is for another name, or it has expired.
pub fn is_untrusted(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(rustls::Error::InvalidCertificate(_)) = error.downcast_ref() {
            return true;
        }
        // The source of an I/O error or of a shared error is not the error that it contains.
        next = if let Some(error) = error.downcast_ref::<io::Error>()
            && let Some(inner) = error.get_ref()
        {
            Some(inner)
        } else if let Some(shared) = error.downcast_ref::<Arc<dyn Error + Send + Sync>>() {
            Some(&**shared)
        } else {
            error.source()
        };
    }
    false
}

fn read(path: &Path) -> Result<Vec<CertificateDer<'static>>, BadFile> {
    let bad = |what: String| BadFile { path: path.to_owned(), what };
    let text = fs::read(path).map_err(|error| bad(format!("cannot be read: {error}")))?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let mut found = found.map_err(|_| bad("contains a damaged PEM block".to_owned()))?;
    if found.is_empty() {
        return Err(bad("contains no certificate in PEM".to_owned()));
    }
    // A bundle of many authorities perhaps contains an unusual one.
    found.retain(is_usable);
    if found.is_empty() {
        return Err(bad("contains no certificate that can be used".to_owned()));
    }
    Ok(found)
}

/// Whether the TLS library can use a certificate as an authority.
fn is_usable(certificate: &CertificateDer<'static>) -> bool {
    RootCertStore::empty().add(certificate.clone()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_certificates_is_read_and_written_as_pem() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("ca.pem");
        let certificate =
            |name: &str| rcgen::generate_simple_self_signed([name.to_owned()]).unwrap().cert.pem();
        let two = certificate("a.example") + &certificate("b.example");
        fs::write(&file, format!("# a comment\r\n{}", two.replace('\n', "\r\n"))).unwrap();
        let read_once = read(&file).unwrap();
        assert_eq!(read_once.len(), 2);
        fs::write(&file, Authorities(read_once.clone()).pem().unwrap()).unwrap();
        assert_eq!(read(&file).unwrap(), read_once);
        assert!(Authorities::with(Some(&file)).unwrap().der().count() >= 2);
        assert_eq!(Authorities::default().pem(), None);
    }

    #[test]
    fn a_refused_certificate_is_found_inside_other_errors() {
        let of = |error: rustls::Error| io::Error::new(io::ErrorKind::InvalidData, error);
        let refused = || of(rustls::CertificateError::UnknownIssuer.into());
        assert!(is_untrusted(&refused()));
        assert!(is_untrusted(&io::Error::other(refused())));
        let shared: Arc<dyn Error + Send + Sync> = Arc::new(refused());
        assert!(is_untrusted(&shared));
        assert!(!is_untrusted(&of(rustls::Error::DecryptError)));
        assert!(!is_untrusted(&io::Error::from(io::ErrorKind::ConnectionReset)));
    }

    #[test]
    fn a_file_that_cannot_be_used_is_refused_with_its_path() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("ca.pem");
        let said = || Authorities::check(&file).unwrap_err().to_string();
        assert!(said().contains("ca.pem, which cannot be read: No such file"), "{}", said());
        for (text, what) in [
            ("", "contains no certificate in PEM"),
            ("hunter2", "contains no certificate in PEM"),
            ("-----BEGIN CERTIFICATE-----\nAAAA\n", "contains a damaged PEM block"),
            (
                "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
                "contains no certificate that can be used",
            ),
        ] {
            fs::write(&file, text).unwrap();
            assert!(said().contains(what), "{text:?}: {}", said());
            assert!(!said().contains("hunter2"));
        }
        fs::remove_file(&file).unwrap();
        fs::create_dir(&file).unwrap();
        assert!(said().contains("Is a directory"), "{}", said());
    }
}
