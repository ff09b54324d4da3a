//! Tests with a PostgreSQL and a Redis that are down, cut off or slow.

use std::time::Duration;

use latchkey_entity::{outbox, user};
use sea_orm::{EntityTrait as _, PaginatorTrait as _};

use super::{
    Unverified, all_refuse, becomes_degraded, heals, is_degraded, is_unavailable, through, timed,
};
use crate::app::{Backend, TestApp};
use crate::poll::eventually;
use crate::servers::{PrivateServer, Signal, TestDatabase, redis_space};

const PATIENCE: Duration = Duration::from_secs(20);
const DATABASE: &str = "database";
/// For each store, the setting that contains its URL, and its name as a dependency in `/readyz`.
const POSTGRES: (&str, &str) = ("database.url", DATABASE);
const REDIS: (&str, &str) = ("redis.url", "tokenStore");

/// Returns the number of users and the number of mails.
async fn rows(app: &TestApp) -> (u64, u64) {
    let db = app.inside().db.reader();
    let people = user::Entity::find().count(db).await.expect("counted");
    (people, outbox::Entity::find().count(db).await.expect("counted"))
}

/// Stops a server and starts it again. The requests that were refused must have written nothing.
/// After the restart everything must work again.
async fn comes_back(mut server: PrivateServer, (setting, dependency): (&str, &str), end: Signal) {
    let url = server.url();
    let app = TestApp::builder(Backend::Servers).set(setting, &url).start().await;
    let mut person = app.verified("ada@down.example").await;
    let later = Unverified::register(&app).await;
    let before = rows(&app).await;
    server.signal(end);
    all_refuse(&app, &person, &later).await;
    is_degraded(&app, dependency).await;
    becomes_degraded(&app, dependency, "unreachable").await;
    let nobody = app.anonymous();
    let exists = timed("exist-email", nobody.exists(&person.email)).await;
    if dependency == DATABASE {
        is_unavailable(exists);
        is_unavailable(timed("exist-email", nobody.exists("nobody@faults.example")).await);
        is_unavailable(timed("forgot", nobody.forgot(&person.email)).await);
        is_unavailable(timed("forgot", nobody.forgot("nobody@faults.example")).await);
        is_unavailable(timed("logout", person.logout()).await);
    } else {
        // This request needs only the database, so it works while Redis is down.
        assert_eq!(exists.1.expect(200).text(), "true");
    }
    server.restart().await;
    heals(&app, &mut person).await;
    assert_eq!(rows(&app).await, before, "a refused registration leaves nothing");
    let new = app.register("new@faults.example").await;
    app.mail_to(&new.email).await;
    later.follows_the_link(&app).await;
    app.finish().await;
}

/// Makes a server stop responding, and later cuts its connections. No request waits for this
/// server. In the end everything must work again.
async fn is_not_waited_for(url: &str, (setting, dependency): (&str, &str)) {
    let (proxy, url) = through(url).await;
    let app = TestApp::builder(Backend::Servers).set(setting, &url).start().await;
    let mut person = app.verified("ada@slow.example").await;
    let later = Unverified::register(&app).await;
    let before = rows(&app).await;
    proxy.stall();
    all_refuse(&app, &person, &later).await;
    all_refuse(&app, &person, &later).await;
    is_degraded(&app, dependency).await;
    proxy.heal();
    heals(&app, &mut person).await;
    // A commit in the database has perhaps succeeded although its response was lost.
    if dependency != DATABASE {
        assert_eq!(rows(&app).await, before);
    }
    proxy.cut();
    all_refuse(&app, &person, &later).await;
    proxy.heal();
    heals(&app, &mut person).await;
    later.follows_the_link(&app).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_down_refuses_in_time_creates_nothing_and_heals_on_servers() {
    Box::pin(comes_back(PrivateServer::redis().await, REDIS, Signal::Kill)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgresql_down_refuses_in_time_and_heals_on_servers() {
    Box::pin(comes_back(PrivateServer::postgres().await, POSTGRES, Signal::Quit)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_does_not_answer_is_not_waited_for_on_servers() {
    Box::pin(is_not_waited_for(&redis_space().await, REDIS)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_postgresql_that_does_not_answer_is_not_waited_for_on_servers() {
    let database = TestDatabase::create().await;
    Box::pin(is_not_waited_for(&database.url(), POSTGRES)).await;
}

/// The counts of attempts and mails are in Redis, which is up. A request that gets a 503 must not
/// stay in these counts.
#[tokio::test(flavor = "multi_thread")]
async fn while_postgresql_is_away_nobody_spends_a_guess_or_a_mail_on_servers() {
    let database = TestDatabase::create().await;
    let (proxy, url) = through(&database.url()).await;
    let settings = TestApp::builder(Backend::Servers).set("database.url", &url);
    let app = settings.set("rate_limit.enabled", "true").start().await;
    let person = app.verified("ada@away.example").await;
    let nobody = app.anonymous();
    proxy.cut();
    for _ in 0..8 {
        nobody.login(&person.email, &person.password).await.expect(503);
    }
    for _ in 0..4 {
        nobody.forgot(&person.email).await.expect(503);
    }
    proxy.heal();
    eventually("the database", PATIENCE, async || (person.me().await.status == 200).then_some(()))
        .await;
    nobody.login(&person.email, &person.password).await.expect(200);
    nobody.forgot(&person.email).await.expect(200);
    assert!(app.mail_to(&person.email).await.token.is_some(), "a link that sets a password");
    app.finish().await;
}

/// A 204 must mean that the session has ended, even if the token store still contains the session
/// after the outage. If the daemon cannot promise this, the logout gets a 503.
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
