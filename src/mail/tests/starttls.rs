//! Tests of STARTTLS with a server that encrypts.

use std::sync::Arc;

use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use super::{HELO, World, mail_settings};
use crate::config;
use crate::mail::smtp::Smtp;
use crate::mail::transport::Failure;
use crate::mail::{Probe, Step, Transport, letter};
use crate::secret::Secret;
use crate::telemetry::labels::MailOutcome;

/// Speaks until the client says STARTTLS or QUIT. Returns the lines of the client.
async fn speak(stream: impl AsyncRead + AsyncWrite + Unpin, ehlo: &str, heard: &mut Vec<String>) {
    let mut stream = BufReader::new(stream);
    let mut text = false;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
            return;
        }
        let line = line.trim_end().to_owned();
        let reply = match line.split(' ').next().unwrap_or_default() {
            "." => "250 kept",
            _ if text => continue,
            "EHLO" => ehlo,
            "DATA" => "354 go on",
            // The second line is what an attacker injects before the encryption.
            "STARTTLS" => "220 go on\r\n250 injected",
            "QUIT" => "221 bye",
            _ => "250 fine",
        };
        text = reply.starts_with("354");
        stream.write_all(format!("{reply}\r\n").as_bytes()).await.unwrap();
        heard.push(line.clone());
        if ["STARTTLS", "."].contains(&line.as_str()) {
            return;
        }
    }
}

/// A listener, its TLS with a certificate for `name`, and the certificate in PEM, which is its own
/// authority.
async fn listen(name: &str) -> (TcpListener, TlsAcceptor, String) {
    let issued = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(issued.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![issued.cert.der().clone()], key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    (listener, TlsAcceptor::from(Arc::new(config)), issued.cert.pem())
}

#[tokio::test]
async fn starttls_encrypts_the_login_and_drops_injected_replies() {
    let (listener, tls, pem) = listen("127.0.0.1").await;
    let port = listener.local_addr().unwrap().port();
    let server = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let (mut plain, mut secret) = (Vec::new(), Vec::new());
        stream.write_all(b"220 sink\r\n").await.unwrap();
        speak(&mut stream, "250-sink\r\n250 starttls", &mut plain).await;
        let stream = tls.accept(stream).await.unwrap();
        speak(stream, "250-sink\r\n250 auth plain", &mut secret).await;
        (plain, secret)
    };
    let world = World::new().await;
    world.confirmation("ada@example.com").await;
    let url = Secret::new(format!("smtp://user:secret@127.0.0.1:{port}?tls=required"));
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("ca.pem");
    std::fs::write(&file, pem).unwrap();
    let smtp = Smtp::from_url(&url, HELO, Some(&file)).unwrap();
    let mailer = world.mailer_over(Transport::over(smtp));
    let (swept, (plain, secret)) = tokio::join!(mailer.sweep(), server);
    assert_eq!(swept.unwrap().count(MailOutcome::Sent), 1);
    assert_eq!(plain, [format!("EHLO {HELO}"), "STARTTLS".to_owned()]);
    let verbs: Vec<_> = secret.iter().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(verbs, ["EHLO", "AUTH", "MAIL", "RCPT", "DATA", "."]);
}

#[tokio::test]
async fn a_certificate_that_cannot_be_verified_is_named_with_what_to_do() {
    for (name, trusted, remedy) in [
        ("127.0.0.1", false, "`mail.ca_file`"),
        ("mail.example.com", true, "for the host in `mail.smtp_url`"),
    ] {
        let (listener, tls, pem) = listen(name).await;
        let address = listener.local_addr().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let ca_file = trusted.then(|| dir.path().join("ca.pem"));
        if let Some(file) = &ca_file {
            std::fs::write(file, pem).unwrap();
        }
        let server = async {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                stream.write_all(b"220 sink\r\n").await.unwrap();
                speak(&mut stream, "250-sink\r\n250 starttls", &mut Vec::new()).await;
                tls.accept(stream).await.expect_err("the client ends the handshake");
            }
        };
        let settings = config::Mail { ca_file, ..mail_settings() };
        let url = Secret::new(format!("smtp://user:secret@{address}?tls=required"));
        let client = async {
            let sender = letter::Sender::parse(&settings.from).unwrap();
            let message = letter::test(&sender, "ada@example.com", "https://a.example", 0).unwrap();
            let smtp = Smtp::from_url(&url, HELO, settings.ca_file.as_deref()).unwrap();
            let logged = "the server's certificate cannot be verified".to_owned();
            assert_eq!(smtp.deliver(&message).await, Err(Failure::NoSession(logged)));
            let probe = Probe::new(&url, &settings).unwrap();
            let mut last = None;
            let walked = probe.walk(None, &mut |tried| last = Some(tried)).await;
            assert_eq!(walked, Err(Step::StartTls));
            let said = probe.remedy(&last.unwrap()).unwrap();
            assert!(said.contains(remedy), "{said}");
        };
        tokio::select! {
            () = client => {}
            () = server => {}
        }
    }
}
