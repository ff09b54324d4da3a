//! PostgreSQL and Redis down, cut off, and slow.

use latchkey_entity::{outbox, user};
use sea_orm::{EntityTrait as _, PaginatorTrait as _};

use super::{Unverified, all_refuse, heals, is_degraded, is_unavailable, through, timed};
use crate::app::{Backend, TestApp};
use crate::servers::{PrivateServer, Signal, TestDatabase, redis_space};

/// People and mails.
async fn rows(app: &TestApp) -> (u64, u64) {
    let db = app.inside().db.reader();
    let people = user::Entity::find().count(db).await.expect("counted");
    (people, outbox::Entity::find().count(db).await.expect("counted"))
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_down_refuses_in_time_creates_nothing_and_heals_on_servers() {
    let mut redis = PrivateServer::redis().await;
    let app = TestApp::builder(Backend::Servers).set("redis.url", &redis.url()).start().await;
    let mut person = app.verified("ada@redis-down.example").await;
    let later = Unverified::register(&app).await;
    let before = rows(&app).await;
    redis.signal(Signal::Kill);
    all_refuse(&app, &person, &later).await;
    assert_eq!(rows(&app).await, before, "a refused registration leaves nothing");
    is_degraded(&app, "tokenStore").await;
    // What the database alone knows is still known.
    assert_eq!(app.anonymous().exists(&person.email).await.expect(200).text(), "true");
    redis.restart().await;
    heals(&app, &mut person).await;
    let new = app.register("new@faults.example").await;
    app.mail_to(&new.email).await;
    later.follows_the_link(&app).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgresql_down_refuses_in_time_and_heals_on_servers() {
    let mut postgres = PrivateServer::postgres().await;
    let app = TestApp::builder(Backend::Servers).set("database.url", &postgres.url()).start().await;
    let mut person = app.verified("ada@postgres-down.example").await;
    let later = Unverified::register(&app).await;
    let before = rows(&app).await;
    postgres.signal(Signal::Quit);
    all_refuse(&app, &person, &later).await;
    let nobody = app.anonymous();
    is_unavailable(timed("exist-email", nobody.exists(&person.email)).await);
    is_unavailable(timed("exist-email", nobody.exists("nobody@faults.example")).await);
    is_unavailable(timed("forgot", nobody.forgot(&person.email)).await);
    is_unavailable(timed("forgot", nobody.forgot("nobody@faults.example")).await);
    is_unavailable(timed("logout", person.logout()).await);
    is_degraded(&app, "database").await;
    postgres.restart().await;
    heals(&app, &mut person).await;
    assert_eq!(rows(&app).await, before);
    later.follows_the_link(&app).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_does_not_answer_is_not_waited_for_on_servers() {
    let (proxy, url) = through(&redis_space().await).await;
    let app = TestApp::builder(Backend::Servers).set("redis.url", &url).start().await;
    let mut person = app.verified("ada@redis-slow.example").await;
    let later = Unverified::register(&app).await;
    let before = rows(&app).await;
    proxy.stall();
    all_refuse(&app, &person, &later).await;
    all_refuse(&app, &person, &later).await;
    assert_eq!(rows(&app).await, before);
    is_degraded(&app, "tokenStore").await;
    proxy.heal();
    heals(&app, &mut person).await;
    proxy.cut();
    all_refuse(&app, &person, &later).await;
    proxy.heal();
    heals(&app, &mut person).await;
    later.follows_the_link(&app).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_postgresql_that_does_not_answer_is_not_waited_for_on_servers() {
    let database = TestDatabase::create().await;
    let (proxy, url) = through(&database.url()).await;
    let app = TestApp::builder(Backend::Servers).set("database.url", &url).start().await;
    let mut person = app.verified("ada@postgres-slow.example").await;
    let later = Unverified::register(&app).await;
    proxy.stall();
    all_refuse(&app, &person, &later).await;
    all_refuse(&app, &person, &later).await;
    is_degraded(&app, "database").await;
    proxy.heal();
    heals(&app, &mut person).await;
    proxy.cut();
    all_refuse(&app, &person, &later).await;
    proxy.heal();
    heals(&app, &mut person).await;
    later.follows_the_link(&app).await;
    app.finish().await;
}

/// Whoever logs out is told the truth: 204 means ended, also when the token store comes back with the session in it.
#[tokio::test(flavor = "multi_thread")]
async fn a_logout_while_redis_is_down_is_an_ending_or_a_503_on_servers() {
    let mut redis = PrivateServer::redis().await;
    let app = TestApp::builder(Backend::Servers).set("redis.url", &redis.url()).start().await;
    let person = app.verified("ada@logout-down.example").await;
    let mut other = person.another_device().await;
    redis.signal(Signal::Kill);
    let logout = timed("logout", person.logout()).await;
    let ended = logout.1.status == 204;
    if !ended {
        is_unavailable(logout);
    }
    redis.restart().await;
    heals(&app, &mut other).await;
    let expected = if ended { 401 } else { 200 };
    person.me().await.expect(expected);
    app.finish().await;
}
