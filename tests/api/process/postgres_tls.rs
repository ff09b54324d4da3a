//! Tests of `sslmode=verify-full`. The daemon trusts the authorities of `database.ca_file`, of
//! `sslrootcert` in the URL and of `SSL_CERT_FILE`, and no others.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use rcgen::{CertifiedKey, generate_simple_self_signed};

use super::Place;
use crate::postgres::give;
use crate::servers::PrivateServer;

/// Starts a PostgreSQL that uses TLS, with a self-signed certificate for `localhost`. Returns the
/// server and the file of the certificate.
async fn postgres() -> (PrivateServer, PathBuf) {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
    let server = PrivateServer::postgres().await;
    let (certificate, key) = (server.directory().join("cert.pem"), server.directory().join("key"));
    std::fs::write(&certificate, cert.pem()).expect("written");
    std::fs::write(&key, signing_key.serialize_pem()).expect("written");
    std::fs::set_permissions(&key, Permissions::from_mode(0o600)).expect("private");
    for file in [&certificate, &key] {
        give(file);
    }
    for (setting, value) in [
        ("ssl_cert_file", certificate.display().to_string()),
        ("ssl_key_file", key.display().to_string()),
        ("ssl", "on".to_owned()),
    ] {
        server.sql(&format!("ALTER SYSTEM SET {setting} = '{value}'")).await;
    }
    server.sql("SELECT pg_reload_conf()").await;
    (server, certificate)
}

fn place(url: &str) -> Place {
    Place::new().set("database.url", url).set("secrets.master_key", &"A".repeat(43))
}

#[tokio::test]
async fn a_database_with_an_own_authority_is_verified_on_servers() {
    let (server, certificate) = postgres().await;
    let file = certificate.display().to_string();
    let url = format!("postgres://postgres@localhost:{}/postgres", server.address().port());
    let verified = format!("{url}?sslmode=verify-full");
    let by_parameter = format!("{verified}&sslrootcert={file}");
    for trusting in [
        place(&verified).set("database.ca_file", &file),
        place(&verified).variable("SSL_CERT_FILE", &file),
        place(&by_parameter),
        place(&format!("{url}?sslrootcert=system")).variable("SSL_CERT_FILE", &file),
    ] {
        trusting.run(&["migrate", "up"]).expect(0);
        trusting.run(&["users", "list"]).expect(0);
        let told = trusting.run(&["doctor"]).stdout();
        assert!(told.contains("accepts writes"), "{told}");
    }
    let mut daemon = place(&verified).set("database.ca_file", &file);
    let running = daemon.start().await;
    running.anonymous().register("ada@tls.example", "nine lives of a cat", "Ada").await.expect(200);
    running.stop().await;

    for distrusting in [verified.clone(), format!("{url}?sslrootcert=system")] {
        let told = place(&distrusting).run(&["migrate", "up"]).expect(69).stderr();
        assert!(told.contains("certificate") && told.contains("`database.ca_file`"), "{told}");
    }
    let told = place(&verified).run(&["doctor"]).expect(3).stdout();
    assert!(told.contains("name a file with the certificate"), "{told}");
    assert!(!told.contains("check the user"), "{told}");
    let mut waiting = place(&verified);
    let daemon = waiting.spawn();
    daemon.says("waiting for the database").await;
    let log = daemon.log();
    assert!(log.contains("`database.ca_file`") && log.contains("\"certificate\""), "{log}");
    assert!(!log.contains("check that the server runs"), "{log}");
    drop(daemon);
    let other_name = by_parameter.replace("localhost", "127.0.0.1");
    let told = place(&other_name).run(&["migrate", "up"]).expect(69).stderr();
    assert!(told.contains("certificate"), "{told}");
}

#[tokio::test]
async fn a_file_of_authorities_that_cannot_be_used_is_a_problem_before_any_connection() {
    let place = place("postgres://u:hunter2@localhost:1/x?sslmode=verify-full");
    std::fs::write(place.path("text.pem"), "hunter2").expect("written");
    for (file, what) in [
        ("/nowhere/ca.pem", "cannot be read: No such file"),
        ("text.pem", "contains no certificate in PEM"),
    ] {
        let commands: [&[&str]; 4] =
            [&[], &["config", "check"], &["migrate", "up"], &["users", "list"]];
        for (setting, name) in
            [("LATCHKEY_DATABASE__CA_FILE", "database.ca_file"), ("SSL_CERT_FILE", "SSL_CERT_FILE")]
        {
            for arguments in commands {
                let mut command = place.command(arguments);
                let output = command.env(setting, file).output().expect("the program runs");
                let told = String::from_utf8_lossy(&output.stderr).into_owned();
                assert_eq!(output.status.code(), Some(78), "{setting} {arguments:?}: {told}");
                for part in [name, file, what] {
                    assert!(told.contains(part), "no `{part}` in: {told}");
                }
                assert!(!told.contains("hunter2"), "{told}");
            }
        }
    }
}
