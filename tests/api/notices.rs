//! Tests of notices, which are mails that report what happened to an account. latchkey sends them
//! only to confirmed addresses. An attacker who has the password cannot flood a user with notices.

use std::time::Duration;

use serde_json::json;

use crate::app::{TestApp, both};
use crate::ask::{at_once, count, sql};
use crate::client::{Answer, Client, Person};
use crate::limits_attempts::{DEVICE, at, client_ip, login};
use crate::mime::Mail;

const HOUR: Duration = Duration::from_hours(1);
const CHANGED: &str = "Your password for Latchkey was changed";
const ENDED: &str = "A session at Latchkey was ended for your safety";

/// Returns the n-th new password of a test.
fn nth_password(n: usize) -> String {
    format!("a quite new password {n}")
}

async fn change(client: &Client, person: &mut Person, n: usize) -> Answer {
    let body = json!({ "password": person.password, "newPassword": nth_password(n) });
    let user = client.bearer(&person.user_token);
    let answer = user.post_json("/api/change-password", body).await;
    if answer.status == 200 {
        person.password = nth_password(n);
        person.keep(answer.tokens());
    }
    answer
}

/// Waits until every due mail is sent, and returns the mails with this subject.
async fn mailed(app: &TestApp, person: &Person, subject: &str) -> Vec<Mail> {
    app.inside().deliveries.wake();
    app.outbox_is_empty().await;
    let mails = app.mails_to(&person.email).await;
    mails.into_iter().filter(|mail| mail.subject == subject).collect()
}

/// Opens a session of this account and refreshes it twice. Returns the session with its first
/// token, which a refresh has replaced.
async fn replaced(person: &Person) -> Person {
    let first = person.another_device().await;
    let mut current = first.clone();
    current.refresh().await.expect(200);
    current.refresh().await.expect(200);
    first
}

async fn replay(person: &Person) -> Answer {
    person.as_user().get("/api/refresh").await
}

both!(
    a_change_of_password_mails_no_address_that_is_not_proven,
    ["rate_limit.enabled" = "true", "http.trusted_proxies" = "127.0.0.0/8"],
    async |app| {
        let mut person = app.register("ada@example.org").await;
        app.mail_to(&person.email).await;
        let answer = person.login().await.expect(200);
        let mut device = answer.header(DEVICE).expect("a device").to_owned();
        for n in 0..12 {
            let client = app.anonymous().header(DEVICE, &device);
            let answer = change(&client, &mut person, n).await;
            if n < 10 {
                answer.header(DEVICE).expect("a device").clone_into(&mut device);
                answer.expect(200);
            } else {
                answer.expect_problem(429, "rate-limited");
            }
        }
        app.no_mail_to(&person.email).await;
    }
);

both!(a_replayed_token_mails_no_address_that_is_not_proven, async |app| {
    let person = app.register("ada@example.org").await;
    app.mail_to(&person.email).await;
    for _ in 0..3 {
        let session = replaced(&person).await;
        replay(&session).await.expect_problem(401, "refresh-reused");
        session.me().await.expect_problem(401, "invalid-token");
    }
    app.no_mail_to(&person.email).await;
    // The audit of the account still has one event for each replay.
    let events = person.as_user().get("/api/me/events").await.expect(200).json();
    let items = events["items"].as_array().expect("a list");
    let reused = items.iter().filter(|item| item["action"] == "session.reuse-detected").count();
    assert_eq!(reused, 3, "{events}");
});

both!(changes_of_password_within_an_hour_are_one_mail_now_and_one_at_the_end, async |app| {
    let mut person = app.verified("ada@example.org").await;
    for n in 0..4 {
        let client = at(app, "127.0.0.1").header("user-agent", &format!("Firefox/{n} Linux"));
        change(&client, &mut person, n).await.expect(200);
    }
    let first = mailed(app, &person, CHANGED).await;
    assert_eq!(first.len(), 1);
    assert!(!first[0].text.contains("times within an hour"), "{}", first[0].text);
    app.clock.advance(HOUR.saturating_sub(Duration::from_secs(1)));
    assert_eq!(mailed(app, &person, CHANGED).await.len(), 1);
    app.clock.advance(Duration::from_secs(1));
    let both = mailed(app, &person, CHANGED).await;
    assert_eq!(both.len(), 2);
    assert!(both[1].text.contains("It happened 3 times within an hour."), "{}", both[1].text);
    assert!(both[1].text.contains("Hello Ada Lovelace,"), "{}", both[1].text);
    // The hour begins when the last mail was sent, whatever that mail reported.
    person.login().await.expect(200);
    change(&app.anonymous(), &mut person, 4).await.expect(200);
    app.clock.advance(HOUR.saturating_sub(Duration::from_secs(1)));
    assert_eq!(mailed(app, &person, CHANGED).await.len(), 2);
    app.clock.advance(Duration::from_secs(1));
    let three = mailed(app, &person, CHANGED).await;
    assert_eq!(three.len(), 3);
    assert!(!three[2].text.contains("times within an hour"), "{}", three[2].text);
    // After an hour without a notice, the next notice is sent at once again.
    app.clock.advance(HOUR);
    person.login().await.expect(200);
    change(&app.anonymous(), &mut person, 5).await.expect(200);
    assert_eq!(mailed(app, &person, CHANGED).await.len(), 4);
});

both!(
    of_parallel_changes_by_one_device_one_is_mailed,
    ["rate_limit.enabled" = "true"],
    async |app| {
        let mut person = app.verified("ada@example.org").await;
        let answer = person.login().await.expect(200);
        let device = answer.header(DEVICE).expect("a device").to_owned();
        let client = app.anonymous().header(DEVICE, &device);
        let answers = at_once(16, async |n| change(&client, &mut person.clone(), n).await).await;
        assert_eq!(count(&answers, 200), 1, "{answers:#?}");
        assert!(
            answers.iter().all(|answer| [200, 401, 409, 429, 503].contains(&answer.status)),
            "{answers:#?}"
        );
        assert_eq!(mailed(app, &person, CHANGED).await.len(), 1);
        app.clock.advance(HOUR);
        assert_eq!(mailed(app, &person, CHANGED).await.len(), 1);
    }
);

both!(tokens_of_many_sessions_that_are_replayed_at_once_are_one_mail_an_hour, async |app| {
    let person = app.verified("ada@example.org").await;
    let mut sessions = Vec::new();
    for _ in 0..5 {
        sessions.push(replaced(&person).await);
    }
    let answers = at_once(5, async |n| replay(&sessions[n]).await).await;
    for answer in answers {
        answer.expect_problem(401, "refresh-reused");
    }
    assert_eq!(mailed(app, &person, ENDED).await.len(), 1);
    app.clock.advance(HOUR);
    let both = mailed(app, &person, ENDED).await;
    assert_eq!(both.len(), 2);
    assert!(both[1].text.contains("It happened 4 times within an hour."), "{}", both[1].text);
});

both!(a_flood_of_one_kind_of_notice_delays_no_other_kind, async |app| {
    let mut person = app.verified("ada@example.org").await;
    for _ in 0..3 {
        let session = replaced(&person).await;
        replay(&session).await.expect_problem(401, "refresh-reused");
    }
    change(&app.anonymous(), &mut person, 0).await.expect(200);
    login(&app.anonymous(), &person.email, &person.password).await.expect(200);
    let body = json!({ "password": person.password, "email": "new@example.org" });
    person.as_user().post_json("/api/change-email", body).await.expect(200);
    app.mail_to("new@example.org").await;
    assert_eq!(mailed(app, &person, ENDED).await.len(), 1);
    assert_eq!(mailed(app, &person, CHANGED).await.len(), 1);
    let new_device = "A new login to your account at Latchkey";
    assert!(!mailed(app, &person, new_device).await.is_empty());
    let address = "Your address for Latchkey is being changed";
    assert_eq!(mailed(app, &person, address).await.len(), 1);
});

both!(
    each_change_of_address_mails_its_own_undo,
    ["rate_limit.enabled" = "true", "http.trusted_proxies" = "127.0.0.0/8"],
    async |app| {
        let person = app.verified("ada@example.org").await;
        let mut links = Vec::new();
        for n in 0..3 {
            let body =
                json!({ "password": person.password, "email": format!("new{n}@example.org") });
            let user = at(app, &client_ip(n)).bearer(&person.user_token);
            user.post_json("/api/change-email", body).await.expect(200);
            links.push(app.mail_to(&person.email).await.token().to_owned());
        }
        links.sort();
        links.dedup();
        assert_eq!(links.len(), 3);
        app.outbox_is_empty().await;
    }
);

both!(replicas_and_restarts_share_the_count_of_notices, async |mut app| {
    let mut person = app.verified("ada@example.org").await;
    let replica = app.replica().await;
    change(&app.anonymous(), &mut person, 0).await.expect(200);
    change(&replica.anonymous(), &mut person, 1).await.expect(200);
    assert_eq!(mailed(app, &person, CHANGED).await.len(), 1);
    replica.finish().await;
    app.restart().await;
    change(&app.anonymous(), &mut person, 2).await.expect(200);
    assert_eq!(mailed(app, &person, CHANGED).await.len(), 1);
    app.clock.advance(HOUR);
    let both = mailed(app, &person, CHANGED).await;
    assert_eq!(both.len(), 2);
    assert!(both[1].text.contains("It happened 2 times within an hour."), "{}", both[1].text);
});

both!(a_notice_is_written_with_its_event_or_not_at_all, async |app| {
    let mut person = app.verified("ada@example.org").await;
    // From now on the audit event cannot be written, because its table has another name.
    sql(app, "ALTER TABLE audit_events RENAME TO audit_events_away").await;
    change(&app.anonymous(), &mut person, 0).await.expect(503);
    sql(app, "ALTER TABLE audit_events_away RENAME TO audit_events").await;
    app.no_mail_to(&person.email).await;
    change(&app.anonymous(), &mut person, 1).await.expect(200);
    assert_eq!(mailed(app, &person, CHANGED).await.len(), 1);
});
