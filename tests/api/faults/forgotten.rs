//! Tests with a Redis that has lost data. A session that has ended stays ended, and no valid
//! session ends because of the loss.

use redis::aio::MultiplexedConnection;

use crate::app::{Backend, TestApp};
use crate::client::Person;
use crate::servers::{redis_connection, redis_space};

/// Starts a daemon and opens a connection to the Redis database of its token store.
async fn start() -> (TestApp, MultiplexedConnection) {
    let url = redis_space().await;
    let app = TestApp::builder(Backend::Servers).set("redis.url", &url).start().await;
    (app, redis_connection(&url).await.expect("connected"))
}

/// Returns every key with its value and its remaining lifetime. `RESTORE` needs both.
async fn backup(redis: &mut MultiplexedConnection) -> Vec<(String, Vec<u8>, i64)> {
    let keys: Vec<String> = redis::cmd("KEYS").arg("*").query_async(redis).await.expect("listed");
    let mut kept = Vec::new();
    for key in keys {
        let value: Vec<u8> = redis::cmd("DUMP").arg(&key).query_async(redis).await.expect("dumped");
        let left: i64 = redis::cmd("PTTL").arg(&key).query_async(redis).await.expect("told");
        kept.push((key, value, left.max(0)));
    }
    assert!(!kept.is_empty());
    kept
}

/// Restores an earlier state of the store. All writes after that state are lost.
async fn restore(redis: &mut MultiplexedConnection, backup: &[(String, Vec<u8>, i64)]) {
    flush(redis).await;
    for (key, value, left) in backup {
        let mut command = redis::cmd("RESTORE");
        command.arg(key).arg(left).arg(value);
        command.exec_async(redis).await.expect("restored");
    }
}

async fn flush(redis: &mut MultiplexedConnection) {
    redis::cmd("FLUSHDB").exec_async(redis).await.expect("flushed");
}

async fn is_ended(person: &Person) {
    person.me().await.expect_problem(401, "invalid-token");
    let refresh = person.as_user().get("/api/refresh").await;
    refresh.expect_problem(401, "invalid-token");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_flush_everybody_may_log_in_again_on_servers() {
    let (app, mut redis) = start().await;
    let person = app.verified("ada@flushed.example").await;
    flush(&mut redis).await;
    is_ended(&person).await;
    let mut again = person.clone();
    again.login().await.expect(200);
    again.me().await.expect(200);
    // The loss also removed the scripts, and the daemon loaded them again.
    again.refresh().await.expect(200);
    app.no_mail_to(&person.email).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_was_logged_out_stays_out_on_servers() {
    let (app, mut redis) = start().await;
    let person = app.verified("ada@out.example").await;
    let other = person.another_device().await;
    let before = backup(&mut redis).await;
    person.logout().await.expect(204);
    restore(&mut redis, &before).await;
    is_ended(&person).await;
    other.me().await.expect(200);
    let sessions = other.sessions().await.expect(200).json();
    let listed = sessions["items"].as_array().expect("a list");
    assert!(listed.iter().all(|session| session["sid"] != person.sid), "{listed:?}");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_another_device_ended_stays_ended_on_servers() {
    let (app, mut redis) = start().await;
    let person = app.verified("ada@others.example").await;
    let (one, two) = (person.another_device().await, person.another_device().await);
    let before = backup(&mut redis).await;
    person.as_user().delete(&format!("/api/sessions/{}", one.sid)).await.expect(204);
    restore(&mut redis, &before).await;
    is_ended(&one).await;
    two.me().await.expect(200);
    person.as_user().delete("/api/sessions").await.expect(204);
    restore(&mut redis, &before).await;
    is_ended(&one).await;
    is_ended(&two).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_ends_every_session_for_good_and_its_token_works_once_on_servers() {
    let (app, mut redis) = start().await;
    let person = app.verified("ada@reset.example").await;
    app.anonymous().forgot(&person.email).await.expect(200);
    let mail = app.mail_to(&person.email).await;
    let before = backup(&mut redis).await;
    app.anonymous().reset(mail.token(), "a new life of a cat").await.expect(200);
    app.mail_to(&person.email).await;
    restore(&mut redis, &before).await;
    is_ended(&person).await;
    let twice = app.anonymous().reset(mail.token(), "a thief's own password").await;
    twice.expect_problem(400, "token-invalid");
    app.anonymous().login(&person.email, "a new life of a cat").await.expect(200);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stolen_session_stays_ended_on_servers() {
    let (app, mut redis) = start().await;
    let mut person = app.verified("ada@stolen.example").await;
    let first = person.clone();
    person.refresh().await.expect(200);
    person.refresh().await.expect(200);
    let before = backup(&mut redis).await;
    let reused = first.as_user().get("/api/refresh").await;
    reused.expect_problem(401, "refresh-reused");
    app.mail_to(&person.email).await;
    restore(&mut redis, &before).await;
    is_ended(&person).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_ahead_of_the_store_is_a_plain_401_that_ends_nothing_on_servers() {
    let (app, mut redis) = start().await;
    let before_refresh = app.verified("ada@ahead.example").await;
    let backup = backup(&mut redis).await;
    let mut ahead = before_refresh.clone();
    ahead.refresh().await.expect(200);
    restore(&mut redis, &backup).await;
    is_ended(&ahead).await;
    is_ended(&ahead).await;
    let mut person = before_refresh;
    person.me().await.expect(200);
    person.refresh().await.expect(200);
    person.me().await.expect(200);
    app.no_mail_to(&person.email).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verification_that_was_used_is_used_for_good_on_servers() {
    let (app, mut redis) = start().await;
    let mut person = app.register("ada@verified.example").await;
    let mail = app.mail_to(&person.email).await;
    let before = backup(&mut redis).await;
    person.verify(mail.token()).await.expect(200);
    restore(&mut redis, &before).await;
    let again = app.anonymous().verify(mail.token()).await;
    again.expect_problem(409, "already-verified");
    let teams = person.another_device().await.as_user().get("/api/teams").await.expect(200).json();
    assert_eq!(teams["items"].as_array().map(Vec::len), Some(1));
    app.finish().await;
}
