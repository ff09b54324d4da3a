//! Tests of `POST /api/login`, and of the facts that its responses must not reveal.

use crate::app::both;
use crate::ask::{alike, at_once, sql};
use crate::client::claims;

both!(a_login_opens_a_session_of_its_own, async |app| {
    let person = app.verified("Ada@bücher.example").await;
    let anonymous = app.anonymous();
    for email in ["Ada@bücher.example", "ada@BÜCHER.example", "ADA@xn--bcher-kva.example"] {
        let answer = anonymous.login(email, &person.password).await.expect(200);
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        let claims = claims(&answer.tokens().user);
        assert_eq!(claims["email"], "Ada@bücher.example");
        assert_eq!(claims["amr"], serde_json::json!(["pwd"]));
        assert_ne!(claims["sid"], person.sid.as_str());
    }
    let sessions = person.sessions().await.expect(200).json();
    assert_eq!(sessions["items"].as_array().map(Vec::len), Some(5));
});

both!(nothing_of_a_password_is_trimmed_folded_or_cut, async |app| {
    let anonymous = app.anonymous();
    let long = "x".repeat(200);
    for (turn, password) in [" Café au lait ", &long].into_iter().enumerate() {
        let email = format!("p{turn}@example.org");
        anonymous.register(&email, password, "Ada").await.expect(200);
        anonymous.login(&email, password).await.expect(200);
        for wrong in [
            password.trim_end_matches([' ', 'x']),
            &password.to_uppercase(),
            &password[..72.min(password.len() - 1)],
        ] {
            anonymous.login(&email, wrong).await.expect_problem(401, "invalid-credentials");
        }
    }
    // latchkey normalizes a password to NFC and changes nothing else.
    anonymous.login("p0@example.org", " Cafe\u{301} au lait ").await.expect(200);
});

both!(a_refusal_is_the_same_for_everybody, async |app| {
    let verified = app.verified("verified@example.org").await;
    let unverified = app.register("unverified@example.org").await;
    let gone = app.verified("gone@example.org").await;
    gone.leave().await.expect(204);
    let disabled = app.verified("disabled@example.org").await;
    sql(app, "UPDATE users SET status = 'disabled' WHERE email_normal = 'disabled@example.org'")
        .await;
    let anonymous = app.anonymous();
    let known = anonymous.login(&verified.email, "not the password").await;
    assert_eq!(known.header("www-authenticate"), Some("Bearer realm=\"latchkey\""));
    known.clone().expect_problem(401, "invalid-credentials");
    for email in ["nobody@example.org", &unverified.email, &gone.email, &disabled.email] {
        let answer = anonymous.login(email, "not the password").await;
        assert_eq!(alike(&answer), alike(&known), "{email}");
    }
    let empty = anonymous.login(&verified.email, "").await;
    assert_eq!(alike(&empty), alike(&anonymous.login("nobody@example.org", "").await));
    let long = "x".repeat(300);
    let long_known = anonymous.login(&verified.email, &long).await;
    assert_eq!(alike(&long_known), alike(&anonymous.login("nobody@example.org", &long).await));
});

both!(an_unverified_person_logs_in_to_nothing, async |app| {
    let mut person = app.register("ada@example.org").await;
    person.login().await.expect(200);
    assert_eq!(claims(&person.user_token)["email_verified"], false);
    assert_eq!(claims(&person.vault_token)["scope"], "");
});

both!(a_disabled_account_is_told_so_after_the_right_password, async |app| {
    let mut person = app.verified("ada@example.org").await;
    sql(app, "UPDATE users SET status = 'disabled'").await;
    person.me().await.expect_problem(401, "invalid-token");
    person.as_user().get("/api/refresh").await.expect_problem(401, "invalid-token");
    let wrong = person.anonymous().login(&person.email, "not the password").await;
    wrong.expect_problem(401, "invalid-credentials");
    person.login().await.expect_problem(403, "account-disabled");
});

both!(parallel_logins_all_succeed, async |app| {
    let person = app.verified("ada@example.org").await;
    let answers =
        at_once(8, async |_| app.anonymous().login(&person.email, &person.password).await).await;
    let mut sids: Vec<String> =
        answers.iter().map(|answer| claims(&answer.tokens().user)["sid"].to_string()).collect();
    sids.sort();
    sids.dedup();
    assert_eq!(sids.len(), 8);
});
