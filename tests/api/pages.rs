//! Tests of the pages to which mailed links lead. The tests use the pages like a browser without
//! scripts.

use serde_json::json;

use crate::app::{TestApp, both};
use crate::client::Answer;
use crate::people::{claim, join, people};

const NEW: &str = "a quite new password";

/// Checks that the response is an HTML page which a browser must not cache. No other page may show
/// it in a frame or add content to it.
#[track_caller]
pub fn page(answer: &Answer, status: u16) -> String {
    assert_eq!(answer.status, status, "{}", answer.text());
    assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(answer.header("set-cookie"), None);
    let policy = answer.header("content-security-policy").expect("a policy");
    assert!(
        policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
        "{policy}"
    );
    assert!(!policy.contains("unsafe"), "{policy}");
    let text = answer.text();
    assert!(!text.contains("userToken"), "a page opens no session: {text}");
    text
}

pub async fn get(app: &TestApp, path: &str, token: &str) -> Answer {
    app.anonymous().get(&format!("/{path}?token={token}")).await
}

pub async fn post(app: &TestApp, path: &str, fields: &[(&str, &str)]) -> Answer {
    app.anonymous().post_form(&format!("/{path}"), fields).await
}

both!(the_confirmation_page_confirms_by_its_form_alone, async |app| {
    let mut person = app.register("ada@example.org").await;
    let token = app.mail_to("ada@example.org").await.token().to_owned();
    for _ in 0..3 {
        let html = page(&get(app, "verify-email", &token).await, 200);
        assert!(html.contains("<form") && html.contains(&token), "{html}");
        assert!(!html.contains("ada@example.org") && !html.contains("Ada Lovelace"), "{html}");
        assert!(html.contains("This was not me"), "{html}");
        assert!(html.contains("127.0.0.1"), "{html}");
    }
    assert_eq!(person.me().await.json()["emailVerified"], false);
    page(&post(app, "verify-email", &[("token", &token)]).await, 200);
    assert_eq!(person.me().await.json()["emailVerified"], true);
    person.refresh().await.expect(200);
    let sessions = person.sessions().await.json();
    assert_eq!(sessions["items"].as_array().map(Vec::len), Some(1), "no session was opened");
    let again = post(app, "verify-email", &[("token", &token)]).await;
    assert!(page(&again, again.status).contains("already"), "{}", again.text());
    let look = get(app, "verify-email", &token).await;
    assert!(page(&look, look.status).contains("already"), "{}", look.text());
    app.anonymous().verify(&token).await.expect_problem(409, "already-verified");
});

both!(this_was_not_me_removes_the_unverified_account, async |app| {
    let person = app.register("ada@example.org").await;
    let token = app.mail_to("ada@example.org").await.token().to_owned();
    page(&post(app, "verify-email", &[("token", &token), ("action", "reject")]).await, 200);
    person.me().await.expect_problem(401, "invalid-token");
    person.as_user().get("/api/refresh").await.expect_problem(401, "invalid-token");
    app.anonymous().login(&person.email, &person.password).await.expect(401);
    assert_eq!(app.anonymous().exists(&person.email).await.json(), json!(false));
    app.anonymous().verify(&token).await.expect_problem(400, "token-invalid");
    app.register("ada@example.org").await;
});

both!(this_was_not_me_leaves_a_verified_account_alone, async |app| {
    let mut person = app.register("ada@example.org").await;
    let token = app.mail_to("ada@example.org").await.token().to_owned();
    person.verify(&token).await.expect(200);
    let answer = post(app, "verify-email", &[("token", &token), ("action", "reject")]).await;
    page(&answer, answer.status);
    person.me().await.expect(200);
});

both!(a_dead_confirmation_link_says_so, async |app| {
    for token in ["", "x", "%3Cscript%3E"] {
        let answer = get(app, "verify-email", token).await;
        let html = page(&answer, answer.status);
        assert!(html.contains("does not work") && !html.contains("<script>"), "{html}");
        let answer = post(app, "verify-email", &[("token", token)]).await;
        assert!(page(&answer, answer.status).contains("does not work"));
    }
});

both!(the_recovery_page_sets_a_password_by_its_form, async |app| {
    let mut person = app.verified("ada@example.org").await;
    app.anonymous().forgot(&person.email).await.expect(200);
    let token = app.mail_to(&person.email).await.token().to_owned();
    let html = page(&get(app, "reset-password", &token).await, 200);
    assert!(html.contains("newPassword") && html.contains(&token), "{html}");
    person.me().await.expect(200);
    // A refused password does not use up the link, and the page shows the form again.
    let refused = post(app, "reset-password", &[("token", &token), ("newPassword", "short")]).await;
    let html = page(&refused, refused.status);
    assert!(html.contains("shorter than 8") && html.contains(&token), "{html}");
    page(&post(app, "reset-password", &[("token", &token), ("newPassword", NEW)]).await, 200);
    person.me().await.expect_problem(401, "invalid-token");
    NEW.clone_into(&mut person.password);
    person.login().await.expect(200);
    // A user who sends the form twice sees the second response.
    let again = post(app, "reset-password", &[("token", &token), ("newPassword", NEW)]).await;
    assert!(page(&again, 200).contains("Your new password is set"));
    let look = get(app, "reset-password", &token).await;
    assert!(page(&look, 200).contains("Your new password is set"));
    app.anonymous().reset(&token, NEW).await.expect_problem(400, "token-invalid");
    app.clock.advance(std::time::Duration::from_mins(31));
    page(&get(app, "reset-password", &token).await, 400);
});

both!(of_two_clicks_that_set_a_password_both_say_that_it_is_set, async |app| {
    let mut person = app.verified("ada@example.org").await;
    app.anonymous().forgot(&person.email).await.expect(200);
    let token = app.mail_to(&person.email).await.token().to_owned();
    let fields = [("token", token.as_str()), ("newPassword", NEW)];
    let clicks = crate::ask::at_once(4, async |_| post(app, "reset-password", &fields).await).await;
    for answer in clicks {
        assert!(page(&answer, 200).contains("Your new password is set"));
    }
    NEW.clone_into(&mut person.password);
    person.login().await.expect(200);
    app.mail_to(&person.email).await;
    // The page does not claim this for a link that has nothing to do with the last change.
    app.anonymous().forgot(&person.email).await.expect(200);
    let old = app.mail_to(&person.email).await.token().to_owned();
    person.change_password("one more new password").await.expect(200);
    person.change_password("and another new password").await.expect(200);
    let fields = [("token", old.as_str()), ("newPassword", NEW)];
    let late = post(app, "reset-password", &fields).await;
    assert!(page(&late, 400).contains("does not work any more"));
});

both!(the_recovery_page_asks_for_a_mail_and_tells_nobody_who_is_known, async |app| {
    app.verified("ada@example.org").await;
    page(&app.anonymous().get("/reset-password").await, 200);
    let fields = |email| [("action", "request"), ("email", email)];
    let known = page(&post(app, "reset-password", &fields("ada@example.org")).await, 200);
    let unknown = page(&post(app, "reset-password", &fields("nobody@example.org")).await, 200);
    assert_eq!(known, unknown);
    let token = app.mail_to("ada@example.org").await.token().to_owned();
    app.no_mail_to("nobody@example.org").await;
    app.anonymous().reset(&token, NEW).await.expect(200);
    for (typed, place) in [("ada@example.org ", "end"), ("\u{a0}ada@example.org", "start")] {
        let html = page(&post(app, "reset-password", &fields(typed)).await, 422);
        assert!(
            html.contains(&format!("There is a space at the {place} of the address")),
            "{html}"
        );
    }
    let bad = post(app, "reset-password", &fields("\"><script>alert(1)</script>")).await;
    let html = page(&bad, bad.status);
    assert!(!html.contains("<script>alert"), "{html}");
});

both!(the_invitations_page_lets_the_invited_account_join_by_its_form_alone, async |app| {
    let [ada, bob] = people(app, ["ada", "bob"]).await;
    let team = claim(&ada, "tid");
    ada.invited(&team, &bob.email, "member").await;
    let token = app.mail_to(&bob.email).await.token().to_owned();
    for _ in 0..3 {
        let html = page(&get(app, "invitation", &token).await, 200);
        for shown in
            [&*token, "Ada Lovelace (ada@example.org)", "member", "Ada Lovelace&#39;s team"]
        {
            assert!(html.contains(shown), "{shown}: {html}");
        }
        assert!(!html.contains(&bob.email), "{html}");
    }
    let sessions = bob.sessions().await.json();
    let wrong = post(app, "invitation", &[("token", &token), ("password", "wrong")]).await;
    assert!(page(&wrong, 422).contains("The password is wrong"));
    let fields = [("token", &*token), ("password", &*bob.password)];
    assert!(page(&post(app, "invitation", &fields).await, 200).contains("You have joined"));
    bob.as_user().get(&format!("/api/teams/{team}")).await.expect(200);
    assert_eq!(bob.sessions().await.json(), sessions, "no session was opened");
    page(&post(app, "invitation", &fields).await, 400);
    page(&get(app, "invitation", &token).await, 400);
});

both!(the_invitations_page_tells_nobody_who_has_an_account, async |app| {
    let [ada, bob] = people(app, ["ada", "bob"]).await;
    let young = app.register("young@example.org").await;
    app.mail_to(&young.email).await;
    let mut answers = Vec::new();
    for email in [&*bob.email, "nobody@example.org", &*young.email] {
        ada.invited(&claim(&ada, "tid"), email, "member").await;
        let token = app.mail_to(email).await.token().to_owned();
        let masked = latchkey::http::pages::words::masked(email);
        let plain = |html: String| html.replace(&token, "").replace(&masked, "");
        let shown = plain(page(&get(app, "invitation", &token).await, 200));
        let fields = [("token", &*token), ("password", "a wrong password")];
        answers.push((shown, plain(page(&post(app, "invitation", &fields).await, 422))));
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:#?}");
    // Only a client that knows the password learns that the address is not confirmed yet.
    let token = app.mails_to(&young.email).await.pop().expect("mailed").token().to_owned();
    let fields = [("token", &*token), ("password", &*young.password)];
    let early = page(&post(app, "invitation", &fields).await, 422);
    assert!(early.contains("not confirmed yet"), "{early}");
});

both!(the_invitations_page_says_what_stands_in_the_way, async |app| {
    let [ada, bob] = people(app, ["ada", "bob"]).await;
    let team = claim(&ada, "tid");
    join(app, &team, &bob, "admin").await;
    bob.invited(&team, "kim@example.org", "admin").await;
    let token = app.mail_to("kim@example.org").await.token().to_owned();
    let kim = app.verified("kim@example.org").await;
    ada.set_role(&team, &bob, "viewer").await.expect(200);
    let fields = [("token", &*token), ("password", &*kim.password)];
    let refused = page(&post(app, "invitation", &fields).await, 409);
    assert!(refused.contains("The inviter may no longer invite you"), "{refused}");
});

both!(the_undo_page_undoes_by_its_form_alone, async |app| {
    let person = app.verified("ada@example.org").await;
    let body = json!({ "password": person.password, "email": "eve@example.com" });
    person.as_user().post_json("/api/change-email", body).await.expect(200);
    let change = app.mail_to("eve@example.com").await.token().to_owned();
    let undo = app.mail_to("ada@example.org").await.token().to_owned();
    let html = page(&get(app, "verify-email", &change).await, 200);
    assert!(html.contains("<form") && !html.contains("eve@example.com"), "{html}");
    page(&post(app, "verify-email", &[("token", &change)]).await, 200);
    assert_eq!(person.me().await.json()["email"], "eve@example.com");
    page(&get(app, "undo-email-change", &undo).await, 200);
    assert_eq!(person.me().await.json()["email"], "eve@example.com");
    page(&post(app, "undo-email-change", &[("token", &undo)]).await, 200);
    app.anonymous().login("ada@example.org", &person.password).await.expect(200);
    let again = post(app, "undo-email-change", &[("token", &undo)]).await;
    assert!(page(&again, again.status).contains("does not work"));
});

both!(no_link_opens_another_ones_page, async |app| {
    let person = app.register("ada@example.org").await;
    let confirmation = app.mail_to("ada@example.org").await.token().to_owned();
    app.anonymous().forgot("ada@example.org").await.expect(200);
    let recovery = app.mail_to("ada@example.org").await.token().to_owned();
    for (path, token) in [
        ("verify-email", &recovery),
        ("undo-email-change", &recovery),
        ("reset-password", &confirmation),
        ("undo-email-change", &confirmation),
    ] {
        let fields = [("token", token.as_str()), ("newPassword", NEW), ("action", "")];
        let answer = post(app, path, &fields).await;
        assert!(page(&answer, answer.status).contains("does not work"), "{path}");
    }
    assert_eq!(person.me().await.expect(200).json()["emailVerified"], false);
});
