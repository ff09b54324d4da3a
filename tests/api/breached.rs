//! Tests of `password.breach_url`. latchkey sends the first five digits of the SHA-1 hash of a new
//! password to the service. No request waits long for the service.

use std::time::Instant;

use serde_json::json;

use crate::app::{Backend, TestApp};
use crate::ask::broken_rules;
use crate::siteverify::{Says, Stub};

/// A password that a test lists as breached, and the end of the SHA-1 hash of another password.
const PASSWORD: &str = "gräßlich bekannt";
const OTHER_ENDING: &str = "0018A45C4D1DEF81644B54AB7F969B88D65";
const RANGES: &str = "/range/";

/// Runs `body` with a daemon whose service is a stub, on both pairs of stores.
macro_rules! with_service {
    ($name:ident, async |$app:ident, $stub:ident| $body:block) => {
        async fn $name($app: &TestApp, $stub: &Stub) $body

        mod $name {
            #[tokio::test(flavor = "multi_thread")]
            async fn embedded() {
                super::run(crate::app::Backend::Embedded, super::$name).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn servers() {
                super::run(crate::app::Backend::Servers, super::$name).await;
            }
        }
    };
}

async fn run(backend: Backend, body: impl AsyncFn(&TestApp, &Stub)) {
    let stub = Stub::start().await;
    let url = stub.url(RANGES);
    let app = TestApp::builder(backend).set("password.breach_url", &url).start().await;
    body(&app, &stub).await;
    app.finish().await;
}

fn digest(password: &str) -> (String, String) {
    use aws_lc_rs::digest;
    let sha1 = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, password.as_bytes());
    let digits =
        sha1.as_ref().iter().fold(String::new(), |digits, byte| format!("{digits}{byte:02X}"));
    (digits[..5].to_owned(), digits[5..].to_owned())
}

fn says_lines(stub: &Stub, lines: &[String]) {
    stub.says(Says::Body(200, "text/plain", lines.join("\r\n")));
}

/// From now on, the stub lists this password, among others.
fn knows(stub: &Stub, password: &str) {
    let (_, ending) = digest(password);
    says_lines(stub, &[format!("{OTHER_ENDING}:3"), format!("{ending}:52579")]);
}

/// From now on, the stub lists this password with a count of 0, as a service does for padding. A
/// password with a count of 0 is not breached.
fn knows_none(stub: &Stub, password: &str) {
    let (_, ending) = digest(password);
    says_lines(stub, &[format!("{OTHER_ENDING}:3"), format!("{ending}:0")]);
}

fn outcome(app: &TestApp, outcome: &str) -> u64 {
    let text = app.inside().metrics.render();
    let line = text.lines().find(|line| {
        line.starts_with("latchkey_password_breach_checks_total")
            && line.contains(&format!("outcome=\"{outcome}\""))
    });
    line.and_then(|line| line.rsplit(' ').next()).map_or(0, |count| count.parse().expect("a count"))
}

with_service!(a_breached_password_is_refused_wherever_one_is_chosen, async |app, stub| {
    let anonymous = app.anonymous();
    knows(stub, PASSWORD);
    let refused = anonymous.register("ada@example.org", PASSWORD, "Ada").await;
    assert_eq!(broken_rules(&refused), [("/password".into(), "breached".into())]);
    app.no_mail_to("ada@example.org").await;

    knows_none(stub, "correct horse battery");
    let person = app.verified("ada@example.org").await;
    knows(stub, PASSWORD);
    anonymous.forgot("ada@example.org").await.expect(200);
    let link = app.mail_to("ada@example.org").await;
    let refused = anonymous.reset(link.token(), PASSWORD).await;
    assert_eq!(broken_rules(&refused), [("/newPassword".into(), "breached".into())]);
    let body = json!({ "password": person.password, "newPassword": PASSWORD });
    let refused = person.as_user().post_json("/api/change-password", body).await;
    assert_eq!(broken_rules(&refused), [("/newPassword".into(), "breached".into())]);

    // The refusal did not use up the link. The service now lists the password with a count of 0
    // (padding), so the password is accepted.
    knows_none(stub, PASSWORD);
    anonymous.reset(link.token(), PASSWORD).await.expect(200);
    app.mail_to("ada@example.org").await;
    // A login never asks the service. The login succeeds although the service now lists the
    // password.
    knows(stub, PASSWORD);
    let asked = stub.asked().len();
    anonymous.login("ada@example.org", PASSWORD).await.expect(200);
    assert_eq!(stub.asked().len(), asked);
    assert_eq!(outcome(app, "hit"), 3);
    assert_eq!(outcome(app, "miss"), 2);
});

with_service!(five_digits_leave_and_nothing_else, async |app, stub| {
    knows(stub, PASSWORD);
    // latchkey normalizes the password to NFC before it computes the hash.
    let typed = "gra\u{308}ßlich bekannt";
    let refused = app.anonymous().register("ada@example.org", typed, "Ada").await;
    assert_eq!(broken_rules(&refused), [("/password".into(), "breached".into())]);
    let asked = stub.asked();
    assert_eq!(asked.len(), 1);
    let (prefix, ending) = digest(PASSWORD);
    assert_eq!((asked[0].method.as_str(), &asked[0].path), ("GET", &format!("/range/{prefix}")));
    assert_eq!(asked[0].header("add-padding"), Some("true"));
    assert_eq!(asked[0].header("user-agent"), Some("latchkey"));
    let everything = format!("{asked:?}");
    for secret in [PASSWORD, typed, ending.as_str(), "ada@example.org"] {
        assert!(!everything.contains(secret), "{everything}");
    }
    // If a request breaks another rule, the daemon does not ask the service. These requests have a
    // weak password and an invalid email address.
    app.anonymous().register("ada@example.org", "password", "Ada").await.expect(422);
    app.anonymous().register("no address", PASSWORD, "Ada").await.expect(422);
    assert_eq!(stub.asked().len(), 1);
});

with_service!(a_service_that_does_not_answer_keeps_nobody_out, async |app, stub| {
    let (_, ending) = digest("correct horse battery");
    let hit = format!("{ending}:1");
    let mut turn = 0;
    for (says, counted) in [
        (Says::Body(500, "text/plain", hit.clone()), "unavailable"),
        (Says::Body(404, "text/plain", hit.clone()), "unavailable"),
        (Says::Body(200, "text/html", format!("<html>{hit}")), "malformed"),
        (Says::Body(200, "text/plain", format!("{hit}\r\n{hit}x")), "malformed"),
        (Says::Body(200, "text/plain", format!("{hit}\r\n").repeat(8_000)), "unavailable"),
        (Says::Reset, "unavailable"),
        (Says::Drip, "unavailable"),
        (Says::Nothing, "unavailable"),
    ] {
        // A successful lookup between two failures resets the failure count, so that the daemon
        // really sends each failing lookup.
        knows_none(stub, "correct horse battery");
        turn += 1;
        let email = format!("fine{turn}@example.org");
        app.anonymous().register(&email, "correct horse battery", "Ada").await.expect(200);
        app.mail_to(&email).await;
        stub.says(says.clone());
        let (before, email) = (outcome(app, counted), format!("ada{turn}@example.org"));
        app.anonymous().register(&email, "correct horse battery", "Ada").await.expect(200);
        app.mail_to(&email).await;
        assert_eq!(outcome(app, counted), before + 1, "{says:?}");
    }
    assert_eq!(outcome(app, "hit"), 0);
});

with_service!(an_outage_does_not_pile_up, async |app, stub| {
    stub.says(Says::Body(503, "text/plain", String::new()));
    let register = async |turn: usize| {
        let email = format!("ada{turn}@example.org");
        app.anonymous().register(&email, "correct horse battery", "Ada").await.expect(200);
        app.mail_to(&email).await;
    };
    for turn in 0..3 {
        register(turn).await;
    }
    let ready = app.admin().get("/readyz").await.expect(200).json();
    assert_eq!(
        (&ready["status"], &ready["dependencies"]["breachedPasswords"]),
        (&json!("degraded"), &json!("down"))
    );
    // Each lookup would take one second, but after three failures the daemon sends no lookup.
    stub.says(Says::Nothing);
    let started = Instant::now();
    for turn in 3..6 {
        register(turn).await;
    }
    assert_eq!(stub.asked().len(), 3, "{:?}", started.elapsed());
    assert_eq!(outcome(app, "skipped"), 3);
    app.clock.advance(std::time::Duration::from_secs(10));
    knows(stub, "correct horse battery");
    app.anonymous().register("eve@example.org", "correct horse battery", "Eve").await.expect(422);
    assert_eq!(app.admin().get("/readyz").await.expect(200).json()["status"], "ok");
});
