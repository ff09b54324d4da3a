//! Tests of the list of factors, and of renaming, replacing and removing them.

use latchkey::database::tenant_scope::{self, TenantScope};
use latchkey::secret::{random_bytes, uuid_v7};
use latchkey_entity::factor::{Entity, FactorKind, Model};
use sea_orm::{EntityTrait as _, IntoActiveModel as _};
use serde_json::json;

use super::callers::{enrol, enrolled, is_wrong, log_in, proof_is, texts};
use crate::app::{TestApp, both};
use crate::audit::actions;
use crate::client::Person;
use crate::people::id_of;

const ADA: &str = "ada@example.org";

/// Gives an account passkeys, as if they had been registered.
async fn put_passkeys(app: &TestApp, person: &Person, count: usize) {
    let inside = app.inside();
    let now = inside.clock.now();
    let user_id = id_of(person).parse().expect("an id");
    let row = |number| {
        let named = (FactorKind::Passkey, format!("Key {number}"));
        let bytes = Some(random_bytes::<16>().to_vec());
        let public_key = Some(Vec::new());
        let base = Model::new(uuid_v7(now), user_id, named, now);
        Model { credential_id: bytes, public_key, ..base }.into_active_model()
    };
    let rows = (0..count).map(row);
    let tx = tenant_scope::begin(&inside.db, TenantScope::Operator).await.expect("a transaction");
    Entity::insert_many(rows).exec_without_returning(&tx).await.expect("inserted");
    tx.commit().await.expect("committed");
}

both!(a_factor_shows_when_it_was_used, async |app| {
    let user = enrolled(app, ADA).await;
    log_in(app, &app.anonymous(), &user).await.expect(200);
    let now = latchkey::clock::rfc3339(app.clock.now());
    let list = user.person.factors().await.expect(200).json();
    assert_eq!(list["items"][0]["lastUsedAt"], now.as_str());
    assert_ne!(list["items"][0]["createdAt"], now.as_str());
    app.mail_to(ADA).await;
});

both!(a_factor_gets_another_name, async |app| {
    let user = enrolled(app, ADA).await;
    let renamed = user.person.rename_factor(&user.id, " Blue phone ").await.expect(200).json();
    assert_eq!(renamed["name"], "Blue phone");
    let list = user.person.factors().await.expect(200).json();
    assert_eq!(list["items"], json!([renamed]));
    let id = id_of(&user.person).parse().expect("an id");
    assert!(actions(app, id).await.iter().any(|it| it == "factor.renamed"));
    // A new name is no change that the user gets a mail about, and it ends nothing.
    app.no_mail_to(ADA).await;
    assert_eq!(user.person.proof(), proof_is("aal2", "pwd otp mfa"));
});

both!(a_factor_is_there_for_its_owner_only, async |app| {
    let user = enrolled(app, ADA).await;
    let other = enrolled(app, "bob@example.org").await;
    for id in [user.id.as_str(), "0190a0a0-0000-7000-8000-000000000000", "x", "..%2F"] {
        other.person.rename_factor(id, "Mine").await.expect_problem(404, "not-found");
        other.person.remove_factor(id).await.expect_problem(404, "not-found");
    }
    let list = user.person.factors().await.expect(200).json();
    assert_eq!(list["items"][0]["name"], "Phone");
});

both!(the_last_factor_takes_the_recovery_codes_with_it, async |app| {
    let user = enrolled(app, ADA).await;
    log_in(app, &app.anonymous(), &user).await.expect(200);
    app.mail_to(ADA).await;
    let mut person = user.person.clone();
    person.remove_factor(&user.id).await.expect(204);
    let list = person.factors().await.expect(200).json();
    assert_eq!(list, json!({ "items": [], "recoveryCodesLeft": 0, "next": null }));
    let mail = app.mail_to(ADA).await;
    assert!(mail.subject.contains("factor"), "{}", mail.subject);
    person.remove_factor(&user.id).await.expect_problem(404, "not-found");
    let id = id_of(&person).parse().expect("an id");
    assert!(actions(app, id).await.iter().any(|it| it == "factor.removed"));
    crate::audit::is_sound(app).await;
    // From now on a login needs only the password.
    person.login().await.expect(200);
    assert_eq!(person.proof(), proof_is("aal1", "pwd"));
    app.mail_to(ADA).await;
});

both!(the_removal_of_the_last_factor_lowers_every_session_at_once, async |app| {
    let user = enrolled(app, ADA).await;
    let mut other = user.person.clone();
    other.keep(log_in(app, &app.anonymous(), &user).await.tokens());
    assert_eq!(other.proof(), proof_is("aal2", "pwd otp mfa"));
    user.person.remove_factor(&user.id).await.expect(204);
    // The record decides, so the next tokens of each session have the lower level.
    for mut person in [user.person.clone(), other.clone()] {
        person.refresh().await.expect(200);
        assert_eq!(person.proof(), proof_is("aal1", "pwd"));
    }
    // A new factor does not raise the other session again.
    let new = enrol(app, other).await;
    assert_eq!(new.person.proof(), proof_is("aal2", "pwd otp mfa"));
    user.person.me().await.expect_problem(401, "invalid-token");
});

both!(a_second_app_replaces_the_first_and_keeps_the_recovery_codes, async |app| {
    let user = enrolled(app, ADA).await;
    let mut other = user.person.clone();
    other.keep(log_in(app, &app.anonymous(), &user).await.tokens());
    app.mail_to(ADA).await;
    let mut person = user.person.clone();
    let (id, new) = person.begin_totp("New phone").await;
    let confirmed = person.confirm(&id, &new.next(app)).await.expect(200).json();
    assert_eq!(confirmed.get("recoveryCodes"), None);
    let list = person.factors().await.expect(200).json();
    let ids = list["items"].as_array().expect("items").iter().map(|it| it["id"].clone());
    assert_eq!(ids.collect::<Vec<_>>(), [json!(id)]);
    assert_eq!(list["recoveryCodesLeft"], 10);
    let mail = app.mail_to(ADA).await;
    assert_eq!(mail.token, None, "only the first factor has an undo");
    // A further factor ends no session.
    other.refresh().await.expect(200);
    assert_eq!(other.proof(), proof_is("aal2", "pwd otp mfa"));
    // The old app no longer works. The new app and the codes do.
    let anonymous = app.anonymous();
    let challenge = anonymous.challenge(&person).await;
    is_wrong(anonymous.prove_totp(&challenge, &user.authenticator.next(app)).await);
    anonymous.prove_totp(&challenge, &new.code_at(app, 0)).await.expect(200);
    let challenge = anonymous.challenge(&person).await;
    anonymous.prove_recovery(&challenge, &user.recovery_codes[0]).await.expect(200);
    // A factor that was replaced is gone.
    person.remove_factor(&user.id).await.expect_problem(404, "not-found");
});

both!(an_account_has_ten_factors_at_most, async |app| {
    let user = enrolled(app, ADA).await;
    let mut person = user.person.clone();
    put_passkeys(app, &person, 8).await;
    // The app that replaces the first one is the ninth factor.
    let (id, new) = person.begin_totp("New phone").await;
    put_passkeys(app, &person, 2).await;
    let full = person.confirm(&id, &new.next(app)).await;
    full.expect_problem(409, "conflict");
    person.add_totp("Another").await.expect_problem(409, "conflict");
    assert_eq!(person.factors().await.json()["items"].as_array().map(Vec::len), Some(11));
    app.no_mail_to(ADA).await;
});

both!(new_recovery_codes_replace_the_old_ones, async |app| {
    let user = enrolled(app, ADA).await;
    let answer = user.person.new_recovery_codes().await.expect(200);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let new = texts(&answer.json()["recoveryCodes"]);
    assert_eq!(new.len(), 10);
    assert!(new.iter().all(|code| !user.recovery_codes.contains(code)));
    app.mail_to(ADA).await;
    let id = id_of(&user.person).parse().expect("an id");
    assert!(actions(app, id).await.iter().any(|it| it == "factor.recovery-codes-replaced"));
    let anonymous = app.anonymous();
    let challenge = anonymous.challenge(&user.person).await;
    is_wrong(anonymous.prove_recovery(&challenge, &user.recovery_codes[0]).await);
    anonymous.prove_recovery(&challenge, &new[0]).await.expect(200);
    let plain = app.verified("bob@example.org").await;
    plain.new_recovery_codes().await.expect_problem(409, "conflict");
});
