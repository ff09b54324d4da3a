//! Tests of the mail about a login on a device that the account does not know (ASVS 6.3.5).

use std::time::Duration;

use serde_json::json;

use crate::app::{Backend, PUBLIC_URL, TestApp, both};
use crate::ask::{at_once, sql};
use crate::client::{Client, Person};
use crate::limits_attempts::{DEVICE, at, login, wrong_login};
use crate::poll::eventually;

const HOME: &str = "203.0.113.7";
const ELSEWHERE: &str = "198.51.100.1";
const FIREFOX: &str = "Mozilla/5.0 (X11; Linux) https://evil.example Firefox/140.0";

/// Logs in and returns the device token of the response.
async fn log_in(client: &Client, person: &Person) -> String {
    let answer = login(client, &person.email, &person.password).await.expect(200);
    answer.header(DEVICE).expect("a device").to_owned()
}

/// Returns the metrics about the budget for mails about new devices.
async fn asked_for(app: &TestApp) -> Vec<String> {
    let text = app.admin().get("/metrics").await.text();
    text.lines().filter(|line| line.contains("\"new-devices\"")).map(str::to_owned).collect()
}

both!(a_log_in_on_a_device_that_is_not_known_is_mailed, async |app| {
    let person = app.verified("ada@example.org").await;
    let device = log_in(&app.anonymous(), &person).await;
    app.no_mail_to(&person.email).await;
    let known = app.anonymous().header(DEVICE, &device);
    let renewed = log_in(&known, &person).await;
    log_in(&app.anonymous().header(DEVICE, &renewed), &person).await;
    app.no_mail_to(&person.email).await;
    log_in(&app.anonymous().header("user-agent", FIREFOX), &person).await;
    let mail = app.mail_to(&person.email).await;
    assert!(mail.subject.starts_with("A new login to your account at "), "{}", mail.subject);
    for part in [&mail.text, &mail.html] {
        assert!(part.contains("Hello Ada Lovelace,"), "{part}");
        assert!(part.contains("UTC, from the IP address 127.0.0.1 (Firefox, Linux)."), "{part}");
        assert!(part.contains(&format!("{PUBLIC_URL}/reset-password")), "{part}");
        assert!(!part.contains("evil.example"), "{part}");
    }
    assert_eq!(mail.token, None);
    app.no_mail_to(&person.email).await;
});

both!(what_is_no_device_of_this_account_is_a_new_one, async |app| {
    let mut person = app.verified("ada@example.org").await;
    let other = app.verified("bea@example.org").await;
    let device = log_in(&app.anonymous(), &person).await;
    let of_another = log_in(&app.anonymous(), &other).await;
    for token in ["", "made up", &of_another, &format!("{device}A")] {
        log_in(&app.anonymous().header(DEVICE, token), &person).await;
        app.mail_to(&person.email).await;
    }
    // A device token that was issued before the password change does not make the device known.
    person.change_password("a quite new password").await.expect(200);
    app.mail_to(&person.email).await;
    log_in(&app.anonymous().header(DEVICE, &device), &person).await;
    let mail = app.mail_to(&person.email).await;
    assert!(mail.subject.contains("new login"), "{}", mail.subject);
    app.no_mail_to(&person.email).await;
    app.no_mail_to(&other.email).await;
});

both!(only_a_log_in_by_password_that_succeeds_is_mailed, async |app| {
    let person = app.verified("ada@example.org").await;
    log_in(&app.anonymous(), &person).await;
    wrong_login(&app.anonymous(), &person.email).await.expect(401);
    sql(app, "UPDATE users SET status = 'disabled'").await;
    let disabled = login(&app.anonymous(), &person.email, &person.password).await;
    disabled.expect_problem(403, "account-disabled");
    sql(app, "UPDATE users SET status = 'active'").await;
    app.no_mail_to(&person.email).await;
    // A session that starts with a mailed link causes no such mail, because the mail would go to
    // the same email address as the link.
    let mut changing = person.clone();
    let body = json!({ "password": person.password, "email": "eda@example.org" });
    changing.as_user().post_json("/api/change-email", body).await.expect(200);
    app.mail_to(&person.email).await;
    let link = app.mail_to("eda@example.org").await;
    changing.verify(link.token()).await.expect(200);
    app.no_mail_to("eda@example.org").await;
});

both!(nobody_is_mailed_at_an_address_that_is_not_proven, async |app| {
    let person = app.register("ada@example.org").await;
    app.mail_to(&person.email).await;
    for _ in 0..3 {
        log_in(&app.anonymous(), &person).await;
    }
    app.no_mail_to(&person.email).await;
});

both!(
    a_first_log_in_from_elsewhere_than_the_account_was_made_is_mailed,
    ["http.trusted_proxies" = "127.0.0.0/8"],
    async |app| {
        let home = Person::register(&at(app, HOME), "ada@example.org").await;
        let link = app.mail_to(&home.email).await;
        app.anonymous().verify(link.token()).await.expect(200);
        log_in(&at(app, ELSEWHERE), &home).await;
        let mail = app.mail_to(&home.email).await;
        assert!(mail.text.contains(ELSEWHERE), "{}", mail.text);
        // This is not the first login of the account, so it causes a mail.
        log_in(&at(app, HOME), &home).await;
        let mail = app.mail_to(&home.email).await;
        assert!(mail.text.contains(HOME), "{}", mail.text);
        app.no_mail_to(&home.email).await;
    }
);

both!(
    who_has_the_password_cannot_flood_the_mailbox,
    ["rate_limit.enabled" = "true", "http.trusted_proxies" = "127.0.0.0/8"],
    async |app| {
        let person = app.verified("ada@example.org").await;
        let device = log_in(&at(app, HOME), &person).await;
        app.mail_to(&person.email).await;
        // A login on a known device does not read the budget, so the metrics of the budget stay the
        // same.
        let asked = asked_for(app).await;
        log_in(&at(app, ELSEWHERE).header(DEVICE, &device), &person).await;
        assert_eq!((asked.len(), asked_for(app).await), (1, asked));
        let count = async || {
            app.outbox_is_empty().await;
            app.mails_to(&person.email).await.len() - 1
        };
        // The budget is five mails. It includes the mail about the first login, which came from
        // another IP address than the registration.
        at_once(12, async |n| log_in(&at(app, &format!("10.0.0.{n}")), &person).await).await;
        assert_eq!(count().await, 5);
        app.clock.advance(Duration::from_mins(4 * 60 + 48).saturating_sub(Duration::from_secs(1)));
        log_in(&at(app, "10.0.1.1"), &person).await;
        assert_eq!(count().await, 5);
        app.clock.advance(Duration::from_secs(1));
        for n in 0..3 {
            log_in(&at(app, &format!("10.0.2.{n}")), &person).await;
        }
        assert_eq!(count().await, 6);
        // Notices about other events have their own budget.
        let body = json!({ "password": person.password, "newPassword": "a quite new password" });
        let here = login(&at(app, HOME), &person.email, &person.password).await.tokens();
        let user = at(app, HOME).bearer(&here.user);
        user.post_json("/api/change-password", body).await.expect(200);
        assert_eq!(count().await, 7);
    }
);

both!(the_notice_can_be_switched_off, ["mail.new_device" = "false"], async |app| {
    let person = app.verified("ada@example.org").await;
    for _ in 0..3 {
        log_in(&app.anonymous(), &person).await;
    }
    app.no_mail_to(&person.email).await;
});

both!(an_account_of_the_release_before_counts_as_in_use, async |app| {
    let person = app.verified("ada@example.org").await;
    // The row is copied without the new column, because the previous release writes it without this
    // column.
    let columns = "id, email, email_normal, name, password_hash, password_version, session_epoch, status, verified_at, \
         created_ip, created_at, updated_at";
    for statement in [
        format!("CREATE TABLE written AS SELECT {columns} FROM users"),
        "DELETE FROM users".to_owned(),
        format!("INSERT INTO users ({columns}) SELECT {columns} FROM written"),
        "DROP TABLE written".to_owned(),
    ] {
        sql(app, &statement).await;
    }
    log_in(&app.anonymous(), &person).await;
    app.mail_to(&person.email).await;
});

#[tokio::test(flavor = "multi_thread")]
async fn a_notice_waits_for_smtp_and_holds_no_log_in_up_on_servers() {
    let app = TestApp::start(Backend::Servers).await;
    let person = app.verified("ada@example.org").await;
    log_in(&app.anonymous(), &person).await;
    app.sink().down().await;
    log_in(&app.anonymous(), &person).await;
    assert_eq!(app.pending_mail().await, 1);
    app.sink().up().await;
    let mail = eventually("the notice", Duration::from_secs(10), async || {
        app.clock.advance(Duration::from_secs(5));
        app.mails_to(&person.email).await.into_iter().nth(1)
    })
    .await;
    assert!(mail.subject.contains("new login"), "{}", mail.subject);
    app.finish().await;
}
