//! Tests of `POST /api/change-email`, and of the confirmation, the refusal and the undo of the
//! change.

use std::time::Duration;

use serde_json::json;

use crate::app::{PUBLIC_URL, TestApp, both};
use crate::ask::{at_once, broken_rules, one_succeeds};
use crate::client::{Answer, Person, claims};
use crate::people::id_of;

const OLD: &str = "ada@example.org";
const NEW: &str = "Countess@example.com";

async fn ask(person: &Person, email: &str) -> Answer {
    let body = json!({ "password": person.password, "email": email });
    person.as_user().post_json("/api/change-email", body).await
}

both!(a_change_takes_effect_when_the_new_address_is_proven, async |app| {
    let mut person = app.verified(OLD).await;
    let answer = ask(&person, NEW).await.expect(200);
    assert_eq!(answer.json(), json!({ "status": "ok" }));
    let confirmation = app.mail_to(NEW).await;
    let link = format!("{PUBLIC_URL}/verify-email?token={}", confirmation.token());
    assert!(confirmation.text.lines().any(|line| line == link), "{}", confirmation.text);
    assert!(!confirmation.text.contains("Ada Lovelace"), "{}", confirmation.text);
    let notice = app.mail_to(OLD).await;
    assert!(notice.text.contains(NEW), "{}", notice.text);
    let link = format!("{PUBLIC_URL}/undo-email-change?token={}", notice.token());
    assert!(notice.text.lines().any(|line| line == link), "{}", notice.text);
    assert_eq!(person.me().await.json()["email"], OLD);
    app.anonymous().login(NEW, &person.password).await.expect(401);

    let tokens = app.anonymous().verify(confirmation.token()).await.tokens();
    assert_eq!(claims(&tokens.user)["email"], NEW);
    assert_eq!(person.me().await.expect(200).json()["email"], NEW);
    app.anonymous().login(OLD, &person.password).await.expect(401);
    NEW.clone_into(&mut person.email);
    person.login().await.expect(200);
    app.anonymous().verify(confirmation.token()).await.expect_problem(409, "already-verified");
    let teams = person.as_user().get("/api/teams").await.json();
    assert_eq!(teams["items"].as_array().map(Vec::len), Some(1));
    app.register(OLD).await;
});

both!(a_change_is_undone_by_the_old_address, async |app| {
    let person = app.verified(OLD).await;
    ask(&person, NEW).await.expect(200);
    let confirmation = app.mail_to(NEW).await.token().to_owned();
    let undo = app.mail_to(OLD).await.token().to_owned();
    let thief = app.anonymous().verify(&confirmation).await.tokens();
    app.clock.advance(Duration::from_hours(6 * 24));
    let undone = app.anonymous().post_form("/undo-email-change", &[("token", &undo)]).await;
    undone.expect(200);
    // The client that requested the change knew the password. Therefore the undo ends every
    // session.
    for token in [&thief.user, &person.user_token] {
        app.anonymous().bearer(token).get("/api/refresh").await.expect(401);
    }
    let tokens = app.anonymous().login(OLD, &person.password).await.tokens();
    assert_eq!(claims(&tokens.user)["email"], OLD);
    app.anonymous().login(NEW, &person.password).await.expect(401);
    app.anonymous().verify(&confirmation).await.expect_problem(400, "token-invalid");
});

// After a change of the email address, anyone can register the old address. This must not prevent
// the undo.
both!(an_undo_deletes_an_unverified_account_that_took_the_old_address, async |app| {
    let person = app.verified(OLD).await;
    ask(&person, NEW).await.expect(200);
    let confirmation = app.mail_to(NEW).await.token().to_owned();
    let undo = app.mail_to(OLD).await.token().to_owned();
    let thief = app.anonymous().verify(&confirmation).await.tokens();
    let stranger = app.anonymous();
    let squatter =
        stranger.register("ADA@example.org", "a squatter's password", "Eve").await.tokens();
    app.anonymous().post_form("/undo-email-change", &[("token", &undo)]).await.expect(200);
    for token in [&thief.user, &squatter.user] {
        app.anonymous().bearer(token).get("/api/me").await.expect(401);
    }
    let tokens = app.anonymous().login(OLD, &person.password).await.tokens();
    assert_eq!(claims(&tokens.user)["email"], OLD);
    app.anonymous().login(OLD, "a squatter's password").await.expect(401);
});

both!(an_undo_ends_the_sessions_when_a_verified_account_took_the_old_address, async |app| {
    let person = app.verified(OLD).await;
    ask(&person, NEW).await.expect(200);
    let confirmation = app.mail_to(NEW).await.token().to_owned();
    let undo = app.mail_to(OLD).await.token().to_owned();
    app.anonymous().verify(&confirmation).await.expect(200);
    let owner = app.verified(OLD).await;
    person.me().await.expect(200);
    let page = app.anonymous().post_form("/undo-email-change", &[("token", &undo)]).await;
    assert!(page.expect(200).text().contains("keeps its new email address"));
    person.me().await.expect(401);
    app.anonymous().post_form("/undo-email-change", &[("token", &undo)]).await.expect(400);
    owner.me().await.expect(200);
    app.anonymous().login(OLD, &owner.password).await.expect(200);
});

both!(a_change_is_undone_before_it_took_effect, async |app| {
    let person = app.verified(OLD).await;
    ask(&person, NEW).await.expect(200);
    let confirmation = app.mail_to(NEW).await.token().to_owned();
    let undo = app.mail_to(OLD).await.token().to_owned();
    app.anonymous().post_form("/undo-email-change", &[("token", &undo)]).await.expect(200);
    app.anonymous().verify(&confirmation).await.expect_problem(400, "token-invalid");
    app.anonymous().login(OLD, &person.password).await.expect(200);
});

both!(the_new_address_may_refuse, async |app| {
    let person = app.verified(OLD).await;
    ask(&person, NEW).await.expect(200);
    let confirmation = app.mail_to(NEW).await.token().to_owned();
    // After a refusal, latchkey does not send the notice to the old address. So the test waits for
    // the notice before it refuses.
    app.mail_to(OLD).await;
    let form = [("token", confirmation.as_str()), ("action", "reject")];
    app.anonymous().post_form("/verify-email", &form).await.expect(200);
    app.anonymous().verify(&confirmation).await.expect_problem(400, "token-invalid");
    let me = person.me().await.expect(200).json();
    assert_eq!(me["email"], OLD);
    assert_eq!(me["emailVerified"], true);
});

both!(a_newer_change_replaces_the_older, async |app| {
    let person = app.verified(OLD).await;
    ask(&person, "first@example.com").await.expect(200);
    let first = app.mail_to("first@example.com").await.token().to_owned();
    app.mail_to(OLD).await;
    ask(&person, "second@example.com").await.expect(200);
    let second = app.mail_to("second@example.com").await.token().to_owned();
    app.anonymous().verify(&first).await.expect_problem(400, "token-invalid");
    app.anonymous().verify(&second).await.expect(200);
    assert_eq!(person.me().await.json()["email"], "second@example.com");
    app.mail_to(OLD).await;
});

both!(a_taken_address_is_refused_when_asked_and_when_confirmed, async |app| {
    let person = app.verified(OLD).await;
    app.register("eve@example.org").await;
    ask(&person, "EVE@example.org").await.expect_problem(409, "email-taken");
    ask(&person, OLD).await.expect_problem(409, "email-taken");
    ask(&person, NEW).await.expect(200);
    let confirmation = app.mail_to(NEW).await.token().to_owned();
    let squatter = app.anonymous().register(NEW, "correct horse battery", "Eve").await;
    squatter.expect(200);
    app.anonymous().verify(&confirmation).await.expect_problem(409, "email-taken");
    assert_eq!(person.me().await.json()["email"], OLD);
});

both!(
    a_taken_address_is_not_mailed_and_keeps_its_mails,
    ["rate_limit.enabled" = "true", "captcha.provider" = "none"],
    async |app| {
        let victim = app.register("eve@example.org").await;
        app.mail_to(&victim.email).await;
        let person = app.verified(OLD).await;
        for _ in 0..3 {
            ask(&person, &victim.email).await.expect_problem(409, "email-taken");
        }
        app.no_mail_to(&victim.email).await;
        victim.as_user().get("/api/resend-email-verification").await.expect(200);
        app.mail_to(&victim.email).await;
    }
);

both!(of_parallel_confirmations_one_succeeds, async |app| {
    let person = app.verified(OLD).await;
    ask(&person, NEW).await.expect(200);
    let token = app.mail_to(NEW).await.token().to_owned();
    let answers = at_once(8, async |_| app.anonymous().verify(&token).await).await;
    one_succeeds(answers, 409, "already-verified");
    app.mail_to(OLD).await;
});

both!(an_unverified_person_proves_the_new_address, async |app| {
    let person = app.register(OLD).await;
    app.mail_to(OLD).await;
    ask(&person, NEW).await.expect(200);
    let token = app.mail_to(NEW).await.token().to_owned();
    // latchkey sends nothing to the old address, because the user never confirmed it.
    app.no_mail_to(OLD).await;
    let tokens = app.anonymous().verify(&token).await.tokens();
    assert_eq!(claims(&tokens.user)["email_verified"], true);
    assert_eq!(claims(&tokens.vault)["role"], "owner");
});

both!(a_change_needs_password_and_address, async |app| {
    let mut person = app.verified(OLD).await;
    let bad = ask(&person, "no address").await;
    assert_eq!(broken_rules(&bad), [("/email".to_owned(), "format".to_owned())]);
    "not the password".clone_into(&mut person.password);
    ask(&person, NEW).await.expect_problem(401, "invalid-credentials");
    app.no_mail_to(NEW).await;
    app.no_mail_to(OLD).await;
});

both!(an_open_recovery_link_does_not_outlive_the_address, async |app| {
    let person = app.verified(OLD).await;
    ask(&person, NEW).await.expect(200);
    let confirmation = app.mail_to(NEW).await.token().to_owned();
    app.mail_to(OLD).await;
    app.anonymous().forgot(OLD).await.expect(200);
    let recovery = app.mail_to(OLD).await.token().to_owned();
    app.anonymous().verify(&confirmation).await.expect(200);
    let reset = app.anonymous().reset(&recovery, "a quite new password").await;
    reset.expect_problem(400, "token-invalid");
});

/// An attacker registers the email address of another user, and requests a change to `theirs`,
/// which is the attacker's own email address.
async fn hijack(app: &TestApp, theirs: &str) -> (Person, String) {
    let stranger = app.register(OLD).await;
    ask(&stranger, theirs).await.expect(200);
    let link = app.mail_to(theirs).await.token().to_owned();
    (stranger, link)
}

both!(a_change_that_a_stranger_asked_for_does_not_outlive_a_recovery, async |app| {
    let (_stranger, link) = hijack(app, "evil@example.com").await;
    app.mail_to(OLD).await;
    app.anonymous().forgot(OLD).await.expect(200);
    let recovery = app.mail_to(OLD).await.token().to_owned();
    app.anonymous().reset(&recovery, "a quite new password").await.expect(200);
    app.anonymous().verify(&link).await.expect_problem(400, "token-invalid");
    let form = [("token", link.as_str())];
    app.anonymous().post_form("/verify-email", &form).await.expect(400);
    app.anonymous().login(OLD, "a quite new password").await.expect(200);
    app.mail_to(OLD).await;
});

both!(a_change_that_a_stranger_asked_for_does_not_outlive_the_proof_of_the_mailbox, async |app| {
    let (_stranger, link) = hijack(app, "evil@example.com").await;
    let confirmation = app.mail_to(OLD).await.token().to_owned();
    app.anonymous().verify(&confirmation).await.expect(200);
    app.anonymous().verify(&link).await.expect_problem(400, "token-invalid");
});

both!(a_change_that_is_open_does_not_outlive_a_change_of_password, async |app| {
    let mut person = app.verified(OLD).await;
    ask(&person, "evil@example.com").await.expect(200);
    let link = app.mail_to("evil@example.com").await.token().to_owned();
    app.mail_to(OLD).await;
    person.change_password("a quite new password").await.expect(200);
    app.anonymous().verify(&link).await.expect_problem(400, "token-invalid");
    assert_eq!(person.me().await.json()["email"], OLD);
    app.mail_to(OLD).await;
});

// An attacker who controls the account changes the email address twice. The undo link of the second
// change goes to the attacker.
both!(the_first_undo_takes_back_every_later_change, async |app| {
    let mut person = app.verified(OLD).await;
    ask(&person, "evil@example.com").await.expect(200);
    let undo = app.mail_to(OLD).await.token().to_owned();
    let link = app.mail_to("evil@example.com").await.token().to_owned();
    person.keep(app.anonymous().verify(&link).await.tokens());
    ask(&person, "worse@example.com").await.expect(200);
    let second_undo = app.mail_to("evil@example.com").await.token().to_owned();
    let link = app.mail_to("worse@example.com").await.token().to_owned();
    person.keep(app.anonymous().verify(&link).await.tokens());
    ask(&person, "worst@example.com").await.expect(200);
    app.mail_to("worse@example.com").await;
    let open = app.mail_to("worst@example.com").await.token().to_owned();

    let page = format!("/undo-email-change?token={undo}");
    app.anonymous().get(&page).await.expect(200);
    app.anonymous().post_form("/undo-email-change", &[("token", &undo)]).await.expect(200);
    app.anonymous().login(OLD, &person.password).await.expect(200);
    person.me().await.expect(401);
    app.anonymous().verify(&open).await.expect_problem(400, "token-invalid");
    for spent in [&undo, &second_undo] {
        app.anonymous().post_form("/undo-email-change", &[("token", spent)]).await.expect(400);
    }
    app.anonymous().login(OLD, &person.password).await.expect(200);
});

both!(a_replaced_change_is_undone_with_the_one_that_replaced_it, async |app| {
    let mut person = app.verified(OLD).await;
    ask(&person, "first@example.com").await.expect(200);
    let undo = app.mail_to(OLD).await.token().to_owned();
    app.mail_to("first@example.com").await;
    ask(&person, "second@example.com").await.expect(200);
    app.mail_to(OLD).await;
    let link = app.mail_to("second@example.com").await.token().to_owned();
    person.keep(app.anonymous().verify(&link).await.tokens());
    app.anonymous().post_form("/undo-email-change", &[("token", &undo)]).await.expect(200);
    app.anonymous().login(OLD, &person.password).await.expect(200);
});

both!(an_undo_outlives_a_lost_token_store_and_ends_after_a_week, async |app| {
    let person = app.verified(OLD).await;
    ask(&person, NEW).await.expect(200);
    let undo = app.mail_to(OLD).await.token().to_owned();
    let confirmation = app.mail_to(NEW).await.token().to_owned();
    app.anonymous().verify(&confirmation).await.expect(200);
    let user = id_of(&person).parse().expect("an id");
    app.inside().store.forget_user(user).await.expect("up");
    app.anonymous().get(&format!("/undo-email-change?token={undo}")).await.expect(200);
    app.clock.advance(Duration::from_hours(7 * 24));
    app.anonymous().post_form("/undo-email-change", &[("token", &undo)]).await.expect(400);
    app.anonymous().login(NEW, &person.password).await.expect(200);
});

both!(
    a_change_of_address_is_no_way_round_the_domains,
    ["registration.mode" = "domains", "registration.domains" = "corp.example"],
    async |app| {
        let stranger = app.register("ceo@corp.example").await;
        app.mail_to("ceo@corp.example").await;
        ask(&stranger, "evil@outside.example").await.expect_problem(403, "forbidden");
        app.no_mail_to("evil@outside.example").await;
        ask(&stranger, "cfo@corp.example").await.expect(200);
        app.mail_to("cfo@corp.example").await;
    }
);
