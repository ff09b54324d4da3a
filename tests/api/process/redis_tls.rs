//! Tests of `rediss://`. The daemon trusts the certificate authorities of the machine, and sends no
//! command to a server without a valid certificate.

use std::path::Path;

use rcgen::{CertifiedKey, generate_simple_self_signed};

use super::{PATIENCE, Place};
use crate::poll::eventually;
use crate::servers::{PrivateServer, free_port};

const PASSWORD: &str = "correct horse battery";

/// Starts a Redis that also listens with TLS, with a self-signed certificate for `localhost`.
/// Returns the server and its URL for TLS.
async fn redis(directory: &Path) -> (PrivateServer, String) {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
    let (certificate, key) = (directory.join("cert.pem"), directory.join("key.pem"));
    std::fs::write(&certificate, cert.pem()).expect("written");
    std::fs::write(&key, signing_key.serialize_pem()).expect("written");
    let (certificate, key) = (certificate.display().to_string(), key.display().to_string());
    let port = free_port().to_string();
    let arguments = [
        "--tls-port",
        &port,
        "--tls-cert-file",
        &certificate,
        "--tls-key-file",
        &key,
        "--tls-auth-clients",
        "no",
    ];
    let server = PrivateServer::redis_with(arguments.map(str::to_owned).into()).await;
    (server, format!("rediss://localhost:{port}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_live_in_a_redis_behind_tls_that_the_machine_trusts_on_servers() {
    let mut place = Place::new();
    let (mut server, url) = redis(place.directory.path()).await;
    let file = place.path("cert.pem").display().to_string();
    place = place.set("redis.url", &url).variable("SSL_CERT_FILE", &file);
    let running = place.start().await;
    let anonymous = running.anonymous();
    let tokens = anonymous.register("ada@tls.example", PASSWORD, "Ada").await.tokens();
    anonymous.bearer(&tokens.user).get("/api/sessions").await.expect(200);
    // The daemon opens the second connection with the same checks as the first connection.
    server.signal(crate::servers::Signal::Kill);
    server.restart().await;
    eventually("the session", PATIENCE, async || {
        let answer = anonymous.bearer(&tokens.user).get("/api/sessions").await;
        (answer.status == 200).then_some(())
    })
    .await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_authority_of_redis_can_be_a_setting_and_a_wrong_file_is_a_problem_on_servers() {
    let mut place = Place::new();
    let (_server, url) = redis(place.directory.path()).await;
    let file = place.path("cert.pem").display().to_string();
    place = place.set("redis.url", &url).set("redis.ca_file", &file);
    let running = place.start().await;
    running.anonymous().register("ada@tls.example", PASSWORD, "Ada").await.expect(200);
    running.stop().await;
    let told = place.run(&["doctor"]).stdout();
    assert!(told.contains("Redis responds in"), "{told}");
    place = place.set("redis.ca_file", "/nowhere/ca.pem");
    for arguments in [&[][..], &["config", "check"], &["doctor"], &["users", "list"]] {
        let told = place.run(arguments).expect(78).stderr();
        assert!(told.contains("redis.ca_file") && told.contains("/nowhere/ca.pem"), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_whose_certificate_nobody_signed_gets_no_word_on_servers() {
    let mut place = Place::new();
    let (_server, url) = redis(place.directory.path()).await;
    place = place.set("redis.url", &url);
    let running = place.start().await;
    let answer = running.anonymous().register("ada@tls.example", PASSWORD, "Ada").await;
    answer.expect_problem(503, "dependency-unavailable");
    let log = running.stop().await;
    for part in ["\"certificate\"", "`redis.ca_file`"] {
        assert!(log.contains(part), "the operator sees why, with `{part}`: {log}");
    }
    let told = place.run(&["doctor", "--json"]).expect(3).stdout();
    assert!(told.contains("certificate") && told.contains("`redis.ca_file`"), "{told}");
}
