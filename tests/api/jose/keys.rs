//! Genuine tokens that must not be accepted: tokens of the other kind, of another daemon, of a
//! retired key, or of an ended session. The module also has secrets of latchkey that are not tokens
//! and must not be accepted either.

use serde_json::json;

use super::forge::{Cause, Good, encode, hmac, parts, signed};
use crate::app::{Backend, TestApp};
use crate::client::Person;

/// Returns all tokens of this module. `person` still has a valid session afterwards.
pub async fn causes(app: &TestApp, person: &mut Person) -> Vec<Cause> {
    let mut causes = of_other_kinds(app, person);
    causes.extend(Box::pin(of_another_daemon(person)).await);
    causes.extend(of_ended_sessions(app, person).await);
    causes.extend(mailed(app).await);
    causes
}

fn of_other_kinds(app: &TestApp, person: &Person) -> Vec<Cause> {
    let keys = app.inside().keys.current();
    let (user, vault) = (Good::of(&person.user_token), Good::of(&person.vault_token));
    let (user_claims, vault_claims) = (user.claims.to_string(), vault.claims.to_string());
    let sign = |key, header: &str, payload: &str| signed(key, header, payload.as_bytes());
    vec![
        Cause::new("the vaultToken", &person.vault_token),
        Cause::new(
            "user's claims, the vault's key and header",
            sign(&keys.vault, &keys.vault.header, &user_claims),
        ),
        Cause::new(
            "user's claims and header, the vault's key",
            sign(&keys.vault, &keys.user.header, &user_claims),
        ),
        Cause::new(
            "user's claims and key, the vault's header",
            sign(&keys.user, &keys.vault.header, &user_claims),
        ),
        Cause::new(
            "the vault's claims, user's key and header",
            sign(&keys.user, &keys.user.header, &vault_claims),
        ),
        Cause::new("the session's id", &person.sid),
        Cause::new("the token's id", user.claims["jti"].as_str().expect("a text")),
        Cause::new("the password", &person.password),
        Cause::new("the address", &person.email),
    ]
}

/// Returns the tokens of another daemon, which has the same name and its own keys.
async fn of_another_daemon(person: &Person) -> Vec<Cause> {
    let other = TestApp::start(Backend::Embedded).await;
    let stranger = other.verified(&person.email).await;
    let keys = other.inside().keys.current();
    let [own_header, payload, _] = parts(&person.user_token);
    let message = format!("{own_header}.{payload}");
    let by_other = keys.user.material.sign(message.as_bytes()).expect("signed");
    let by_vault = keys.vault.material.sign(message.as_bytes()).expect("signed");
    let causes = vec![
        Cause::new("another daemon's userToken", &stranger.user_token),
        Cause::new("another daemon's vaultToken", &stranger.vault_token),
        Cause::new(
            "our claims, another daemon's key and header",
            signed(&keys.user, &keys.user.header, Good::of(&person.user_token).claims.to_string().as_bytes()),
        ),
        Cause::new("our header, another daemon's key", format!("{message}.{}", encode(by_other))),
        Cause::new("our header, another daemon's public key", format!("{message}.{}", encode(by_vault))),
        Cause::new("our header, a guessed secret", format!("{message}.{}", hmac(b"secret", &message))),
        Cause::new(
            "our header, the secret of the RFC's example",
            format!("{message}.{}", hmac(b"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow", &message)),
        ),
    ];
    drop(keys);
    other.finish().await;
    causes
}

/// Creates sessions and ends each of them in a different way.
async fn of_ended_sessions(app: &TestApp, person: &mut Person) -> Vec<Cause> {
    let mut causes = Vec::new();
    let device = person.another_device().await;
    device.logout().await.expect(204);
    causes.push(Cause::new("a session that was logged out of", &device.user_token));
    let device = person.another_device().await;
    person.as_user().delete(&format!("/api/sessions/{}", device.sid)).await.expect(204);
    causes.push(Cause::new("a session that was ended", &device.user_token));
    let device = person.another_device().await;
    person.as_user().delete("/api/sessions").await.expect(204);
    causes.push(Cause::new("a session that ended with all others", &device.user_token));
    let device = person.another_device().await;
    person.change_password("another horse battery").await.expect(200);
    app.mail_to(&person.email).await;
    causes.push(Cause::new("a session of the password before", &device.user_token));
    let gone = app.register("gone@jose.example").await;
    app.mail_to(&gone.email).await;
    gone.leave().await.expect(204);
    causes.push(Cause::new("a person who left", &gone.user_token));
    // These tokens have the session of one user and the subject of another user.
    let eve = app.register("eve@jose.example").await;
    app.mail_to(&eve.email).await;
    let (own, theirs) = (Good::of(&person.user_token), Good::of(&eve.user_token));
    let keys = app.inside().keys.current();
    for (name, payload) in [
        ("another's session", own.with("sid", Some(theirs.claims["sid"].clone()))),
        ("another's subject", own.with("sub", Some(theirs.claims["sub"].clone()))),
        ("a generation that is not there yet", own.with("gen", Some(json!(7)))),
    ] {
        causes.push(Cause::new(name, signed(&keys.user, &keys.user.header, payload.as_bytes())));
    }
    causes
}

/// Returns the tokens in mails. Each of them is valid only at its own endpoint.
async fn mailed(app: &TestApp) -> Vec<Cause> {
    let person = app.register("mailed@jose.example").await;
    let confirmation = app.mail_to(&person.email).await;
    app.anonymous().forgot(&person.email).await.expect(200);
    let recovery = app.mail_to(&person.email).await;
    vec![
        Cause::new("the token of a confirmation mail", confirmation.token()),
        Cause::new("the token of a recovery mail", recovery.token()),
    ]
}
