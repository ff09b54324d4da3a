//! Tests of the key of the built-in mailbox: a daemon stores it in one file and nowhere else.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::{PATIENCE, Place};
use crate::poll::eventually;

#[tokio::test]
async fn the_key_of_the_mailbox_stays_out_of_log_metrics_and_audit_embedded() {
    let mut place = Place::new().set("log.filter", "trace");
    let running = place.start().await;
    let key = running.mailbox_key();
    let local = running.anonymous();
    let opened = local.get(&format!("/dev/mailbox?key={key}")).await.expect(303);
    let cookie = opened.header("set-cookie").expect("a cookie").split(';').next().expect("a pair");
    local.header("Cookie", cookie).get("/dev/mailbox").await.expect(200);
    local.bearer(&key).get("/dev/mailbox/messages").await.expect(200);
    local.get(&format!("/dev/mailbox?key={key}x")).await.expect(401);
    local.bearer(&format!("{key}x")).get("/dev/mailbox").await.expect(401);
    // A request with another Host gets a 404, and the key in its URL must not appear anywhere.
    local.header("Host", "evil.example").get(&format!("/dev/mailbox?key={key}")).await.expect(404);
    let metrics = running.admin().get("/metrics").await.expect(200).text();
    let printed = place.run(&["config", "print"]).expect(0);
    let audited = place.run(&["audit", "export"]).expect(0);
    let doctor = place.run(&["doctor"]);
    eventually("the greeting", PATIENCE, async || {
        running.daemon.log().contains("Try:").then_some(())
    })
    .await;
    let log = running.stop().await;
    let value = cookie.split_once('=').expect("a pair").1;
    for (what, text) in [
        ("log", &log),
        ("metrics", &metrics),
        ("config print", &printed.stdout()),
        ("audit", &audited.stdout()),
        ("doctor", &doctor.stdout()),
    ] {
        assert!(!text.contains(&key), "the key is in the {what}: {text}");
        assert!(!text.contains(value), "the cookie is in the {what}: {text}");
    }
    assert!(log.contains("request answered"), "the log has access lines");
}

#[tokio::test]
async fn a_key_that_others_can_read_or_that_is_none_keeps_the_mailbox_closed_embedded() {
    let mut place = Place::new();
    place.start().await.stop().await;
    let file = place.path("data/mailbox-key");
    let good = fs::read_to_string(&file).expect("a key");
    for (text, mode, what) in [
        (
            good.as_str(),
            0o644,
            "other users of this machine can read or change the file (mode 644)",
        ),
        ("", 0o600, "the file does not contain a key"),
        ("not-a-key\n", 0o600, "the file does not contain a key"),
    ] {
        fs::write(&file, text).expect("written");
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).expect("ours");
        let running = place.start().await;
        for key in [good.trim(), "not-a-key", ""] {
            let asked = running.client.bearer(key).get("/dev/mailbox/messages").await;
            asked.expect_problem(404, "not-found");
        }
        eventually("the greeting", PATIENCE, async || {
            running.daemon.log().contains("Try:").then_some(())
        })
        .await;
        let log = running.stop().await;
        let line = log.lines().find(|line| line.contains("the built-in mailbox stays closed"));
        let line = line.expect("the reason is in the log");
        for part in
            [what, "data/mailbox-key", "\"level\":\"ERROR\"", "the next start creates a new key"]
        {
            assert!(line.contains(part), "no `{part}` in {line}");
        }
        assert!(log.contains("Mailbox   closed"), "{log}");
        assert!(!log.contains(good.trim()), "{log}");
        assert_eq!(fs::read_to_string(&file).expect("it is kept"), text);
    }
}

#[tokio::test]
async fn a_mailbox_that_nobody_can_open_is_reported_by_check_start_and_doctor_embedded() {
    let mut place = Place::new().set("public_url", "https://auth.example");
    let warned = "mails go to the built-in mailbox, which nobody can open, because `public_url` \
                  does not name this machine";
    let checked = place.run(&["config", "check"]).expect(0);
    let said = format!("{}{}", checked.stdout(), checked.stderr());
    assert!(said.contains("mail.smtp_url") && said.contains(warned), "{said}");
    let doctor = place.run(&["doctor"]).stdout();
    assert!(doctor.contains(warned), "{doctor}");
    assert!(doctor.contains("warning  smtp "), "{doctor}");
    let running = place.start().await;
    running.client.get("/dev/mailbox").await.expect_problem(404, "not-found");
    eventually("the greeting", PATIENCE, async || {
        running.daemon.log().contains("Try:").then_some(())
    })
    .await;
    let log = running.stop().await;
    assert!(log.contains(warned), "{log}");
    assert!(log.contains("Mailbox   nobody can open it"), "{log}");
    assert!(!place.path("data/mailbox-key").exists());
    let here = Place::new().run(&["config", "check"]).expect(0);
    assert!(!format!("{}{}", here.stdout(), here.stderr()).contains("nobody can open"));
}
