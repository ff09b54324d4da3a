//! Tests of passkeys in the life of an account: who may add one, and what takes them away.

use serde_json::json;

use super::authenticator::{Key, Passkey};
use super::callers::{Holder, as_is, holder, log_in, login_options, send_login};
use crate::app::both;
use crate::ask::sql;
use crate::factors::enrolled;

const ADA: &str = "ada@example.org";

both!(a_passkey_needs_a_verified_address, async |app| {
    let person = app.register(ADA).await;
    let answer = person.passkey_options().await;
    answer.expect_problem(403, "email-unverified");
    let answer = person.as_user().post_json("/api/me/passkeys", json!({})).await;
    answer.expect_problem(403, "email-unverified");
});

both!(a_first_passkey_needs_a_fresh_password, async |app| {
    let mut person = app.verified(ADA).await;
    person.login().await.expect(200);
    app.clock.advance(std::time::Duration::from_mins(16));
    person.refresh().await.expect(200);
    let answer = person.passkey_options().await.expect_problem(401, "step-up-required");
    assert_eq!(answer.json()["methods"], json!(["password"]));
    person.step_up_password().await.expect(200);
    person.passkey_options().await.expect(200);
});

both!(the_undo_of_the_first_factor_removes_every_passkey, async |app| {
    let mut person = app.verified(ADA).await;
    person.login().await.expect(200);
    let mut passkey = Passkey::new(Key::es256());
    person.add_passkey(&mut passkey, as_is).await.expect(201);
    let mail = app.mail_to(ADA).await;
    let token = mail.token();
    let mut second = Passkey::new(Key::es256());
    person.add_passkey(&mut second, as_is).await.expect(201);
    app.mail_to(ADA).await;
    // A ceremony that has begun opens nothing after the undo.
    let client = &app.anonymous().0;
    let options = login_options(client, json!({})).await.expect(200).json();
    let credential = passkey.get(&options["publicKey"], as_is);
    let undone = client.post_form("/undo-factor", &[("token", token)]).await;
    assert!(undone.status < 400, "{}", undone.text());
    let answer = send_login(client, &options["challenge"], &credential).await;
    answer.expect_problem(401, "invalid-credentials");
    log_in(client, &second, as_is).await.expect_problem(401, "invalid-credentials");
    app.mail_to(ADA).await;
});

both!(an_app_and_a_passkey_work_side_by_side, async |app| {
    let mut user = enrolled(app, ADA).await;
    let mut passkey = Passkey::new(Key::es256());
    let added = user.person.add_passkey(&mut passkey, as_is).await.expect(201).json();
    assert_eq!(added.get("recoveryCodes"), None);
    app.mail_to(ADA).await;
    let answer = app.anonymous().login(ADA, &user.person.password).await;
    let methods = answer.expect_problem(401, "factor-required").json()["methods"].clone();
    assert_eq!(methods, json!(["totp", "passkey", "recovery-code"]));
    // A session that began with a passkey steps up with a code.
    let answer = log_in(&app.anonymous().0, &passkey, as_is).await.expect(200);
    app.mail_to(ADA).await;
    user.person.keep(answer.tokens());
    user.person.step_up_totp(&user.authenticator.next(app)).await.expect(200);
    assert_eq!(user.person.proof(), ("aal2".to_owned(), "pop otp mfa".to_owned()));
    // Without the app, the passkey keeps the recovery codes.
    user.person.remove_factor(&user.id).await.expect(204);
    app.mail_to(ADA).await;
    let left = user.person.factors().await.json();
    assert_eq!(left["recoveryCodesLeft"], 10);
});

both!(a_passkey_gets_another_name_and_belongs_to_its_owner, async |app| {
    let user = holder(app, ADA).await;
    let renamed = user.person.rename_factor(&user.id, "Blue laptop").await.expect(200).json();
    assert_eq!((&renamed["name"], &renamed["backedUp"]), (&json!("Blue laptop"), &json!(true)));
    let ben = holder(app, "ben@example.org").await;
    ben.person.rename_factor(&user.id, "Mine").await.expect_problem(404, "not-found");
    ben.person.remove_factor(&user.id).await.expect_problem(404, "not-found");
});

both!(a_deleted_account_leaves_nothing_behind, async |app| {
    let Holder { person, passkey, .. } = holder(app, ADA).await;
    person.as_user().delete("/api/me").await.expect(204);
    let client = &app.anonymous().0;
    log_in(client, &passkey, as_is).await.expect_problem(401, "invalid-credentials");
    // The same device can be registered for a new account.
    let mut again = app.verified(ADA).await;
    again.login().await.expect(200);
    let mut passkey = passkey;
    let before = passkey.handle.clone();
    again.add_passkey(&mut passkey, as_is).await.expect(201);
    assert_ne!(passkey.handle, before, "a new account has a new user handle");
    app.mail_to(ADA).await;
});

both!(a_row_that_was_changed_by_hand_opens_nothing, async |app| {
    let user = holder(app, ADA).await;
    let client = &app.anonymous().0;
    sql(app, "UPDATE factors SET public_key = credential_id").await;
    log_in(client, &user.passkey, as_is).await.expect_problem(401, "invalid-credentials");
});
