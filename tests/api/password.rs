//! `POST /api/change-password`.

use serde_json::json;

use crate::app::both;
use crate::ask::{at_once, broken_rules, count};
use crate::client::claims;

const NEW: &str = "a quite new password";

both!(a_change_keeps_this_session_and_ends_the_others, async |app| {
    let mut person = app.verified("ada@example.org").await;
    let other = person.another_device().await;
    let before = claims(&person.user_token);
    person.change_password(NEW).await.expect(200);
    assert_eq!(claims(&person.user_token)["sid"], before["sid"]);
    person.me().await.expect(200);
    person.refresh().await.expect(200);
    other.me().await.expect_problem(401, "invalid-token");
    other.as_user().get("/api/refresh").await.expect_problem(401, "invalid-token");
    let notice = app.mail_to("ada@example.org").await;
    assert_eq!(notice.subject, "Your password for Latchkey was changed");
    app.anonymous().login(&person.email, "correct horse battery").await.expect(401);
    person.login().await.expect(200);
});

both!(the_old_password_is_needed, async |app| {
    let mut person = app.verified("ada@example.org").await;
    let other = person.another_device().await;
    "not the password".clone_into(&mut person.password);
    let answer = person.change_password(NEW).await.expect_problem(401, "invalid-credentials");
    assert_eq!(answer.header("www-authenticate"), Some("Bearer realm=\"latchkey\""));
    other.me().await.expect(200);
    app.no_mail_to("ada@example.org").await;
    let body = json!({ "password": "x", "newPassword": NEW });
    let answer = app.anonymous().post_json("/api/change-password", body.clone()).await;
    answer.expect_problem(401, "invalid-token");
    person
        .as_vault()
        .post_json("/api/change-password", body)
        .await
        .expect_problem(401, "invalid-token");
});

both!(the_new_password_keeps_the_rules, async |app| {
    let mut person = app.verified("ada.lovelace@example.org").await;
    for (bad, code) in [
        ("short", "too-short"),
        ("password", "too-common"),
        ("ada.lovelace", "contextual"),
        ("ADA LOVELACE", "contextual"),
    ] {
        let answer = person.change_password(bad).await;
        assert_eq!(broken_rules(&answer), [("/newPassword".to_owned(), code.to_owned())], "{bad}");
    }
    person.login().await.expect(200);
});

both!(of_parallel_changes_one_succeeds, async |app| {
    let person = app.verified("ada@example.org").await;
    let answers = at_once(6, async |turn| {
        person.clone().change_password(&format!("new password {turn}")).await
    })
    .await;
    assert_eq!(count(&answers, 200), 1, "{answers:#?}");
    for (turn, answer) in answers.iter().enumerate() {
        let login = app.anonymous().login(&person.email, &format!("new password {turn}")).await;
        assert_eq!(login.status == 200, answer.status == 200);
    }
    app.mail_to(&person.email).await;
    app.no_mail_to(&person.email).await;
});
