//! Tests of second factors with a store that is down. A code that was not checked costs nothing.

use std::time::Duration;

use super::{HEALED, is_unavailable, through, timed};
use crate::app::{Backend, TestApp, both};
use crate::ask::sql;
use crate::factors::{Enrolled, enrolled, prove};
use crate::poll::eventually;
use crate::proxy::Proxy;
use crate::servers::{TestDatabase, redis_space};

const ADA: &str = "ada@factors.example";

/// Sends a code for the challenge, and a step-up, until the store is back.
async fn both_steps_refuse(app: &TestApp, user: &Enrolled, challenge: &str, code: &str) {
    let anonymous = app.anonymous();
    // A challenge has five proofs, and a client has nine wrong codes without a wait.
    for _ in 0..11 {
        let answer = prove(&anonymous, challenge, "totp", code).await;
        is_unavailable(("login/factor", answer));
    }
    let recovery = prove(&anonymous, challenge, "recovery-code", &user.recovery_codes[0]).await;
    is_unavailable(("login/factor", recovery));
    is_unavailable(timed("login", anonymous.login(ADA, &user.person.password)).await);
    let mut person = user.person.clone();
    is_unavailable(timed("step-up", person.step_up_totp(code)).await);
    is_unavailable(timed("factors", person.factors()).await);
    is_unavailable(timed("recovery codes", person.new_recovery_codes()).await);
}

async fn costs_nothing(app: TestApp, proxy: Proxy) {
    let user = enrolled(&app, ADA).await;
    let challenge = app.anonymous().challenge(&user.person).await;
    let code = user.authenticator.next(&app);
    proxy.cut();
    both_steps_refuse(&app, &user, &challenge, &code).await;
    proxy.heal();
    let is_back = async || (user.person.factors().await.status == 200).then_some(());
    eventually("the store", HEALED, is_back).await;
    let answer = prove(&app.anonymous(), &challenge, "totp", &code).await;
    answer.expect(200);
    let challenge = app.anonymous().challenge(&user.person).await;
    let code = &user.recovery_codes[0];
    prove(&app.anonymous(), &challenge, "recovery-code", code).await.expect(200);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_redis_is_away_no_code_is_spent_on_servers() {
    let (proxy, url) = through(&redis_space().await).await;
    let settings = TestApp::builder(Backend::Servers).set("redis.url", &url);
    let app = settings.set("rate_limit.enabled", "true").start().await;
    Box::pin(costs_nothing(app, proxy)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_postgresql_is_away_no_code_is_spent_on_servers() {
    let database = TestDatabase::create().await;
    let (proxy, url) = through(&database.url()).await;
    let settings = TestApp::builder(Backend::Servers).set("database.url", &url);
    let app = settings.set("rate_limit.enabled", "true").start().await;
    Box::pin(costs_nothing(app, proxy)).await;
}

// The database fails after the attempt was counted and before the code is checked. So the attempt
// is cancelled, and the challenge gets its proof back.
both!(a_code_that_cannot_be_checked_costs_nothing, ["rate_limit.enabled" = "true"], async |app| {
    let user = enrolled(app, ADA).await;
    let anonymous = app.anonymous();
    let challenge = anonymous.challenge(&user.person).await;
    let code = user.authenticator.next(app);
    sql(app, "ALTER TABLE factors RENAME COLUMN sealed TO away").await;
    for _ in 0..11 {
        is_unavailable(("login/factor", prove(&anonymous, &challenge, "totp", &code).await));
    }
    sql(app, "ALTER TABLE factors RENAME COLUMN away TO sealed").await;
    sql(app, "ALTER TABLE recovery_codes RENAME TO away").await;
    let recovery = &user.recovery_codes[0];
    for _ in 0..11 {
        let answer = prove(&anonymous, &challenge, "recovery-code", recovery).await;
        is_unavailable(("login/factor", answer));
        app.clock.advance(Duration::from_millis(100));
    }
    sql(app, "ALTER TABLE away RENAME TO recovery_codes").await;
    prove(&anonymous, &challenge, "totp", &code).await.expect(200);
    let challenge = anonymous.challenge(&user.person).await;
    prove(&anonymous, &challenge, "recovery-code", recovery).await.expect(200);
});

// The first factor, its recovery codes, its audit event and its mail are one transaction.
both!(a_first_factor_that_cannot_be_stored_leaves_nothing, async |app| {
    let mut person = app.verified(ADA).await;
    person.login().await.expect(200);
    let (id, authenticator) = person.begin_totp("Phone").await;
    sql(app, "ALTER TABLE recovery_codes RENAME TO away").await;
    let code = authenticator.next(app);
    is_unavailable(("confirm", person.confirm(&id, &code).await));
    sql(app, "ALTER TABLE away RENAME TO recovery_codes").await;
    let list = person.factors().await.expect(200).json();
    assert_eq!(list["items"], serde_json::json!([]));
    app.anonymous().login(ADA, &person.password).await.expect(200);
    app.mail_to(ADA).await;
    app.no_mail_to(ADA).await;
    // The same code confirms the app later.
    person.confirm(&id, &code).await.expect(200);
    assert_eq!(person.factors().await.json()["recoveryCodesLeft"], 10);
    app.mail_to(ADA).await;
});
