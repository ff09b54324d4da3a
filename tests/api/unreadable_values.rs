//! Tests of a token store in which another program has written values of another type, or values
//! that latchkey cannot read. Such a value counts as absent, is counted, and locks no user out.

use std::time::Duration;

use latchkey::config;
use latchkey::database::Db;
use latchkey::secret::{random_id, uuid_v7};
use latchkey::store::{
    AttemptKey, AttemptVerdict, BudgetVerdict, Charge, ClientKind, OneTimeToken, PutToken, Quota,
    Refresh, Refreshed, SESSIONS_PER_USER_MAX, Session, Spend, Store, TokenKind,
};
use sea_orm::ConnectionTrait as _;
use uuid::Uuid;

use crate::app::both;
use crate::forged_records::{Raw, session_key, token_key};
use crate::forged_requests::{NEW_PASSWORD, refused_records, user_of};
use crate::people::claim;
use crate::store_suite::suite::NOW;
use crate::store_suite::{Server, attempts_suite, mac, suite};

fn new_token(user_id: Uuid) -> OneTimeToken {
    OneTimeToken {
        kind: TokenKind::Recover,
        user_id,
        row_id: uuid_v7(NOW),
        digest: random_id(),
        stamp: 0,
        subject: None,
        expires_at: NOW + 1,
    }
}

#[tokio::test]
async fn a_key_of_the_wrong_type_is_removed_and_the_work_goes_on() {
    let server = Server::start().await;
    let store = server.store();
    let session = suite::new_session();
    let (user, sid) = (session.user_id, session.sid.as_str());
    store.open_session(&session, NOW).await.unwrap();
    let list = format!("lk:{{{user}}}:sessions");
    let key = format!("lk:{{{user}}}:session:{sid}");
    let ask = suite::ask(&session, &session.jti, session.generation, "jti-1");
    // The list is a string: the session stays, and comes back to the list with its refresh.
    server.tell(&["SET", &list, "x"]).await;
    assert_eq!(store.sessions(user, NOW).await.unwrap(), []);
    server.tell(&["SET", &list, "x"]).await;
    let rotated = store.refresh(&ask, NOW).await.unwrap();
    assert!(matches!(rotated, Refreshed::Rotated(_)), "{rotated:?}");
    assert_eq!(store.sessions(user, NOW).await.unwrap().len(), 1);
    server.tell(&["SET", &list, "x"]).await;
    store.open_session(&Session { sid: random_id(), ..session.clone() }, NOW).await.unwrap();
    assert_eq!(store.sessions(user, NOW).await.unwrap().len(), 1);
    for _ in 0..3 {
        server.tell(&["DEL", &list]).await;
        server.tell(&["SET", &list, "x"]).await;
        store.end_session(user, "another").await.unwrap();
        server.tell(&["SET", &list, "x"]).await;
        store.end_sessions(user, None).await.unwrap();
        server.tell(&["SET", &list, "x"]).await;
        store.forget_user(user).await.unwrap();
    }
    // A session is a list: only this session is lost.
    let other = Session { sid: random_id(), ..session.clone() };
    for session in [&session, &other] {
        store.open_session(session, NOW).await.unwrap();
    }
    let spoil = async || {
        server.tell(&["DEL", &key]).await;
        server.tell(&["LPUSH", &key, "x"]).await;
    };
    spoil().await;
    assert_eq!(store.sessions(user, NOW).await.unwrap(), std::slice::from_ref(&other));
    spoil().await;
    assert_eq!(store.session(user, sid, NOW).await.unwrap(), None);
    spoil().await;
    let seen = Refresh { seen: Some(&session), ..ask };
    assert_eq!(store.refresh(&seen, NOW).await.unwrap(), Refreshed::Gone);
    spoil().await;
    assert_eq!(store.restamp_session(user, sid, 1, NOW).await.unwrap(), None);
    spoil().await;
    store.end_sessions(user, None).await.unwrap();
    assert_eq!(store.sessions(user, NOW).await.unwrap(), []);
    for n in 0..SESSIONS_PER_USER_MAX {
        store
            .open_session(&Session { sid: format!("s{n}"), ..session.clone() }, NOW)
            .await
            .unwrap();
    }
    server.tell(&["DEL", &format!("lk:{{{user}}}:session:s7")]).await;
    server.tell(&["LPUSH", &format!("lk:{{{user}}}:session:s7"), "x"]).await;
    store.open_session(&session, NOW).await.unwrap();
    let sessions = store.sessions(user, NOW).await.unwrap();
    assert_eq!(sessions.len(), SESSIONS_PER_USER_MAX, "the one that was spoilt made room");

    let token = new_token(user);
    let key = format!("lk:{{{user}}}:token:recover");
    let index = format!("lk:t:{}", token.digest);
    server.tell(&["LPUSH", &key, "x"]).await;
    assert_eq!(store.put_token(&token, NOW).await.unwrap(), PutToken::Stored);
    assert_eq!(store.find_token(&token.digest, NOW).await.unwrap().as_ref(), Some(&token));
    for spoilt in [&key, &index] {
        store.put_token(&token, NOW).await.unwrap();
        server.tell(&["DEL", spoilt]).await;
        server.tell(&["LPUSH", spoilt, "x"]).await;
        assert_eq!(store.find_token(&token.digest, NOW).await.unwrap(), None);
    }
    server.tell(&["LPUSH", &key, "x"]).await;
    store.drop_token(user, token.kind, Some(token.row_id)).await.unwrap();
    for junk in ["no address", "", ":"] {
        server.tell(&["SET", &index, junk]).await;
        assert_eq!(store.find_token(&token.digest, NOW).await.unwrap(), None);
    }
}

#[tokio::test]
async fn limits_that_cannot_be_read_start_again() {
    let server = Server::start().await;
    let store = server.store();
    for spoil in
        [["SET", "lk:once:key", "x"].as_slice(), &["HSET", "lk:once:key", "expires_at", "x"]]
    {
        server.tell(&["DEL", "lk:once:key"]).await;
        server.tell(spoil).await;
        assert_eq!(store.spend_once("key", NOW + 1, NOW).await.unwrap(), Spend::First);
        assert_eq!(store.spend_once("key", NOW + 1, NOW).await.unwrap(), Spend::Again);
    }
    let quota = Quota { burst: 1, period: Duration::from_secs(1) };
    let charge = Charge { key: "key".to_owned(), quota, cost: 1 };
    for spoil in [
        ["SET", "lk:budget:{key}", "soon"],
        ["SET", "lk:budget:{key}", "inf"],
        ["LPUSH", "lk:budget:{key}", "x"],
    ] {
        server.tell(&["DEL", "lk:budget:{key}"]).await;
        server.tell(&spoil).await;
        let verdict = store.spend_budgets(std::slice::from_ref(&charge), NOW).await.unwrap();
        assert_eq!(verdict, BudgetVerdict::Allowed { remaining: 0 }, "{spoil:?}");
        server.tell(&["DEL", "lk:budget:{key}"]).await;
        server.tell(&spoil).await;
        assert_eq!(store.read_budget("key", quota, NOW).await.unwrap(), (1, None));
    }
    let rules = &attempts_suite::BACK_OFF;
    let attempt = AttemptKey { account: "key", client: "a", kind: ClientKind::Anonymous };
    let admit = async || store.admit_attempt(rules, attempt, attempts_suite::NO_CAPTCHA, NOW).await;
    for (field, value) in
        [("expires_at", "soon"), ("faded_at", "x"), ("a", "1 2 3"), ("open_at", "inf")]
    {
        let spoil = async || {
            admit().await.unwrap();
            server.tell(&["HSET", "lk:{key}:guesses", field, value]).await;
        };
        spoil().await;
        assert_eq!(store.attempts("key", NOW).await.unwrap(), None, "{field}");
        let verdict = admit().await.unwrap();
        if field != "open_at" {
            assert_eq!(verdict, AttemptVerdict::Admitted { failures: 1 }, "{field}");
        }
        store.forget_attempts("key").await.unwrap();
        spoil().await;
        store.reset_attempts(rules, attempt, NOW).await.unwrap();
        store.forget_attempts("key").await.unwrap();
        spoil().await;
        store.cancel_attempt(rules, attempt, NOW).await.unwrap();
        store.forget_attempts("key").await.unwrap();
        spoil().await;
        store.prove_client(rules, "key", "a", NOW).await.unwrap();
        store.forget_attempts("key").await.unwrap();
    }
    server.tell(&["SET", "lk:{key}:guesses", "x"]).await;
    assert_eq!(admit().await.unwrap(), AttemptVerdict::Admitted { failures: 1 });
    server.tell(&["SET", "lk:{probe-13}:hash", "x"]).await;
    server.tell(&["SET", "lk:{probe-13}:set", "x"]).await;
    server.tell(&["LPUSH", "lk:{probe-13}:string", "x"]).await;
    store.probe_write(NOW).await.unwrap();
    store.forget_attempts("key").await.unwrap();
    // A record that an earlier release wrote does not count.
    server
        .tell(&["HSET", "lk:{key}:guesses", "failures", "3", "era", "0", "kept_until", "9"])
        .await;
    assert_eq!(store.attempts("key", NOW).await.unwrap(), None);
    assert_eq!(admit().await.unwrap(), AttemptVerdict::Admitted { failures: 1 });
    assert_eq!(store.attempts("key", NOW).await.unwrap().unwrap().clients.len(), 1);
    assert!(store.forget_attempts("key").await.unwrap());
}

#[tokio::test]
async fn values_that_sqlite_cannot_read_as_text_count_as_absent() {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/t.db", dir.path().display());
    let db = Db::connect(&config::Database::at(&url)).await.unwrap();
    db.migrate().await.unwrap();
    let store = Store::embedded(db.clone(), mac());
    let session = suite::new_session();
    let user = session.user_id;
    let token = new_token(user);
    let rules = &attempts_suite::BACK_OFF;
    let attempt = AttemptKey { account: "key", client: "a", kind: ClientKind::Anonymous };
    let quota = Quota { burst: 1, period: Duration::from_secs(1) };
    let charge = Charge { key: "key".to_owned(), quota, cost: 1 };
    for value in ["CAST(x'fffe' AS blob)", "CAST(x'fffe' AS text)", "7", "''", "'{'"] {
        let admit =
            async || store.admit_attempt(rules, attempt, attempts_suite::NO_CAPTCHA, NOW).await;
        store.open_session(&session, NOW).await.unwrap();
        store.put_token(&token, NOW).await.unwrap();
        store.spend_once("key", NOW + 1, NOW).await.unwrap();
        store.spend_budgets(std::slice::from_ref(&charge), NOW).await.unwrap();
        admit().await.unwrap();
        let spoil = format!("UPDATE token_store SET value = {value}, expires_at = 'x'");
        db.writer().execute_unprepared(&spoil).await.unwrap();
        assert_eq!(store.session(user, &session.sid, NOW).await.unwrap(), None, "{value}");
        assert_eq!(store.sessions(user, NOW).await.unwrap(), [], "{value}");
        assert_eq!(store.find_token(&token.digest, NOW).await.unwrap(), None, "{value}");
        let spent = store.spend_once("key", NOW + 1, NOW).await.unwrap();
        if value != "7" {
            let verdict = store.spend_budgets(std::slice::from_ref(&charge), NOW).await.unwrap();
            assert_eq!(verdict, BudgetVerdict::Allowed { remaining: 0 }, "{value}");
        }
        assert_eq!(spent, Spend::First, "{value}");
        assert_eq!(admit().await.unwrap(), AttemptVerdict::Admitted { failures: 1 }, "{value}");
        assert_eq!(store.put_token(&token, NOW).await.unwrap(), PutToken::Stored, "{value}");
        assert_eq!(store.find_token(&token.digest, NOW).await.unwrap().as_ref(), Some(&token));
        store.open_session(&session, NOW).await.unwrap();
        assert_eq!(
            store.sessions(user, NOW).await.unwrap(),
            std::slice::from_ref(&session),
            "{value}"
        );
        assert_eq!(store.end_sessions(user, None).await.unwrap(), 1, "{value}");
        store.forget_attempts("key").await.unwrap();
        store.forget_budget("key").await.unwrap();
        store.spend_once("key", NOW + 1, NOW).await.unwrap();
    }
}

both!(values_that_cannot_be_read_lock_no_user_out, async |app| {
    let mut ada = app.verified("ada@example.org").await;
    let (user, raw) = (user_of(&ada), Raw::of(app).await);
    let recover = token_key(user, TokenKind::Recover);
    let before = refused_records(app).await;
    raw.spoil(&session_key(user, &claim(&ada, "sid"))).await;
    ada.me().await.expect_problem(401, "invalid-token");
    raw.spoil(&format!("lk:{{{user}}}:sessions")).await;
    ada.login().await.expect(200);
    raw.spoil(&recover).await;
    app.anonymous().forgot(&ada.email).await.expect(200);
    let link = app.mail_to(&ada.email).await.token().to_owned();
    raw.spoil(&format!("lk:{{{user}}}:sessions")).await;
    app.anonymous().reset(&link, NEW_PASSWORD).await.expect(200);
    app.mail_to(&ada.email).await;
    raw.spoil("lk:t:digest").await;
    app.anonymous().reset(&link, NEW_PASSWORD).await.expect_problem(400, "token-invalid");
    assert!(refused_records(app).await >= before + 2.0);
});
