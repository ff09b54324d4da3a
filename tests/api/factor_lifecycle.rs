//! Tests of what happens to second factors besides adding and using them: the undo of the first
//! factor, a new password, a change of address, a disabled or deleted account.

use std::time::Duration;

use latchkey::account::operator::{self, Who};
use latchkey::account::sweep_first_factors;
use latchkey::audit::{ChangeContext, RequestOrigin};
use latchkey::user::UserState;
use latchkey_entity::{audit_event, factor, first_factor, recovery_code};
use sea_orm::{EntityTrait as _, PaginatorTrait as _};
use serde_json::json;
use totp_rs::{Builder, Secret, Totp};

use crate::app::{PUBLIC_URL, TestApp, both};
use crate::ask::{at_once, count};
use crate::client::{Anonymous, Answer, Client, Person};
use crate::limits_attempts::DEVICE;
use crate::people::id_of;
use crate::poll::eventually;

const ADA: &str = "ada@example.org";
const NEW: &str = "countess@example.com";
const PATIENCE: Duration = Duration::from_secs(20);
const DAY: Duration = Duration::from_hours(24);
const NEW_PASSWORD: &str = "a quite new password";

/// An authenticator app.
pub struct Authenticator(Totp);

impl Authenticator {
    pub fn new(secret: &str) -> Self {
        let secret = Secret::try_from_base32(secret).expect("base32");
        Self(Builder::new().with_secret(secret).build_noncompliant())
    }

    /// The code at a time in milliseconds.
    pub fn code_at(&self, now: i64) -> String {
        let seconds = u64::try_from(now / 1_000).expect("after 1970");
        self.0.generate(seconds).to_string()
    }

    /// A code that was not used before. Moves the clock to the next time step.
    fn next_code(&self, app: &TestApp) -> String {
        app.clock.advance(Duration::from_secs(30));
        self.code_at(app.clock.now())
    }
}

/// Adds the first authenticator app to an account, after a login by password. `now` is the daemon's
/// time in milliseconds.
pub async fn add_totp(person: &mut Person, name: &str, now: i64) -> Authenticator {
    person.login().await.expect(200);
    let path = "/api/me/factors/totp";
    let begun = person.as_user().post_json(path, json!({ "name": name })).await;
    let begun = begun.expect(201).json();
    let app = Authenticator::new(begun["secret"].as_str().expect("a secret"));
    let path = format!("/api/me/factors/{}/confirm", begun["id"].as_str().expect("an id"));
    let body = json!({ "code": app.code_at(now) });
    person.keep(person.as_user().post_json(&path, body).await.tokens());
    app
}

async fn add(app: &TestApp, person: &mut Person) -> Authenticator {
    add_totp(person, "Phone", app.clock.now()).await
}

/// Sends the right password. The response has a challenge.
pub async fn challenge(client: &Client, email: &str, password: &str) -> String {
    let answer = client.post_json("/api/login", json!({ "email": email, "password": password }));
    let answer = answer.await.expect_problem(401, "factor-required");
    answer.json()["challenge"].as_str().expect("a challenge").to_owned()
}

pub async fn login_factor(client: &Client, challenge: &str, code: &str) -> Answer {
    let body = json!({ "challenge": challenge, "method": "totp", "code": code });
    client.post_json("/api/login/factor", body).await
}

async fn factors(app: &TestApp) -> (u64, u64) {
    let db = app.inside().db.reader();
    let codes = recovery_code::Entity::find().count(db).await.expect("counted");
    (factor::Entity::find().count(db).await.expect("counted"), codes)
}

async fn actions(app: &TestApp) -> Vec<String> {
    let rows = audit_event::Entity::find().all(app.inside().db.reader()).await.expect("read");
    rows.into_iter().map(|row| row.action).collect()
}

/// The token in the newest mail about the first factor to this address.
async fn undo_token(app: &TestApp, address: &str, mails: usize) -> String {
    let start = format!("{PUBLIC_URL}/undo-factor?token=");
    eventually("the mail about the first factor", PATIENCE, async || {
        app.inside().deliveries.wake();
        let links = app.mails_to(address).await.into_iter().filter_map(|mail| mail.link);
        let links: Vec<String> = links.filter(|link| link.starts_with(&start)).collect();
        (links.len() == mails).then(|| links[mails - 1][start.len()..].to_owned())
    })
    .await
}

async fn undo(client: &Anonymous, token: &str) -> Answer {
    client.post_form("/undo-factor", &[("token", token)]).await
}

/// Changes the address of an account with a fresh second factor. Returns the token that undoes it.
async fn change_address(app: &TestApp, person: &Person, to: &str) -> String {
    let body = json!({ "password": person.password, "email": to });
    person.as_user().post_json("/api/change-email", body).await.expect(200);
    let confirmation = app.mail_to(to).await.token().to_owned();
    let page = app.anonymous().post_form("/verify-email", &[("token", &confirmation)]).await;
    page.expect(200);
    let start = format!("{PUBLIC_URL}/undo-email-change?token=");
    eventually("the notice", PATIENCE, async || {
        let mut links = app.mails_to(ADA).await.into_iter().filter_map(|mail| mail.link);
        links.find_map(|link| link.strip_prefix(&start).map(str::to_owned))
    })
    .await
}

async fn set_new_password(app: &TestApp, address: &str, password: &str) {
    app.anonymous().forgot(address).await.expect(200);
    let start = format!("{PUBLIC_URL}/reset-password?token=");
    let token = eventually("the recovery mail", PATIENCE, async || {
        app.inside().deliveries.wake();
        let mut links = app.mails_to(address).await.into_iter().filter_map(|mail| mail.link);
        links.next_back().and_then(|link| link.strip_prefix(&start).map(str::to_owned))
    })
    .await;
    let answer = app.anonymous().reset(&token, password).await.expect(200);
    assert_eq!(answer.json(), json!({ "status": "ok" }), "a reset opens no session");
}

async fn set_state(app: &TestApp, person: &Person, state: UserState) {
    let inside = app.inside();
    let (origin, now) = (RequestOrigin::none(), app.clock.now());
    let cx = ChangeContext { db: &inside.db, chain: &inside.audit, origin, now };
    let who: Who = person.email.parse().expect("an address");
    operator::set_state(&cx, &who, state).await.expect("changed");
}

both!(the_undo_removes_the_factors_ends_the_sessions_and_voids_the_password, async |app| {
    let mut thief = app.verified(ADA).await;
    let authenticator = add(app, &mut thief).await;
    let token = undo_token(app, ADA, 1).await;
    assert_eq!(factors(app).await, (1, 10));
    let waiting = challenge(&app.anonymous(), ADA, &thief.password).await;
    app.clock.advance(Duration::from_mins(7 * 24 * 60 - 5));
    thief.refresh().await.expect(200);
    // A GET changes nothing, because mail scanners follow links.
    for (language, text) in [("en", "Remove the factor"), ("de-AT, en;q=0.5", "Faktor entfernen")] {
        let client = app.anonymous().header("accept-language", language);
        let html = client.get(&format!("/undo-factor?token={token}")).await.expect(200).text();
        assert!(html.contains(text) && html.contains("<form"), "{html}");
        assert!(!html.contains(ADA) && !html.contains("userToken"), "{html}");
    }
    thief.me().await.expect(200);
    undo(&app.anonymous(), &token).await.expect(200);

    assert_eq!(factors(app).await, (0, 0));
    thief.me().await.expect_problem(401, "invalid-token");
    thief.as_user().get("/api/refresh").await.expect(401);
    let code = authenticator.next_code(app);
    let late = login_factor(&app.anonymous(), &waiting, &code).await;
    late.expect_problem(401, "challenge-invalid");
    app.anonymous().login(ADA, &thief.password).await.expect_problem(401, "invalid-credentials");
    undo(&app.anonymous(), &token).await.expect(400);
    let page = app.anonymous().get(&format!("/undo-factor?token={token}")).await;
    assert!(page.expect(400).text().contains("does not work any more"));
    let recorded = actions(app).await;
    assert_eq!(recorded.iter().filter(|it| *it == "factor.undone").count(), 1, "{recorded:?}");
    let removed = "A second factor was removed";
    eventually("the notice", PATIENCE, async || {
        let mails = app.mails_to(ADA).await;
        mails.iter().any(|mail| mail.subject.contains(removed)).then_some(())
    })
    .await;

    set_new_password(app, ADA, NEW_PASSWORD).await;
    app.anonymous().login(ADA, NEW_PASSWORD).await.expect(200);
});

both!(the_undo_works_once_at_the_same_time, async |app| {
    let mut person = app.verified(ADA).await;
    add(app, &mut person).await;
    let token = undo_token(app, ADA, 1).await;
    let answers = at_once(8, async |_| undo(&app.anonymous(), &token).await).await;
    assert_eq!((count(&answers, 200), count(&answers, 400)), (1, 7), "{answers:#?}");
});

both!(the_undo_ends_after_seven_days, async |app| {
    let mut person = app.verified(ADA).await;
    add(app, &mut person).await;
    let token = undo_token(app, ADA, 1).await;
    app.clock.advance(7 * DAY + Duration::from_mins(1));
    undo(&app.anonymous(), &token).await.expect(400);
    undo(&app.anonymous(), "").await.expect(400);
    assert_eq!(factors(app).await, (1, 10));
});

// An attacker with the password adds a factor, moves the account to another address, and adds the
// factor again. The attacker's own link must not work after the owner's.
both!(the_undo_works_after_a_change_of_address, async |app| {
    let mut thief = app.verified(ADA).await;
    let authenticator = add(app, &mut thief).await;
    let token = undo_token(app, ADA, 1).await;
    change_address(app, &thief, NEW).await;
    app.clock.advance(Duration::from_mins(1));
    let listed = thief.as_user().get("/api/me/factors").await.expect(200).json();
    let path = format!("/api/me/factors/{}", listed["items"][0]["id"].as_str().expect("an id"));
    let body = json!({ "method": "totp", "code": authenticator.next_code(app) });
    thief.keep(thief.as_user().post_json("/api/step-up", body).await.tokens());
    thief.as_user().delete(&path).await.expect(204);
    NEW.clone_into(&mut thief.email);
    add(app, &mut thief).await;
    let of_thief = undo_token(app, NEW, 1).await;

    undo(&app.anonymous(), &token).await.expect(200);
    assert_eq!(factors(app).await, (0, 0));
    thief.me().await.expect(401);
    app.anonymous().login(NEW, &thief.password).await.expect(401);
    undo(&app.anonymous(), &of_thief).await.expect(400);
});

both!(the_undo_of_a_change_of_address_removes_the_factors_added_since, async |app| {
    let mut thief = app.verified(ADA).await;
    let token = change_address(app, &thief, NEW).await;
    NEW.clone_into(&mut thief.email);
    app.clock.advance(Duration::from_mins(1));
    add(app, &mut thief).await;
    app.anonymous().post_form("/undo-email-change", &[("token", &token)]).await.expect(200);
    assert_eq!(factors(app).await, (0, 0));
    thief.me().await.expect(401);
    app.anonymous().login(ADA, &thief.password).await.expect(200);
    assert!(actions(app).await.contains(&"factor.undone".to_owned()));
});

both!(the_undo_of_a_change_of_address_keeps_the_factors_added_before, async |app| {
    let mut person = app.verified(ADA).await;
    let authenticator = add(app, &mut person).await;
    app.clock.advance(Duration::from_mins(1));
    let token = change_address(app, &person, NEW).await;
    app.anonymous().post_form("/undo-email-change", &[("token", &token)]).await.expect(200);
    assert_eq!(factors(app).await, (1, 10));
    let challenge = challenge(&app.anonymous(), ADA, &person.password).await;
    let code = authenticator.next_code(app);
    login_factor(&app.anonymous(), &challenge, &code).await.expect(200);
    assert!(!actions(app).await.contains(&"factor.undone".to_owned()));
});

/// Logs in with a factor on a device that is trusted from then on. Returns the device's client.
async fn trusted_device(app: &TestApp, person: &Person, authenticator: &Authenticator) -> Client {
    let challenge = challenge(&app.anonymous(), ADA, &person.password).await;
    let code = authenticator.next_code(app);
    let body = json!({
        "challenge": challenge, "method": "totp", "code": code, "trustDevice": true,
    });
    let answer = app.anonymous().post_json("/api/login/factor", body).await.expect(200);
    let device = app.anonymous().header(DEVICE, answer.header(DEVICE).expect("a device"));
    let body = json!({ "email": ADA, "password": person.password });
    device.post_json("/api/login", body).await.expect(200);
    device
}

both!(a_reset_keeps_the_factors_and_ends_challenges_and_trust, async |app| {
    let mut person = app.verified(ADA).await;
    let authenticator = add(app, &mut person).await;
    let device = trusted_device(app, &person, &authenticator).await;
    let waiting = challenge(&app.anonymous(), ADA, &person.password).await;
    set_new_password(app, ADA, NEW_PASSWORD).await;
    assert_eq!(factors(app).await, (1, 10));
    let late = login_factor(&app.anonymous(), &waiting, &authenticator.next_code(app)).await;
    late.expect_problem(401, "challenge-invalid");
    let asked = challenge(&device, ADA, NEW_PASSWORD).await;
    login_factor(&device, &asked, &authenticator.next_code(app)).await.expect(200);
});

both!(a_change_of_the_password_ends_challenges_and_trust, async |app| {
    let mut person = app.verified(ADA).await;
    let authenticator = add(app, &mut person).await;
    let device = trusted_device(app, &person, &authenticator).await;
    let waiting = challenge(&app.anonymous(), ADA, &person.password).await;
    person.change_password(NEW_PASSWORD).await.expect(200);
    let late = login_factor(&app.anonymous(), &waiting, &authenticator.next_code(app)).await;
    late.expect_problem(401, "challenge-invalid");
    challenge(&device, ADA, NEW_PASSWORD).await;
    assert_eq!(factors(app).await, (1, 10));
});

both!(a_disabled_account_loses_its_challenges_and_its_trust_for_good, async |app| {
    let mut person = app.verified(ADA).await;
    let authenticator = add(app, &mut person).await;
    let device = trusted_device(app, &person, &authenticator).await;
    let waiting = challenge(&app.anonymous(), ADA, &person.password).await;
    set_state(app, &person, UserState::Disabled).await;
    let code = authenticator.next_code(app);
    for state in [UserState::Disabled, UserState::Active] {
        set_state(app, &person, state).await;
        let late = login_factor(&app.anonymous(), &waiting, &code).await;
        late.expect_problem(401, "challenge-invalid");
    }
    challenge(&device, ADA, &person.password).await;
});

both!(a_deleted_account_leaves_nothing_of_its_factors, async |app| {
    let mut person = app.verified(ADA).await;
    let authenticator = add(app, &mut person).await;
    let token = undo_token(app, ADA, 1).await;
    let waiting = challenge(&app.anonymous(), ADA, &person.password).await;
    let path = "/api/me/factors/totp";
    person.as_user().post_json(path, json!({ "name": "Other" })).await.expect(201);
    person.leave().await.expect(204);
    assert_eq!(factors(app).await, (0, 0));
    let late = login_factor(&app.anonymous(), &waiting, &authenticator.next_code(app)).await;
    late.expect_problem(401, "challenge-invalid");
    undo(&app.anonymous(), &token).await.expect(400);
});

both!(a_new_password_forgets_the_wrong_codes, ["rate_limit.enabled" = "true"], async |app| {
    let mut person = app.verified(ADA).await;
    let authenticator = add(app, &mut person).await;
    app.clock.advance(Duration::from_mins(1));
    for _ in 0..2 {
        let challenge = challenge(&app.anonymous(), ADA, &person.password).await;
        for _ in 0..5 {
            login_factor(&app.anonymous(), &challenge, "no code").await.expect(401);
        }
    }
    let waiting = challenge(&app.anonymous(), ADA, &person.password).await;
    let code = authenticator.code_at(app.clock.now());
    let limited = login_factor(&app.anonymous(), &waiting, &code).await;
    limited.expect_problem(429, "rate-limited");
    set_new_password(app, ADA, NEW_PASSWORD).await;
    let challenge = challenge(&app.anonymous(), ADA, NEW_PASSWORD).await;
    login_factor(&app.anonymous(), &challenge, &code).await.expect(200);
});

both!(a_first_factor_is_forgotten_when_its_link_cannot_be_used_any_more, async |mut app| {
    let mut person = app.verified(ADA).await;
    add(app, &mut person).await;
    undo_token(app, ADA, 1).await;
    assert!(!id_of(&person).is_empty());
    let db = app.inside().db.clone();
    app.clock.advance(8 * DAY + Duration::from_mins(1));
    assert_eq!(sweep_first_factors(&db, app.clock.now()).await.expect("swept"), 0);
    app.clock.advance(Duration::from_mins(2));
    drop(db);
    // A daemon deletes such rows at its start.
    app.restart().await;
    eventually("the sweep", PATIENCE, async || {
        let rows = first_factor::Entity::find().count(app.inside().db.reader()).await;
        (rows.expect("counted") == 0).then_some(())
    })
    .await;
    assert_eq!(factors(app).await, (1, 10));
});
