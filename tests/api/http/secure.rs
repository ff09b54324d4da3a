//! Tests of HTTP/2, and of TLS in the daemon itself.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo};
use latchkey::config::TlsFiles;
use latchkey::http::tls::Tls;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{Raw, bare};
use crate::app::{Backend, TestApp, both};
use crate::poll::eventually;

const NAME: &str = "latchkey.test";

both!(http_2_with_prior_knowledge_is_spoken, async |app| {
    let client: Client<_, Empty<Bytes>> =
        Client::builder(TokioExecutor::new()).http2_only(true).build_http();
    let uri = format!("http://{}/api/me", app.public_addr());
    let answers = futures_util::future::join_all(
        (0..20)
            .map(|_| async { client.get(uri.parse().expect("a URI")).await.expect("an answer") }),
    );
    for answer in answers.await {
        assert_eq!(answer.version(), hyper::Version::HTTP_2);
        assert_eq!(answer.status(), 401);
        assert!(!answer.headers().contains_key("connection"));
        let body = answer.into_body().collect().await.expect("a body").to_bytes();
        assert!(body.starts_with(b"{"));
    }
});

/// Writes a self-signed certificate and its key to two files. Returns the certificate, so that a
/// client can trust it.
fn write_certificate(cert: &Path, key: &Path) -> CertificateDer<'static> {
    let CertifiedKey { cert: made, signing_key } =
        generate_simple_self_signed(vec![NAME.to_owned()]).expect("a certificate");
    std::fs::write(key, signing_key.serialize_pem()).expect("written");
    std::fs::write(cert, made.pem()).expect("written");
    made.der().clone()
}

fn connector(trusted: &CertificateDer<'static>, alpn: &[&[u8]]) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).expect("a certificate");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    TlsConnector::from(Arc::new(config))
}

async fn handshake<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    trusted: &CertificateDer<'static>,
    alpn: &[&[u8]],
) -> std::io::Result<TlsStream<S>> {
    connector(trusted, alpn).connect(ServerName::try_from(NAME).expect("a name"), stream).await
}

async fn connected(
    app: &TestApp,
    trusted: &CertificateDer<'static>,
    alpn: &[&[u8]],
) -> std::io::Result<TlsStream<TcpStream>> {
    handshake(TcpStream::connect(app.public_addr()).await?, trusted, alpn).await
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_of_our_own_speaks_both_versions_and_takes_a_new_certificate_embedded() {
    let directory = tempfile::tempdir().expect("a directory");
    let (cert, key) = (directory.path().join("cert.pem"), directory.path().join("key.pem"));
    let first = write_certificate(&cert, &key);
    let app = TestApp::builder(Backend::Embedded)
        .set("http.tls.cert", &cert.display().to_string())
        .set("http.tls.key", &key.display().to_string())
        .start()
        .await;

    let mut stream = connected(&app, &first, &[b"http/1.1"]).await.expect("trusted");
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(b"http/1.1".as_slice()));
    let request = bare("GET", "/api/me", &[("Connection", "close")]);
    stream.write_all(&request).await.expect("written");
    let mut bytes = Vec::new();
    let _closed_as_it_likes = stream.read_to_end(&mut bytes).await;
    let answer = Raw::only(&bytes);
    assert_eq!(answer.status, 401);
    let strict = answer.header("strict-transport-security").expect("HSTS");
    assert!(strict.contains("max-age=63072000"), "{strict}");

    let stream = connected(&app, &first, &[b"h2", b"http/1.1"]).await.expect("trusted");
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(b"h2".as_slice()));
    let (mut send, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .expect("HTTP/2");
    let mut work = tokio::task::JoinSet::new();
    work.spawn(connection);
    let request = hyper::Request::get(format!("https://{NAME}/api/me"));
    let request = request.body(Empty::<Bytes>::new()).expect("a request");
    let answer = send.send_request(request).await.expect("an answer");
    assert_eq!((answer.status().as_u16(), answer.version()), (401, hyper::Version::HTTP_2));
    assert!(answer.headers().contains_key("strict-transport-security"));

    let plain = app.raw(&bare("GET", "/api/me", &[])).await;
    assert!(!plain.starts_with(b"HTTP/"), "nothing is served in clear on a TLS listener");

    let second = write_certificate(&cert, &key);
    eventually("the new certificate", Duration::from_secs(20), async || {
        connected(&app, &second, &[]).await.ok().map(drop)
    })
    .await;
    assert!(connected(&app, &first, &[]).await.is_err(), "the old one is not shown any more");
    app.finish().await;
}

/// Says whether a TLS handshake with the current certificate of `tls` succeeds, for a client that
/// trusts only `trusted`.
async fn serves(tls: &Tls, trusted: &CertificateDer<'static>) -> bool {
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let (client, _server) =
        tokio::join!(handshake(ours, trusted, &[]), tls.acceptor().accept(theirs));
    client.is_ok()
}

#[tokio::test]
async fn a_pair_that_cannot_be_read_leaves_the_old_one_in_force() {
    let directory = tempfile::tempdir().expect("a directory");
    let (cert, key) = (directory.path().join("cert.pem"), directory.path().join("key.pem"));
    let first = write_certificate(&cert, &key);
    let tls = Tls::load(TlsFiles { cert: cert.clone(), key: key.clone() }).expect("loaded");
    assert!(serves(&tls, &first).await);
    for broken in ["", "not a certificate"] {
        std::fs::write(&cert, broken).expect("written");
        tls.reload();
        assert!(serves(&tls, &first).await, "{broken:?}");
    }
    let elsewhere = directory.path().join("elsewhere.pem");
    let mismatched = write_certificate(&cert, &elsewhere);
    tls.reload();
    assert!(serves(&tls, &first).await, "a certificate of another key");
    std::fs::rename(&elsewhere, &key).expect("renamed");
    tls.reload();
    assert!(serves(&tls, &mismatched).await, "whole again");
}
