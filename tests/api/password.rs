//! Tests of `POST /api/change-password`, of the form in which a password is stored, and of a
//! password that is stored in an older form.

use std::time::Duration;

use latchkey::admission::{AttemptCaptcha, AttemptClient, AttemptRefusal};
use latchkey::session::AccountStatus;
use serde_json::json;

use crate::app::{Backend, TestApp, both};
use crate::ask::{alike, at_once, broken_rules, count, sql};
use crate::client::claims;
use crate::limits_attempts::{at, wrong_login};
use crate::poll::eventually;

const NEW: &str = "a quite new password";

both!(a_change_keeps_this_session_and_ends_the_others, async |app| {
    let mut person = app.verified("ada@example.org").await;
    let other = person.another_device().await;
    let before = claims(&person.user_token);
    person.change_password(NEW).await.expect(200);
    assert_eq!(claims(&person.user_token)["sid"], before["sid"]);
    person.me().await.expect(200);
    person.refresh().await.expect(200);
    other.me().await.expect_problem(401, "invalid-token");
    other.as_user().get("/api/refresh").await.expect_problem(401, "invalid-token");
    let notice = app.mail_to("ada@example.org").await;
    assert_eq!(notice.subject, "Your password for Latchkey was changed");
    app.anonymous().login(&person.email, "correct horse battery").await.expect(401);
    person.login().await.expect(200);
});

both!(the_old_password_is_needed, async |app| {
    let mut person = app.verified("ada@example.org").await;
    let other = person.another_device().await;
    "not the password".clone_into(&mut person.password);
    let answer = person.change_password(NEW).await.expect_problem(401, "invalid-credentials");
    assert_eq!(answer.header("www-authenticate"), Some("Bearer realm=\"latchkey\""));
    other.me().await.expect(200);
    app.no_mail_to("ada@example.org").await;
    let body = json!({ "password": "x", "newPassword": NEW });
    let answer = app.anonymous().post_json("/api/change-password", body.clone()).await;
    answer.expect_problem(401, "invalid-token");
    person
        .as_vault()
        .post_json("/api/change-password", body)
        .await
        .expect_problem(401, "invalid-token");
});

both!(the_new_password_keeps_the_rules, async |app| {
    let mut person = app.verified("ada.lovelace@example.org").await;
    for (bad, code) in [
        ("short", "too-short"),
        ("password", "too-common"),
        ("ada.lovelace", "contextual"),
        ("ADA LOVELACE", "contextual"),
        ("Ada Lovelace's Team", "contextual"),
    ] {
        let answer = person.change_password(bad).await;
        assert_eq!(broken_rules(&answer), [("/newPassword".to_owned(), code.to_owned())], "{bad}");
    }
    person.login().await.expect(200);
});

both!(of_parallel_changes_one_succeeds, async |app| {
    let person = app.verified("ada@example.org").await;
    let answers = at_once(6, async |turn| {
        person.clone().change_password(&format!("new password {turn}")).await
    })
    .await;
    assert_eq!(count(&answers, 200), 1, "{answers:#?}");
    for (turn, answer) in answers.iter().enumerate() {
        let login = app.anonymous().login(&person.email, &format!("new password {turn}")).await;
        assert_eq!(login.status == 200, answer.status == 200);
    }
    app.mail_to(&person.email).await;
    app.no_mail_to(&person.email).await;
});

/// Returns the stored password hash of Ada.
pub(crate) async fn stored(app: &TestApp) -> String {
    let standing = AccountStatus::by_email(&app.inside().db, "ada@example.org").await;
    standing.expect("the database answers").expect("she is there").password_hash.expose().clone()
}

async fn import(app: &TestApp, hash: &str) {
    let email = "ada@example.org";
    sql(app, &format!("UPDATE users SET password_hash = '{hash}' WHERE email_normal = '{email}'"))
        .await;
}

both!(
    an_imported_hash_is_replaced_by_the_first_log_in,
    [
        "password.engine" = "simd",
        "password.pepper" = "2:q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=",
    ],
    async |app| {
        app.verified("ada@example.org").await;
        for (hash, password) in [
            (
                "$2y$05$abcdefghijklmnopqrstuu5s2v8.iXieOjg/.AySBTTZIIVFJeBui",
                "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789",
            ),
            (
                "pbkdf2:sha256:1$salt$55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc49ca9cccf179b645991664b39d77ef317c71b845b1e30bd509112041d3a19783",
                "passwd",
            ),
            (
                "$firescrypt$ln=14,r=8,p=1$42xEC+ixf3L2lw==$lSrfV15cpx95/sZS2W9c9Kp6i/LVgQNDNC/qzrCnh1SAyZvqmZqAjTdn3aoItz+VHjoZilo78198JAdRuid5lQ==$Bw==$jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA==",
                "user1password",
            ),
        ] {
            import(app, hash).await;
            let anonymous = app.anonymous();
            anonymous.login("ada@example.org", "not the password").await.expect(401);
            assert_eq!(stored(app).await, hash, "a refused log-in changes nothing");
            anonymous.login("ada@example.org", password).await.expect(200);
            // "Mg" is version 2 in base64.
            let ours = "$argon2id$v=19$m=64,t=1,p=1,keyid=Mg$";
            let rehashed = async || stored(app).await.starts_with(ours).then_some(());
            eventually("the rehash", Duration::from_secs(5), rehashed).await;
            anonymous.login("ada@example.org", password).await.expect(200);
            anonymous.login("ada@example.org", "not the password").await.expect(401);
        }
    }
);

// A 503 would show that the email address has an account.
both!(a_hash_that_cannot_be_verified_is_refused_like_an_unknown_address, async |app| {
    let mut person = app.verified("ada@example.org").await;
    let good = stored(app).await;
    let unknown = app.anonymous().login("nobody@example.org", "not the password").await;
    unknown.clone().expect_problem(401, "invalid-credentials");
    for hash in [
        String::new(),
        "broken".to_owned(),
        good[..good.len() / 2].to_owned(),
        good.replace("p=1", "p=1,keyid=MQ"),
        good.replace("m=64", "m=4000000"),
        "$2b$31$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW".to_owned(),
    ] {
        import(app, &hash).await;
        for password in [person.password.as_str(), "not the password"] {
            let answer = app.anonymous().login(&person.email, password).await;
            assert_eq!(alike(&answer), alike(&unknown), "{hash}");
            let body = json!({ "password": password, "newPassword": "a quite new password" });
            let changed = person.as_user().post_json("/api/change-password", body).await;
            changed.expect_problem(401, "invalid-credentials");
        }
    }
    app.anonymous().forgot(&person.email).await.expect(200);
    let token = app.mail_to(&person.email).await.token().to_owned();
    app.anonymous().reset(&token, "a quite new password").await.expect(200);
    "a quite new password".clone_into(&mut person.password);
    person.login().await.expect(200);
    app.mail_to(&person.email).await;
});

both!(a_new_password_is_any_that_is_long_and_not_common, async |app| {
    let mut person = app.verified("ada.lovelace@example.org").await;
    for good in ["\u{1}\n\t     ", " password ", "🔑🔑🔑🔑🔑🔑🔑🔑", &"ab".repeat(128)]
    {
        person.change_password(good).await.expect(200);
        person.login().await.expect(200);
    }
    let seven = "e\u{301}".repeat(7);
    for (bad, code) in [
        (seven.as_str(), "too-short"),
        (&format!("{}a", "ab".repeat(128)), "too-long"),
        // This password is near the end of the list of common passwords.
        ("zzzzzzzz", "too-common"),
        ("ZXCVBNM123", "too-common"),
        ("Ada.Lovelace@Example.org", "contextual"),
        ("latchKEY", "contextual"),
    ] {
        let answer = person.change_password(bad).await;
        assert_eq!(broken_rules(&answer), [("/newPassword".to_owned(), code.to_owned())], "{bad}");
    }
});

/// A hash of these parameters takes several seconds, which is more than the deadline of a hash.
#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_whose_hash_misses_the_deadline_counts() {
    let app = TestApp::builder(Backend::Embedded)
        .set("rate_limit.enabled", "true")
        .set("http.trusted_proxies", "127.0.0.0/8")
        .set("password.memory_kib", "65536")
        .set("password.iterations", "120")
        .set("password.workers", "1")
        .start()
        .await;
    let (email, address) = ("ada@example.org", "203.0.113.7");
    let client = AttemptClient::Anonymous(address.parse().expect("an address"));
    for _ in 0..5 {
        let (captcha, mut rate) = (AttemptCaptcha::default(), None);
        let attempt = app.inside().admission.admit_attempt(email, &client, captcha, &mut rate);
        attempt.await.expect("five attempts have no wait");
    }
    let sixth = wrong_login(&at(&app, address), email).await;
    sixth.expect_problem(503, "dependency-unavailable");
    let (captcha, mut rate) = (AttemptCaptcha::default(), None);
    let seventh = app.inside().admission.admit_attempt(email, &client, captcha, &mut rate);
    assert!(matches!(seventh.await, Err(AttemptRefusal::Limited(_))));
    app.finish().await;
}
