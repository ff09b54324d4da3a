//! Tests that a code of an authenticator app works once, near its time.

use std::time::Duration;

use super::callers::{enrol, enrolled, is_wrong};
use crate::app::both;
use crate::ask::{at_once, count};
use crate::client::Answer;

const ADA: &str = "ada@example.org";

/// Checks that one of these logins succeeded, and that every other one had a wrong code or an ended
/// challenge. If a busy machine has lost responses, perhaps none succeeded.
#[track_caller]
fn one_at_most_succeeds(answers: &[Answer]) {
    let (good, lost) = (count(answers, 200), count(answers, 503));
    assert_eq!(good + lost + count(answers, 401), answers.len(), "{answers:#?}");
    assert!(good == 1 || (good == 0 && lost > 0), "{good} succeeded, {lost} were lost");
}

both!(a_code_works_once, async |app| {
    let user = enrolled(app, ADA).await;
    let code = user.authenticator.next(app);
    let challenge = app.anonymous().challenge(&user.person).await;
    app.anonymous().prove_totp(&challenge, &code).await.expect(200);
    let challenge = app.anonymous().challenge(&user.person).await;
    is_wrong(app.anonymous().prove_totp(&challenge, &code).await);
    let mut person = user.person.clone();
    person.step_up_totp(&code).await.expect_problem(401, "invalid-credentials");
    // A code of a step-up works for no login.
    let code = user.authenticator.next(app);
    person.step_up_totp(&code).await.expect(200);
    is_wrong(app.anonymous().prove_totp(&challenge, &code).await);
});

both!(the_code_that_confirmed_the_app_is_used, async |app| {
    let mut person = app.verified(ADA).await;
    person.login().await.expect(200);
    let user = enrol(app, person).await;
    let code = user.authenticator.code_at(app, 0);
    let challenge = app.anonymous().challenge(&user.person).await;
    is_wrong(app.anonymous().prove_totp(&challenge, &code).await);
    user.person.clone().step_up_totp(&code).await.expect_problem(401, "invalid-credentials");
    // The code of the step before the used one does not work either.
    is_wrong(app.anonymous().prove_totp(&challenge, &user.authenticator.code_at(app, -1)).await);
    app.anonymous().prove_totp(&challenge, &user.authenticator.code_at(app, 1)).await.expect(200);
});

both!(one_step_before_and_one_step_after_are_accepted, async |app| {
    let user = enrolled(app, ADA).await;
    for (steps, is_accepted) in [(-2, false), (-1, true), (0, true), (1, true), (2, false)] {
        // Each turn begins five steps later, so that no earlier step is in the way.
        app.clock.advance(Duration::from_secs(150));
        let code = user.authenticator.code_at(app, steps);
        let near: Vec<String> = (-1..=1).map(|it| user.authenticator.code_at(app, it)).collect();
        let challenge = app.anonymous().challenge(&user.person).await;
        let answer = app.anonymous().prove_totp(&challenge, &code).await;
        if is_accepted {
            answer.expect(200);
        } else if !near.contains(&code) {
            is_wrong(answer);
        }
    }
    // After the code of the next step, the code of the current step is too old.
    app.clock.advance(Duration::from_secs(150));
    let challenge = app.anonymous().challenge(&user.person).await;
    app.anonymous().prove_totp(&challenge, &user.authenticator.code_at(app, 1)).await.expect(200);
    let challenge = app.anonymous().challenge(&user.person).await;
    for steps in [0, -1, 1] {
        let code = user.authenticator.code_at(app, steps);
        is_wrong(app.anonymous().prove_totp(&challenge, &code).await);
    }
});

both!(of_64_parallel_logins_with_one_code_on_two_daemons_one_succeeds, async |app| {
    let user = enrolled(app, ADA).await;
    let other = app.replica().await;
    // Each login has its own challenge.
    let mut challenges = Vec::new();
    for _ in 0..64 {
        challenges.push(app.anonymous().challenge(&user.person).await);
    }
    let code = user.authenticator.next(app);
    let answers = at_once(64, async |number: usize| {
        let daemon = if number.is_multiple_of(2) { app.anonymous() } else { other.anonymous() };
        daemon.prove_totp(&challenges[number], &code).await
    })
    .await;
    one_at_most_succeeds(&answers);
    let sessions = user.person.sessions().await.expect(200).json();
    let opened = sessions["items"].as_array().map_or(0, Vec::len);
    assert!(opened <= 2, "{opened} sessions");
    other.finish().await;
});

both!(of_64_parallel_proofs_of_one_challenge_on_two_daemons_one_succeeds, async |app| {
    let user = enrolled(app, ADA).await;
    let other = app.replica().await;
    let challenge = app.anonymous().challenge(&user.person).await;
    let code = user.authenticator.next(app);
    let answers = at_once(64, async |number: usize| {
        let daemon = if number.is_multiple_of(2) { app.anonymous() } else { other.anonymous() };
        daemon.prove_totp(&challenge, &code).await
    })
    .await;
    one_at_most_succeeds(&answers);
    let wrong = answers.iter().filter(|it| it.status == 401);
    let wrong = wrong.filter(|it| it.problem_code() == "invalid-credentials").count();
    assert!(wrong <= 4, "a challenge has five proofs, and {wrong} more were checked");
    other.finish().await;
});

both!(of_parallel_wrong_proofs_of_one_challenge_five_are_checked, async |app| {
    let user = enrolled(app, ADA).await;
    let other = app.replica().await;
    let challenge = app.anonymous().challenge(&user.person).await;
    let wrong = user.authenticator.wrong(app);
    let answers = at_once(32, async |number: usize| {
        let daemon = if number.is_multiple_of(2) { app.anonymous() } else { other.anonymous() };
        daemon.prove_totp(&challenge, &wrong).await
    })
    .await;
    let lost = count(&answers, 503);
    let checked = answers.iter().filter(|it| it.status == 401);
    let checked = checked.filter(|it| it.problem_code() == "invalid-credentials").count();
    assert!(checked == 5 || (checked < 5 && lost > 0), "{checked} checked, {lost} lost");
    let late = app.anonymous().prove_totp(&challenge, &user.authenticator.next(app)).await;
    late.expect_problem(401, "challenge-invalid");
    other.finish().await;
});

both!(of_64_parallel_step_ups_with_one_code_one_succeeds, async |app| {
    let user = enrolled(app, ADA).await;
    let other = app.replica().await;
    let code = user.authenticator.next(app);
    let body = serde_json::json!({ "method": "totp", "code": code });
    let answers = at_once(64, async |number: usize| {
        let daemon = if number.is_multiple_of(2) { app.anonymous() } else { other.anonymous() };
        let client = daemon.bearer(&user.person.user_token);
        client.post_json("/api/step-up", body.clone()).await
    })
    .await;
    one_at_most_succeeds(&answers);
    user.person.me().await.expect(200);
    other.finish().await;
});
