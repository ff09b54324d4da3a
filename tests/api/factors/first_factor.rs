//! Tests of what the first factor ends: what a thief of the password began before it.

use std::time::Duration;

use latchkey::account::{AccountOwner, Asked, Deleted, NewPassword, Proof, Reset};
use latchkey::audit::RequestOrigin;
use latchkey::user::EmailAddress;
use serde_json::json;
use tokio::time::Instant;

use super::callers::enrol;
use crate::app::both;
use crate::people::id_of;

const ADA: &str = "ada@example.org";
const NEW: &str = "countess@example.com";
const PATIENCE: Duration = Duration::from_secs(20);

// A thief of the password has asked for a change of address before the owner adds a factor.
both!(the_first_factor_ends_a_pending_change_of_address, async |app| {
    let mut person = app.verified(ADA).await;
    let body = json!({ "password": person.password, "email": NEW });
    person.as_user().post_json("/api/change-email", body).await.expect(200);
    let confirmation = app.mail_to(NEW).await.token().to_owned();
    app.mail_to(ADA).await;
    person.login().await.expect(200);
    let user = enrol(app, person).await;
    app.mail_to(ADA).await;
    let late = app.anonymous().post_form("/verify-email", &[("token", &confirmation)]).await;
    late.expect(400);
    assert_eq!(user.person.me().await.expect(200).json()["email"], ADA);
});

// A request was checked before the first factor ended its session, and its transaction runs later.
both!(what_was_checked_before_the_first_factor_changes_nothing_after_it, async |app| {
    let mut person = app.verified(ADA).await;
    person.login().await.expect(200);
    let user_id = id_of(&person).parse().expect("a UUID");
    let before = AccountOwner { user_id, session_epoch: 0 };
    let user = enrol(app, person).await;
    app.mail_to(ADA).await;
    let accounts = &app.inside().accounts;
    let call = || (Instant::now() + PATIENCE, RequestOrigin::none());
    let email = EmailAddress::parse(NEW).expect("an address");
    let asked = accounts.ask_email_change(call(), before, email).await.expect("an answer");
    assert_eq!(asked, Asked::Gone);
    let new = NewPassword {
        user_id,
        password_version: 0,
        password_hash: "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$aGFzaGhhc2g".to_owned(),
        proof: Proof::Session { epoch: 0 },
    };
    assert_eq!(accounts.set_password(call(), new).await.expect("an answer"), Reset::Stale);
    let deleted = accounts.delete(call(), before).await.expect("an answer");
    assert_eq!(deleted, Deleted::SessionEnded);
    assert_eq!(user.person.me().await.expect(200).json()["email"], ADA);
});
