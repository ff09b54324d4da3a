//! Tests of outgoing TLS. The daemon sends a request only to a server with a valid certificate, and
//! the log shows nothing of the request.

use std::path::Path;
use std::sync::Arc;

use latchkey::clock::{Clock, rfc3339};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::Place;
use crate::siteverify::{Stub, success};

const SECRET: &str = "kept-to-ourselves";
const TOKEN: &str = "token-of-a-person";

/// Starts a TLS server in front of a stub. Its self-signed certificate is for `name` and is written
/// to `file`.
async fn tls(stub: &Stub, name: &str, file: &Path) -> (String, JoinSet<()>) {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(vec![name.to_owned()]).expect("a certificate");
    std::fs::write(file, cert.pem()).expect("written");
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .expect("a key of this certificate");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let behind = stub.url("").trim_start_matches("http://").to_owned();
    let mut server = JoinSet::new();
    server.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // If a client refuses the certificate, only its own connection ends.
            let Ok(mut outer) = acceptor.accept(stream).await else { continue };
            let mut inner = TcpStream::connect(&behind).await.expect("the stub listens");
            let _ends = tokio::io::copy_bidirectional(&mut outer, &mut inner).await;
        }
    });
    (format!("https://localhost:{port}/siteverify"), server)
}

/// Sends a request with a captcha. Returns the status of the response and the log of the daemon.
async fn asked(stub: &Stub, name: &str, is_trusted: bool) -> (u16, String) {
    let mut answer = success(&rfc3339(Clock::System.now()), "forgot");
    answer["hostname"] = json!("localhost");
    stub.says_json(&answer);
    let place = Place::new();
    let file = place.path("authority.pem");
    let (url, _server) = tls(stub, name, &file).await;
    let mut place = place
        .set("captcha.provider", "turnstile")
        .set("captcha.secret", SECRET)
        .set("captcha.site_key", "the-site-key")
        .set("captcha.on", "forgot")
        .set("captcha.verify_url", &url);
    if is_trusted {
        place.settings.push(("SSL_CERT_FILE".to_owned(), file.display().to_string()));
    }
    let running = place.start().await;
    let body = json!({ "email": "ada@example.org", "captcha": TOKEN });
    let status = running.client.post_json("/api/forgot-password", body).await.status;
    (status, running.stop().await)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vendor_is_believed_under_a_trusted_certificate_of_its_name_embedded() {
    for (name, is_trusted, status) in
        [("localhost", true, 200), ("localhost", false, 503), ("elsewhere.test", true, 503)]
    {
        let stub = Stub::start().await;
        let (answered, log) = asked(&stub, name, is_trusted).await;
        assert_eq!(answered, status, "{name} {is_trusted}: {log}");
        assert_eq!(stub.asked().len(), usize::from(status == 200), "told before it is believed");
        assert!(!log.contains(SECRET) && !log.contains(TOKEN), "{log}");
        assert_eq!(log.contains("no connection"), status == 503, "the operator sees why: {log}");
    }
}
