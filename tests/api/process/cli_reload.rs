//! Tests of SIGHUP. A running daemon applies the settings that can change while it runs, and
//! reports the other changed settings. An invalid file changes nothing.

use serde_json::json;

use super::{PATIENCE, Place, Running};
use crate::client::Person;
use crate::poll::eventually;
use crate::siteverify::Stub;
use crate::smtp::SmtpSink;

/// A secret with at least 22 characters.
const FIRST: &str = "gateway:first-shared-value-123456";
const SECOND: &str = "gateway:other-shared-value-654321";

fn write(place: &Place, name: &str, text: &str) {
    std::fs::write(place.path(name), text).expect("written");
}

fn settings(client: &str, more: &str) -> String {
    format!("{more}\n[introspection]\nclients = [\"{client}\"]\n")
}

/// Says whether the daemon allows this client to introspect a token.
async fn may(running: &Running, client: &str) -> bool {
    let (id, secret) = client.split_once(':').expect("id:secret");
    let form = [("token", "none"), ("client_id", id), ("client_secret", secret)];
    let answer = running.client.post_form("/api/introspect", &form).await;
    assert!(matches!(answer.status, 200 | 401), "{}", answer.status);
    answer.status == 200
}

#[tokio::test]
async fn a_hangup_reads_the_files_again_and_a_bad_one_changes_nothing_embedded() {
    let mut place = Place::new();
    write(&place, "latchkey.toml", &settings(FIRST, ""));
    let mut running = place.start().await;
    assert!(may(&running, FIRST).await && !may(&running, SECOND).await);

    write(&place, "latchkey.toml", "[introspection]\nclient = 3\n[tokens]\nuser_ttl = \"soon\"\n");
    running.daemon.signal("-HUP");
    running
        .daemon
        .says("the configuration was not reloaded, so the old configuration stays in force")
        .await;
    assert!(running.daemon.log().contains("tokens.user_ttl"), "each problem is told");
    assert!(may(&running, FIRST).await && running.daemon.ended().is_none());

    let more = "[tokens]\nuser_ttl = \"7m\"\n[log]\nfilter = \"warn\"\n";
    write(&place, "latchkey.toml", &settings(SECOND, more));
    running.daemon.signal("-HUP");
    eventually("the other client", PATIENCE, async || may(&running, SECOND).await.then_some(()))
        .await;
    assert!(!may(&running, FIRST).await);
    running.daemon.says("these settings have changed and need a restart of the daemon").await;
    let told = running
        .daemon
        .line("these settings have changed and need a restart of the daemon")
        .expect("said");
    assert_eq!(
        told["settings"].as_str().or(told["fields"]["settings"].as_str()),
        Some("tokens.user_ttl")
    );
    let log = running.stop().await;
    assert!(!log.contains("\"message\":\"stopping\""), "the filter is the new one: {log}");
    assert!(!log.contains("shared-value"), "no secret is told");
}

#[tokio::test]
async fn a_hangup_takes_a_new_smtp_password_without_losing_a_mail_embedded() {
    let sink = SmtpSink::start().await;
    sink.require_login("latchkey", "old-password");
    let mut place = Place::new();
    write(&place, "smtp", &sink.url());
    let file = place.path("smtp").display().to_string();
    place = place.set("mail.smtp_url_file", &file);
    let running = place.start().await;
    let arrives = async |address: &str| {
        eventually("a mail", PATIENCE, async || {
            sink.mails().iter().any(|mail| mail.to == address).then_some(())
        })
        .await;
    };
    Person::register(&running.client, "ada@work.example").await;
    arrives("ada@work.example").await;
    sink.require_login("latchkey", "new-password");
    write(&place, "smtp", &sink.url());
    running.daemon.signal("-HUP");
    running.daemon.says("the configuration was reloaded").await;
    let told = running.daemon.line("the configuration was reloaded").expect("said").to_string();
    assert!(told.contains("mail.smtp_url"), "{told}");
    Person::register(&running.client, "bob@work.example").await;
    arrives("bob@work.example").await;
    let log = running.stop().await;
    assert!(!log.contains("-password"), "no secret is told");
}

#[tokio::test]
async fn a_hangup_reads_the_certificate_and_keeps_the_old_one_for_a_bad_one_embedded() {
    let mut place = Place::new();
    let certificate = || {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("made");
        (made.cert.pem(), made.signing_key.serialize_pem())
    };
    let (cert, key) = certificate();
    write(&place, "tls.crt", &cert);
    write(&place, "tls.key", &key);
    let path = |name: &str| place.path(name).display().to_string();
    let (cert_path, key_path) = (path("tls.crt"), path("tls.key"));
    place = place.set("http.tls.cert", &cert_path).set("http.tls.key", &key_path);
    place = place.set("public_url", "https://localhost");
    let mut running = place.start().await;
    // The key file now has the key of another certificate. The daemon must use neither the
    // certificate file nor the key file.
    write(&place, "tls.key", &certificate().1);
    running.daemon.signal("-HUP");
    running.daemon.says("TLS certificate not reloaded, the old one stays").await;
    write(&place, "tls.key", &key);
    running.daemon.signal("-HUP");
    running.daemon.says("TLS certificate reloaded").await;
    assert!(running.daemon.ended().is_none());
    running.admin().get("/readyz").await.expect(200);
    let ended = place.run(&["doctor", "--json"]);
    let report = serde_json::from_str::<serde_json::Value>(&ended.stdout()).expect("JSON");
    let checks = report["checks"].as_array().expect("a list").clone();
    let tls: Vec<_> = checks.into_iter().filter(|it| it["check"] == "tls").collect();
    assert_eq!(tls.len(), 2, "{tls:?}");
    assert!(tls.iter().all(|it| it["state"] == json!("ok")), "{tls:?}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hangup_takes_a_new_secret_of_the_captcha_vendor_embedded() {
    let stub = Stub::start().await;
    stub.says_json(&json!({ "success": false, "error-codes": ["invalid-input-response"] }));
    let mut place = Place::new()
        .set("captcha.provider", "turnstile")
        .set("captcha.on", "register")
        .set("captcha.site_key", "the-site-key")
        .set("captcha.hostnames", "localhost")
        .set("captcha.verify_url", &stub.url("/siteverify"));
    write(&place, "captcha", "first-secret");
    let file = place.path("captcha").display().to_string();
    place = place.set("captcha.secret_file", &file);
    let running = place.start().await;
    let last_secret = async || {
        let body = json!({
            "email": "ada@work.example", "password": "a long good password", "name": "Ada",
            "captcha": "a-token",
        });
        running.client.post_json("/api/register", body).await.expect(400);
        let asked = stub.asked();
        asked.last().and_then(|it| it.field("secret").map(str::to_owned))
    };
    assert_eq!(last_secret().await.as_deref(), Some("first-secret"));
    write(&place, "captcha", "second-secret");
    running.daemon.signal("-HUP");
    running.daemon.says("the configuration was reloaded").await;
    assert_eq!(last_secret().await.as_deref(), Some("second-secret"));
    let log = running.stop().await;
    assert!(!log.contains("first-secret") && !log.contains("second-secret"), "no secret is told");
}
