//! TLS of the listeners: rustls with aws-lc. Certificates are read again when their files change.
//!
//! If a certificate or its key cannot be read, the old pair stays in use and the error is logged
//! once. The daemon never falls back to plain http.

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::config::TlsFiles;

/// The reason why a certificate cannot be served.
type TlsError = Box<dyn std::error::Error + Send + Sync>;

/// The certificate in use.
#[derive(Debug)]
pub struct Tls {
    files: TlsFiles,
    current: ArcSwap<ServerConfig>,
    /// When each file was last changed, according to the daemon's last check of the files.
    seen: std::sync::Mutex<Stamp>,
}

type Stamp = [Option<SystemTime>; 2];

impl Tls {
    pub fn load(files: TlsFiles) -> Result<Self, TlsError> {
        let stamp = stamp(&files);
        let current = ArcSwap::from_pointee(read(&files)?);
        Ok(Self { files, current, seen: std::sync::Mutex::new(stamp) })
    }

    /// The acceptor for the next handshake.
    pub fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.current.load_full())
    }

    /// Reads the files again, even if they have not changed, because the operator has requested it.
    pub fn reload_now(&self) {
        *self.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = stamp(&self.files);
        self.read_again();
    }

    /// Reads the files again if they have changed.
    pub fn reload(&self) {
        let stamp = stamp(&self.files);
        {
            let mut seen = self.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            if *seen == stamp {
                return;
            }
            *seen = stamp;
        }
        self.read_again();
    }

    fn read_again(&self) {
        match read(&self.files) {
            Ok(config) => {
                self.current.store(Arc::new(config));
                tracing::info!("TLS certificate reloaded");
            }
            Err(error) => {
                tracing::error!(error = %error, "TLS certificate not reloaded, the old one stays");
            }
        }
    }
}

fn stamp(files: &TlsFiles) -> Stamp {
    let changed = |path: &Path| std::fs::metadata(path).and_then(|file| file.modified()).ok();
    [changed(&files.cert), changed(&files.key)]
}

/// Describes what is wrong with a PEM file. The message of the PEM reader is not used, because it
/// quotes lines of the file, and such a line is perhaps part of the key.
fn fault(error: &pem::Error) -> String {
    match error {
        pem::Error::Io(error) => error.to_string(),
        pem::Error::NoItemsFound => "contains no certificate or key in PEM format".to_owned(),
        pem::Error::MissingSectionEnd { .. } => {
            "has a BEGIN line without an END line. Keep the line breaks of the file".to_owned()
        }
        _ => "is not in PEM format, which has a BEGIN line, lines of base64 and an END line"
            .to_owned(),
    }
}

fn read(files: &TlsFiles) -> Result<ServerConfig, TlsError> {
    let chain = CertificateDer::pem_file_iter(&files.cert)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| format!("{}: {}", files.cert.display(), fault(&error)))?;
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .map_err(|error| format!("{}: {}", files.key.display(), fault(&error)))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}
