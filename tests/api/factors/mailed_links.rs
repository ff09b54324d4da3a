//! Tests of mailed links of accounts with a second factor. A mailed link is no factor.

use serde_json::json;

use super::callers::{enrolled, is_wrong, proof_is, prove};
use crate::app::both;
use crate::client::{Person, claims};
use crate::limits_attempts::DEVICE;

const OLD: &str = "ada@example.org";
const NEW: &str = "countess@example.com";

/// Requests a change of the address, and returns the token that was mailed to the new address.
async fn link_to_new(app: &crate::app::TestApp, person: &Person) -> String {
    let body = json!({ "email": NEW });
    person.as_user().post_json("/api/change-email", body).await.expect(200);
    app.mail_to(NEW).await.token().to_owned()
}

both!(a_confirmed_address_opens_no_session_before_the_second_factor, async |app| {
    let user = enrolled(app, OLD).await;
    let mut person = user.person.clone();
    let token = link_to_new(app, &person).await;
    let answer = app.anonymous().verify(&token).await;
    assert_eq!(answer.header(DEVICE), None);
    assert_eq!(answer.header("www-authenticate"), Some("Bearer realm=\"latchkey\""));
    let problem = answer.expect_problem(401, "factor-required").json();
    assert_eq!(problem["methods"], json!(["totp", "recovery-code"]));
    // The link has confirmed the address, and it is used.
    assert_eq!(person.me().await.expect(200).json()["email"], NEW);
    app.anonymous().verify(&token).await.expect_problem(409, "already-verified");
    let sessions = person.sessions().await.expect(200).json();
    assert_eq!(sessions["items"].as_array().map(Vec::len), Some(1));
    let challenge = problem["challenge"].as_str().expect("a challenge");
    let client = app.anonymous();
    is_wrong(prove(&client, challenge, "totp", &user.authenticator.wrong(app)).await);
    let answer = prove(&client, challenge, "totp", &user.authenticator.next(app)).await;
    // The code is the only factor of this session.
    person.keep(answer.expect(200).tokens());
    assert_eq!(person.proof(), proof_is("aal1", "email otp"));
    assert_eq!(claims(&person.user_token)["email"], NEW);
    // A further code is the same factor. Only the password raises the session.
    person.new_recovery_codes().await.expect_problem(401, "step-up-required");
    person.step_up_totp(&user.authenticator.next(app)).await.expect(200);
    assert_eq!(person.proof(), proof_is("aal1", "email otp"));
    let code = &user.recovery_codes[0];
    person.step_up(json!({ "method": "recovery-code", "code": code })).await.expect(200);
    assert_eq!(person.proof(), proof_is("aal1", "email rc"));
    person.new_recovery_codes().await.expect_problem(401, "step-up-required");
    person.step_up_password().await.expect(200);
    assert_eq!(person.proof(), proof_is("aal1", "pwd"));
    person.new_recovery_codes().await.expect_problem(401, "step-up-required");
    person.step_up_totp(&user.authenticator.next(app)).await.expect(200);
    assert_eq!(person.proof(), proof_is("aal2", "pwd otp mfa"));
    person.new_recovery_codes().await.expect(200);
});

both!(a_mailed_link_and_a_recovery_code_are_one_factor, async |app| {
    let user = enrolled(app, OLD).await;
    let token = link_to_new(app, &user.person).await;
    let problem = app.anonymous().verify(&token).await.expect_problem(401, "factor-required");
    let problem = problem.json();
    let challenge = problem["challenge"].as_str().expect("a challenge");
    let answer = app.anonymous().prove_recovery(challenge, &user.recovery_codes[0]).await;
    let mut person = user.person.clone();
    person.keep(answer.expect(200).tokens());
    assert_eq!(person.proof(), proof_is("aal1", "email rc"));
});

both!(a_trusted_device_needs_a_code_after_a_mailed_link, async |app| {
    let user = enrolled(app, OLD).await;
    let challenge = app.anonymous().challenge(&user.person).await;
    let code = user.authenticator.next(app);
    let body =
        json!({ "challenge": challenge, "method": "totp", "code": code, "trustDevice": true });
    let answer = app.anonymous().post_json("/api/login/factor", body).await.expect(200);
    let device = answer.header(DEVICE).expect("a device").to_owned();
    let token = link_to_new(app, &user.person).await;
    let client = app.anonymous().header(DEVICE, &device);
    let answer = client.get(&format!("/api/verify-email/{token}")).await;
    answer.expect_problem(401, "factor-required");
});

both!(a_reset_opens_no_session_and_needs_no_factor, async |app| {
    let user = enrolled(app, OLD).await;
    app.anonymous().forgot(OLD).await.expect(200);
    let mail = app.mail_to(OLD).await;
    let reset = app.anonymous().reset(mail.token(), "a quite new password").await.expect(200);
    assert_eq!(reset.json(), json!({ "status": "ok" }));
    user.person.me().await.expect_problem(401, "invalid-token");
    // The factor is still in force.
    let login = app.anonymous().login(OLD, "a quite new password").await;
    login.expect_problem(401, "factor-required");
});

both!(a_session_by_mail_needs_the_password_for_the_first_factor, async |app| {
    let mut person = app.verified(OLD).await;
    assert_eq!(person.proof(), proof_is("aal1", "email"));
    let refused = person.add_totp("Phone").await;
    let header =
        "Bearer error=\"insufficient_user_authentication\", acr_values=\"aal1\", max_age=\"900\"";
    assert_eq!(refused.header("www-authenticate"), Some(header));
    let problem = refused.expect_problem(401, "step-up-required").json();
    assert_eq!(problem["acrValues"], json!(["aal1"]));
    assert_eq!(problem["maxAge"], 900);
    assert_eq!(problem["methods"], json!(["password"]));
    person.step_up_password().await.expect(200);
    assert_eq!(person.proof(), proof_is("aal1", "pwd"));
    let (id, authenticator) = person.begin_totp("Phone").await;
    person.confirm(&id, &authenticator.next(app)).await.expect(200);
    assert_eq!(person.proof(), proof_is("aal2", "pwd otp mfa"));
});
