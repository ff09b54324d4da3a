//! Tests of trusted devices, on which a login needs no second factor for some time.

use std::time::Duration;

use serde_json::json;

use super::callers::{Enrolled, challenge_of, enrolled, is_wrong, proof_is};
use crate::app::{TestApp, both};
use crate::client::{Answer, Client, Person};
use crate::limits_attempts::{DEVICE, login};

const ADA: &str = "ada@example.org";
const DAY: Duration = Duration::from_hours(24);

/// Completes a login with a code, and trusts the device. Returns the token of the device.
pub(super) async fn trust(app: &TestApp, client: &Client, user: &Enrolled) -> String {
    let challenge = challenge_of(client, &user.person).await;
    let code = user.authenticator.next(app);
    let body =
        json!({ "challenge": challenge, "method": "totp", "code": code, "trustDevice": true });
    device_of(&client.post_json("/api/login/factor", body).await.expect(200))
}

fn device_of(answer: &Answer) -> String {
    answer.header(DEVICE).expect("a device").to_owned()
}

async fn log_in(app: &TestApp, person: &Person, device: &str) -> Answer {
    login(&app.anonymous().header(DEVICE, device), &person.email, &person.password).await
}

#[track_caller]
fn needs_a_code(answer: Answer) {
    assert_eq!(answer.header(DEVICE), None);
    answer.expect_problem(401, "factor-required");
}

both!(a_trusted_device_needs_no_code_for_thirty_days_from_the_proof, async |app| {
    let user = enrolled(app, ADA).await;
    let mut device = trust(app, &app.anonymous(), &user).await;
    let mut person = user.person.clone();
    for _ in 0..3 {
        // The use of the device renews nothing, whichever of its tokens the client sends.
        app.clock.advance(9 * DAY);
        let answer = log_in(app, &person, &device).await.expect(200);
        device = device_of(&answer);
        person.keep(answer.tokens());
        assert_eq!(person.proof(), proof_is("aal1", "pwd"));
    }
    app.clock.advance(2 * DAY + Duration::from_secs(86_399));
    log_in(app, &person, &device).await.expect(200);
    app.clock.advance(Duration::from_secs(1));
    needs_a_code(log_in(app, &person, &device).await);
    // Another device needs a code at any time.
    needs_a_code(app.anonymous().login(ADA, &person.password).await);
});

both!(
    the_trust_lasts_as_long_as_the_setting_says,
    ["factors.trust_device_ttl" = "1h"],
    async |app| {
        let user = enrolled(app, ADA).await;
        let device = trust(app, &app.anonymous(), &user).await;
        app.clock.advance(Duration::from_secs(3_599));
        log_in(app, &user.person, &device).await.expect(200);
        app.clock.advance(Duration::from_secs(1));
        needs_a_code(log_in(app, &user.person, &device).await);
    }
);

both!(with_a_ttl_of_zero_no_device_is_trusted, ["factors.trust_device_ttl" = "0s"], async |app| {
    let user = enrolled(app, ADA).await;
    let device = trust(app, &app.anonymous(), &user).await;
    needs_a_code(log_in(app, &user.person, &device).await);
});

both!(without_the_wish_a_device_is_known_and_not_trusted, async |app| {
    let user = enrolled(app, ADA).await;
    for wish in [json!(false), json!(null)] {
        let challenge = app.anonymous().challenge(&user.person).await;
        let code = user.authenticator.next(app);
        let body =
            json!({ "challenge": challenge, "method": "totp", "code": code, "trustDevice": wish });
        let answer = app.anonymous().post_json("/api/login/factor", body).await.expect(200);
        needs_a_code(log_in(app, &user.person, &device_of(&answer)).await);
    }
    // A device that the first step did not show is not known in the second step.
    let challenge = app.anonymous().challenge(&user.person).await;
    let trusted = trust(app, &app.anonymous(), &user).await;
    let client = app.anonymous().header(DEVICE, &trusted);
    let code = user.authenticator.next(app);
    let body = json!({ "challenge": challenge, "method": "totp", "code": code });
    let answer = client.post_json("/api/login/factor", body).await.expect(200);
    assert_ne!(device_of(&answer)[..20], trusted[..20]);
    needs_a_code(log_in(app, &user.person, &device_of(&answer)).await);
});

both!(a_recovery_code_trusts_no_device, async |app| {
    let user = enrolled(app, ADA).await;
    let challenge = app.anonymous().challenge(&user.person).await;
    let code = &user.recovery_codes[0];
    let body = json!({ "challenge": challenge, "method": "recovery-code", "code": code, "trustDevice": true });
    let answer = app.anonymous().post_json("/api/login/factor", body).await;
    assert_eq!(crate::ask::broken_rules(&answer)[0].0, "/trustDevice");
    // The code was not used up.
    let body = json!({ "challenge": challenge, "method": "recovery-code", "code": code, "trustDevice": false });
    let answer = app.anonymous().post_json("/api/login/factor", body).await.expect(200);
    needs_a_code(log_in(app, &user.person, &device_of(&answer)).await);
});

both!(the_trust_belongs_to_one_account, async |app| {
    let ada = enrolled(app, ADA).await;
    let bob = enrolled(app, "bob@example.org").await;
    let device = trust(app, &app.anonymous(), &ada).await;
    needs_a_code(log_in(app, &bob.person, &device).await);
    let mut forged = device.clone().into_bytes();
    forged[70] = if forged[70] == b'A' { b'B' } else { b'A' };
    let forged = String::from_utf8(forged).expect("ASCII");
    needs_a_code(log_in(app, &ada.person, &forged).await);
    log_in(app, &ada.person, &device).await.expect(200);
});

both!(a_change_of_the_password_ends_the_trust, async |app| {
    let user = enrolled(app, ADA).await;
    let device = trust(app, &app.anonymous(), &user).await;
    let mut person = user.person.clone();
    // The device that changes the password stays known, and it is no longer trusted.
    let body = json!({ "newPassword": "a quite new password" });
    let client = app.anonymous().header(DEVICE, &device).bearer(&person.user_token);
    let changed = client.post_json("/api/change-password", body).await.expect(200);
    person.keep(changed.tokens());
    "a quite new password".clone_into(&mut person.password);
    for token in [&device, &device_of(&changed)] {
        needs_a_code(log_in(app, &person, token).await);
    }
});

both!(a_reset_makes_a_device_known_and_not_trusted, async |app| {
    let user = enrolled(app, ADA).await;
    let device = trust(app, &app.anonymous(), &user).await;
    app.mail_to(ADA).await;
    let mut person = user.person.clone();
    app.anonymous().forgot(ADA).await.expect(200);
    let mail = app.mail_to(ADA).await;
    let body = json!({ "token": mail.token(), "newPassword": "a quite new password" });
    let client = app.anonymous().header(DEVICE, &device);
    let reset = client.post_json("/api/reset-password", body).await.expect(200);
    "a quite new password".clone_into(&mut person.password);
    for token in [&device, &device_of(&reset)] {
        needs_a_code(log_in(app, &person, token).await);
    }
});

both!(a_change_of_the_factors_ends_the_trust, async |app| {
    let user = enrolled(app, ADA).await;
    let device = trust(app, &app.anonymous(), &user).await;
    let mut person = user.person.clone();
    let (id, new) = person.begin_totp("New phone").await;
    person.confirm(&id, &new.next(app)).await.expect(200);
    needs_a_code(log_in(app, &person, &device).await);
    let user = Enrolled { authenticator: new, id, person, ..user };
    let device = trust(app, &app.anonymous(), &user).await;
    user.person.remove_factor(&user.id).await.expect(204);
    log_in(app, &user.person, &device).await.expect(200);
    // The trust does not come back with another factor.
    let mut person = user.person.clone();
    person.login().await.expect(200);
    let new = super::callers::enrol(app, person).await;
    needs_a_code(log_in(app, &new.person, &device).await);
});

both!(a_new_name_and_new_recovery_codes_end_no_trust, async |app| {
    let user = enrolled(app, ADA).await;
    let device = trust(app, &app.anonymous(), &user).await;
    user.person.rename_factor(&user.id, "Blue phone").await.expect(200);
    user.person.new_recovery_codes().await.expect(200);
    log_in(app, &user.person, &device).await.expect(200);
});

both!(the_end_of_the_other_sessions_ends_the_trust, async |app| {
    let user = enrolled(app, ADA).await;
    let device = trust(app, &app.anonymous(), &user).await;
    // The end of one session ends no trust.
    let answer = log_in(app, &user.person, &device).await.expect(200);
    let mut other = user.person.clone();
    other.keep(answer.tokens());
    other.logout().await.expect(204);
    let answer = log_in(app, &user.person, &device).await.expect(200);
    other.keep(answer.tokens());
    user.person.as_user().delete(&format!("/api/sessions/{}", other.sid)).await.expect(204);
    log_in(app, &user.person, &device).await.expect(200);
    user.person.as_user().delete("/api/sessions").await.expect(204);
    needs_a_code(log_in(app, &user.person, &device).await);
    // This also holds if there is no other session.
    let device = trust(app, &app.anonymous(), &user).await;
    user.person.as_user().delete("/api/sessions").await.expect(204);
    user.person.as_user().delete("/api/sessions").await.expect(204);
    needs_a_code(log_in(app, &user.person, &device).await);
});

both!(a_theft_ends_the_trust, async |app| {
    let user = enrolled(app, ADA).await;
    let device = trust(app, &app.anonymous(), &user).await;
    log_in(app, &user.person, &device).await.expect(200);
    let mut person = user.person.clone();
    let stolen = person.clone();
    person.refresh().await.expect(200);
    person.me().await.expect(200);
    app.clock.advance(Duration::from_secs(31));
    stolen.as_user().get("/api/refresh").await.expect_problem(401, "refresh-reused");
    needs_a_code(log_in(app, &person, &device).await);
});

both!(a_session_of_a_trusted_device_is_below_the_level_of_two_factors, async |app| {
    let user = enrolled(app, ADA).await;
    let device = trust(app, &app.anonymous(), &user).await;
    let mut person = user.person.clone();
    person.keep(log_in(app, &user.person, &device).await.tokens());
    person.new_recovery_codes().await.expect_problem(401, "step-up-required");
    person.step_up_password().await.expect(200);
    assert_eq!(person.proof(), proof_is("aal1", "pwd"));
    person.new_recovery_codes().await.expect_problem(401, "step-up-required");
    let wrong = user.authenticator.wrong(app);
    let answer = person.step_up_totp(&wrong).await;
    is_wrong(answer);
    person.step_up_totp(&user.authenticator.next(app)).await.expect(200);
    assert_eq!(person.proof(), proof_is("aal2", "pwd otp mfa"));
    person.new_recovery_codes().await.expect(200);
});
