//! Tests of `smtps://` and of STARTTLS with an authority of the operator.

use std::sync::Arc;

use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use super::Place;

/// Answers each command of one client. Returns when the client says STARTTLS, or is gone.
async fn speak(stream: impl AsyncRead + AsyncWrite + Unpin) {
    let mut stream = BufReader::new(stream);
    let mut is_text = false;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
            return;
        }
        let line = line.trim_end();
        let reply = match line {
            "." => "250 kept",
            _ if is_text => continue,
            "DATA" => "354 go on",
            "QUIT" => "221 bye",
            _ if line.starts_with("EHLO") => "250-sink\r\n250 STARTTLS",
            _ => "250 fine",
        };
        is_text = reply.starts_with("354");
        if stream.write_all(format!("{reply}\r\n").as_bytes()).await.is_err() || line == "STARTTLS"
        {
            return;
        }
    }
}

/// Starts a server that speaks SMTP over TLS: from the first byte, or after STARTTLS. Returns its
/// port. The server ends when the set is dropped.
async fn server(place: &Place, from_start: bool) -> (u16, JoinSet<()>) {
    let issued = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("issued");
    std::fs::write(place.path("ca.pem"), issued.cert.pem()).expect("written");
    let key = PrivateKeyDer::try_from(issued.signing_key.serialize_der()).expect("a key");
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![issued.cert.der().clone()], key)
        .expect("a pair");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let mut server = JoinSet::new();
    server.spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            if !from_start {
                let _ = stream.write_all(b"220 sink\r\n").await;
                speak(&mut stream).await;
            }
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            if from_start {
                let _ = stream.write_all(b"220 sink\r\n").await;
            }
            speak(stream).await;
        }
    });
    (port, server)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_server_with_an_own_authority_is_verified() {
    for from_start in [true, false] {
        let mut place = Place::new();
        let (port, _server) = server(&place, from_start).await;
        let url = if from_start {
            format!("smtps://localhost:{port}")
        } else {
            format!("smtp://localhost:{port}?tls=required")
        };
        place = place.set("mail.smtp_url", &url);
        let send = |place: &Place, name: &str, file: &str| {
            let mut command = place.command(&["mail", "test", "--to", "ada@tls.example"]);
            let output = command.env(name, file).output().expect("the program runs");
            let told = [output.stdout, output.stderr].concat();
            (output.status.code(), String::from_utf8_lossy(&told).into_owned())
        };
        for name in ["LATCHKEY_MAIL__CA_FILE", "SSL_CERT_FILE"] {
            let (code, told) = send(&place, name, "ca.pem");
            assert_eq!(code, Some(0), "{url} {name}: {told}");
            let (code, told) = send(&place, name, "/nowhere/ca.pem");
            assert_eq!(code, Some(78), "{url} {name}: {told}");
            assert!(told.contains("/nowhere/ca.pem"), "{told}");
        }
        let (code, told) = send(&place, "OTHER", "ca.pem");
        assert_ne!(code, Some(0), "{url}: {told}");
        assert!(told.contains("UnknownIssuer"), "{url}: {told}");
        assert!(told.contains("set `mail.ca_file` to a file"), "{url}: {told}");
    }
}
