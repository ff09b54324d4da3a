//! Tests of the end of a challenge: success, five wrong proofs, 5 minutes, and a change of the
//! account.

use std::time::Duration;

use serde_json::json;

use super::callers::{Enrolled, enrolled, is_wrong, other_code, problem_of, prove};
use crate::app::{TestApp, both};
use crate::ask::sql;
use crate::client::Answer;

const ADA: &str = "ada@example.org";

#[track_caller]
fn has_ended(answer: Answer) {
    assert_eq!(answer.header("www-authenticate"), Some("Bearer realm=\"latchkey\""));
    answer.expect_problem(401, "challenge-invalid");
}

/// Sends the right code for this challenge.
async fn right(app: &TestApp, user: &Enrolled, challenge: &str) -> Answer {
    app.anonymous().prove_totp(challenge, &user.authenticator.next(app)).await
}

both!(a_challenge_ends_with_success, async |app| {
    let user = enrolled(app, ADA).await;
    let challenge = app.anonymous().challenge(&user.person).await;
    let other = app.anonymous().challenge(&user.person).await;
    right(app, &user, &challenge).await.expect(200);
    has_ended(right(app, &user, &challenge).await);
    // Each login has its own challenge.
    right(app, &user, &other).await.expect(200);
});

both!(a_challenge_ends_with_the_fifth_wrong_proof, async |app| {
    let user = enrolled(app, ADA).await;
    let client = app.anonymous();
    let challenge = client.challenge(&user.person).await;
    let wrong = user.authenticator.wrong(app);
    let recovery = other_code(&user.recovery_codes);
    // Everything that is wrong gets the same response.
    let first = client.prove_totp(&challenge, &wrong).await;
    is_wrong(first.clone());
    for (method, code) in
        [("recovery-code", recovery.as_str()), ("totp", ""), ("recovery-code", &wrong)]
    {
        let answer = prove(&client, &challenge, method, code).await;
        assert_eq!(problem_of(&answer), problem_of(&first), "{method} {code}");
    }
    let fifth = client.prove_totp(&challenge, "1234567").await;
    assert_eq!(problem_of(&fifth), problem_of(&first));
    has_ended(right(app, &user, &challenge).await);
    has_ended(client.prove_recovery(&challenge, &user.recovery_codes[0]).await);
    // The challenge ended before the recovery code was checked, so the code is still good.
    let challenge = client.challenge(&user.person).await;
    for _ in 0..4 {
        is_wrong(client.prove_totp(&challenge, &wrong).await);
    }
    client.prove_recovery(&challenge, &user.recovery_codes[0]).await.expect(200);
});

both!(a_method_that_the_account_lacks_is_a_wrong_proof, async |app| {
    let user = enrolled(app, ADA).await;
    sql(app, "DELETE FROM recovery_codes").await;
    let client = app.anonymous();
    let challenge = client.challenge(&user.person).await;
    let wrong = client.prove_totp(&challenge, &user.authenticator.wrong(app)).await;
    for _ in 0..4 {
        let answer = client.prove_recovery(&challenge, &user.recovery_codes[0]).await;
        assert_eq!(problem_of(&answer), problem_of(&wrong));
        answer.expect_problem(401, "invalid-credentials");
    }
    has_ended(right(app, &user, &challenge).await);
});

both!(a_challenge_ends_after_five_minutes, async |app| {
    let user = enrolled(app, ADA).await;
    let first = app.anonymous().challenge(&user.person).await;
    let second = app.anonymous().challenge(&user.person).await;
    app.clock.advance(Duration::from_secs(299));
    let code = user.authenticator.code_at(app, 0);
    app.anonymous().prove_totp(&first, &code).await.expect(200);
    app.clock.advance(Duration::from_secs(1));
    has_ended(app.anonymous().prove_totp(&second, &user.authenticator.code_at(app, 1)).await);
});

both!(a_challenge_ends_with_a_change_of_the_password, async |app| {
    let user = enrolled(app, ADA).await;
    let mut person = user.person.clone();
    let challenge = app.anonymous().challenge(&person).await;
    person.change_password("a quite new password").await.expect(200);
    has_ended(right(app, &user, &challenge).await);
    app.mail_to(ADA).await;
    let challenge = app.anonymous().challenge(&person).await;
    app.anonymous().forgot(ADA).await.expect(200);
    let mail = app.mail_to(ADA).await;
    app.anonymous().reset(mail.token(), "yet another password").await.expect(200);
    has_ended(right(app, &user, &challenge).await);
    // A reset needs no factor and changes none.
    "yet another password".clone_into(&mut person.password);
    let challenge = app.anonymous().challenge(&person).await;
    right(app, &user, &challenge).await.expect(200);
});

both!(a_challenge_ends_with_a_change_of_the_factors, async |app| {
    let user = enrolled(app, ADA).await;
    let mut person = user.person.clone();
    let challenge = app.anonymous().challenge(&person).await;
    let (id, new) = person.begin_totp("New phone").await;
    person.confirm(&id, &new.next(app)).await.expect(200);
    has_ended(app.anonymous().prove_totp(&challenge, &new.next(app)).await);
    has_ended(app.anonymous().prove_recovery(&challenge, &user.recovery_codes[0]).await);
    let challenge = app.anonymous().challenge(&person).await;
    person.remove_factor(&id).await.expect(204);
    has_ended(app.anonymous().prove_totp(&challenge, &new.next(app)).await);
});

both!(a_new_name_and_new_recovery_codes_end_no_challenge, async |app| {
    let user = enrolled(app, ADA).await;
    let challenge = app.anonymous().challenge(&user.person).await;
    user.person.rename_factor(&user.id, "Blue phone").await.expect(200);
    user.person.new_recovery_codes().await.expect(200);
    right(app, &user, &challenge).await.expect(200);
});

both!(a_challenge_ends_with_the_account, async |app| {
    let user = enrolled(app, ADA).await;
    let other = enrolled(app, "bob@example.org").await;
    let disabled = app.anonymous().challenge(&user.person).await;
    let deleted = app.anonymous().challenge(&other.person).await;
    sql(app, "UPDATE users SET status = 'disabled' WHERE email_normal = 'ada@example.org'").await;
    has_ended(right(app, &user, &disabled).await);
    other.person.as_user().delete("/api/me").await.expect(204);
    has_ended(right(app, &other, &deleted).await);
});

both!(an_unknown_challenge_says_no_more_than_an_ended_one, async |app| {
    let user = enrolled(app, ADA).await;
    let challenge = app.anonymous().challenge(&user.person).await;
    right(app, &user, &challenge).await.expect(200);
    let ended = right(app, &user, &challenge).await;
    let body = json!({ "challenge": "unknown", "method": "totp", "code": "123456" });
    let unknown = app.anonymous().post_json("/api/login/factor", body).await;
    assert_eq!(problem_of(&ended), problem_of(&unknown));
    assert_eq!(crate::ask::alike(&ended), crate::ask::alike(&unknown));
});

both!(a_challenge_outlives_a_restart_and_is_known_to_each_daemon, async |app| {
    let user = enrolled(app, ADA).await;
    let challenge = app.anonymous().challenge(&user.person).await;
    let other = app.replica().await;
    let code = user.authenticator.next(app);
    other.anonymous().prove_totp(&challenge, &code).await.expect(200);
    has_ended(app.anonymous().prove_totp(&challenge, &user.authenticator.next(app)).await);
    other.finish().await;
});
