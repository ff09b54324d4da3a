//! Tests with a Redis that responds but accepts no writes: a replica, a server without free memory,
//! a server that denies the daemon's user a right that it needs, and a server that cannot save.
//! `/readyz` shows the reason, no operation is half done, and writes succeed again when the server
//! accepts them.

use std::fs;
use std::time::Duration;

use super::{HEALED, becomes_degraded, becomes_ready, heals, is_unavailable, through, timed};
use crate::app::{Backend, TestApp};
use crate::client::Person;
use crate::poll::eventually;
use crate::servers::{PrivateServer, redis_connection};

const STORE: &str = "tokenStore";

/// The smallest set of rights that is enough for all functions. docs/secure.md lists the same
/// rights.
const LEAST: &str = "~lk:* +@read +@write +eval +evalsha +script|load +ping +time +select";

async fn start(url: &str) -> TestApp {
    TestApp::builder(Backend::Servers).set("redis.url", url).start().await
}

/// Checks that logins are refused and that a refused registration leaves no account.
async fn refuses(app: &TestApp, person: &Person) {
    let nobody = app.anonymous();
    is_unavailable(timed("login", nobody.login(&person.email, &person.password)).await);
    let new = "half-done@faults.example";
    is_unavailable(timed("register", nobody.register(new, "nine lives of a cat", "A")).await);
    assert_eq!(nobody.exists(new).await.expect(200).text(), "false", "nothing is half done");
}

async fn knows(server: &PrivateServer, word: &str) {
    eventually(word, HEALED, async || {
        let info: String = server.redis_command("INFO").await;
        info.contains(word).then_some(())
    })
    .await;
}

/// Makes a server the replica of another server, and waits until the replica has the data.
async fn follow(replica: &PrivateServer, primary: &PrivateServer) {
    let port = primary.address().port();
    let _: String = replica.redis_command(&format!("REPLICAOF 127.0.0.1 {port}")).await;
    knows(replica, "master_link_status:up").await;
}

async fn promote(server: &PrivateServer) {
    let _: String = server.redis_command("REPLICAOF NO ONE").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_is_no_token_store_until_it_is_promoted_on_servers() {
    let (server, other) = (PrivateServer::redis().await, PrivateServer::redis().await);
    let app = start(&server.url()).await;
    let mut person = app.verified("ada@replica.example").await;
    follow(&other, &server).await;
    promote(&other).await;
    follow(&server, &other).await;
    becomes_degraded(&app, STORE, "read-only").await;
    refuses(&app, &person).await;

    promote(&server).await;
    becomes_ready(&app).await;
    heals(&app, &mut person).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_moves_to_the_new_primary_is_followed_on_servers() {
    let (old, new) = (PrivateServer::redis().await, PrivateServer::redis().await);
    let (proxy, url) = through(&format!("{}/0", old.url())).await;
    let app = start(&url).await;
    let mut person = app.verified("ada@name.example").await;
    follow(&new, &old).await;

    // The old primary becomes a replica of the new primary. The daemon's connections to the old
    // primary stay open.
    promote(&new).await;
    follow(&old, &new).await;
    becomes_degraded(&app, STORE, "read-only").await;
    proxy.move_to(new.address());
    eventually("a log-in", HEALED, async || (person.login().await.status == 200).then_some(()))
        .await;
    for _ in 0..10 {
        person.login().await.expect(200);
    }
    becomes_ready(&app).await;
    heals(&app, &mut person).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_redis_is_told_until_it_has_memory_again_on_servers() {
    let server = PrivateServer::redis().await;
    let app = start(&server.url()).await;
    let mut person = app.verified("ada@full.example").await;
    let _: String = server.redis_command("CONFIG SET maxmemory 1").await;
    becomes_degraded(&app, STORE, "out-of-memory").await;
    refuses(&app, &person).await;
    let received = received_connections(&server).await;
    for _ in 0..50 {
        app.anonymous().login(&person.email, &person.password).await.expect(503);
    }
    assert!(received_connections(&server).await - received < 10, "refusals do not reconnect");

    let _: String = server.redis_command("CONFIG SET maxmemory 0").await;
    becomes_ready(&app).await;
    heals(&app, &mut person).await;
    app.finish().await;
}

async fn received_connections(server: &PrivateServer) -> u64 {
    let info: String = server.redis_command("INFO stats").await;
    let line = info.lines().find_map(|line| line.strip_prefix("total_connections_received:"));
    line.and_then(|number| number.trim().parse().ok()).expect("a number")
}

/// Starts a Redis with a user `lk` that has these rights, and returns the URL of that user.
async fn with_rights(rights: &str) -> (PrivateServer, String) {
    let server = PrivateServer::redis().await;
    let _: String = server.redis_command(&format!("ACL SETUSER lk on >hunter2 {rights}")).await;
    let url = server.url().replace("redis://", "redis://lk:hunter2@");
    (server, url)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_least_rights_are_enough_and_each_that_is_missing_is_found_on_servers() {
    assert!(include_str!("../../../docs/secure.md").contains(LEAST), "the page has these rights");
    let (server, url) = with_rights(LEAST).await;
    let app = start(&url).await;
    let mut person = app.verified("ada@rights.example").await;
    becomes_ready(&app).await;
    // These requests write every kind of entry: sessions, a rotation, a mailed token, and the end
    // of every session.
    person.refresh().await.expect(200);
    person.another_device().await.sessions().await.expect(200);
    app.anonymous().forgot(&person.email).await.expect(200);
    let link = app.mail_to(&person.email).await;
    app.anonymous().reset(link.token(), "a password of another kind").await.expect(200);
    "a password of another kind".clone_into(&mut person.password);
    person.login().await.expect(200);
    person.logout().await.expect(204);
    person.login().await.expect(200);

    for (taken, given) in
        [("-time", "+time"), ("-evalsha", "+evalsha"), ("resetkeys ~other:*", "resetkeys ~lk:*")]
    {
        let set = async |rights: &str| {
            let _: String = server.redis_command(&format!("ACL SETUSER lk {rights}")).await;
        };
        set(taken).await;
        becomes_degraded(&app, STORE, "no-permission").await;
        is_unavailable(timed("refresh", person.as_user().get("/api/refresh")).await);
        set(given).await;
        becomes_ready(&app).await;
        person.refresh().await.expect(200);
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_cannot_save_is_told_until_it_can_on_servers() {
    let saves = ["--save", "3600 1"].map(str::to_owned);
    let server = PrivateServer::redis_with(saves.into()).await;
    let app = start(&server.url()).await;
    let mut person = app.verified("ada@unsaved.example").await;
    // Redis cannot save its snapshot, because a directory has the name of the snapshot file.
    let in_the_way = server.directory().join("dump.rdb");
    fs::create_dir(&in_the_way).expect("made");
    let _: String = server.redis_command("BGSAVE").await;
    knows(&server, "rdb_last_bgsave_status:err").await;
    becomes_degraded(&app, STORE, "persistence-failing").await;
    refuses(&app, &person).await;

    fs::remove_dir(&in_the_way).expect("removed");
    let _: String = server.redis_command("BGSAVE").await;
    becomes_ready(&app).await;
    heals(&app, &mut person).await;
    app.finish().await;
}

/// The maximum time until the token store is up again after the server accepts the daemon again.
const LET_IN: Duration = Duration::from_secs(2);

/// Takes the daemon's access to Redis away and ends every connection. After the first refused
/// request, `/readyz` must report the reason. Then gives the access back, and the daemon must
/// connect again by itself.
async fn is_refused_and_let_in(
    (app, person): (&TestApp, &mut Person),
    operator: &mut redis::aio::MultiplexedConnection,
    (refuse, reason, admit): (&str, &str, &str),
) {
    let mut ask = async |line: &str| {
        let mut command = redis::Cmd::new();
        command.arg(line.split(' ').collect::<Vec<_>>());
        command.exec_async(operator).await.expect(line);
    };
    ask(refuse).await;
    ask("CLIENT KILL TYPE normal SKIPME yes").await;
    is_unavailable(timed("me", person.me()).await);
    let ready = app.admin().get("/readyz").await.expect(200).json();
    assert_eq!(ready["reasons"]["tokenStore"], reason, "the first request told it: {refuse}");
    refuses(app, person).await;
    becomes_degraded(app, STORE, reason).await;

    ask(admit).await;
    eventually("the token store", LET_IN, async || (person.me().await.status == 200).then_some(()))
        .await;
    becomes_ready(app).await;
    heals(app, person).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_redis_refuses_is_tried_until_it_is_let_in_on_servers() {
    let (server, url) = with_rights(LEAST).await;
    let mut operator = redis_connection(&server.url()).await.expect("connected");
    let app = start(&format!("{url}/1")).await;
    let mut person = app.verified("ada@refused.example").await;
    for fault in [
        ("ACL SETUSER lk -select", "no-permission", "ACL SETUSER lk +select"),
        ("ACL SETUSER lk <hunter2 >another", "authentication", "ACL SETUSER lk >hunter2"),
        ("ACL SETUSER lk off", "authentication", "ACL SETUSER lk on"),
    ] {
        is_refused_and_let_in((&app, &mut person), &mut operator, fault).await;
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_wants_a_password_is_told_until_it_wants_none_on_servers() {
    let server = PrivateServer::redis().await;
    let mut operator = redis_connection(&server.url()).await.expect("connected");
    for number in ["", "/1"] {
        let app = start(&format!("{}{number}", server.url())).await;
        let mut person = app.verified("ada@password.example").await;
        let fault = ("CONFIG SET requirepass x", "authentication", "CONFIG SET requirepass ");
        is_refused_and_let_in((&app, &mut person), &mut operator, fault).await;
        app.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_number_that_redis_does_not_have_is_named_on_servers() {
    let server = PrivateServer::redis().await;
    let app = start(&format!("{}/99", server.url())).await;
    becomes_degraded(&app, STORE, "refused").await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_takes_no_more_clients_is_told_until_it_does_on_servers() {
    let server = PrivateServer::redis().await;
    let mut operator = redis_connection(&server.url()).await.expect("connected");
    let app = start(&server.url()).await;
    let mut person = app.verified("ada@clients.example").await;
    for (line, then) in [
        ("CONFIG SET maxclients 1", "CLIENT KILL TYPE normal SKIPME yes"),
        ("CONFIG SET maxclients 1000", "PING"),
    ] {
        for line in [line, then] {
            let mut command = redis::Cmd::new();
            command.arg(line.split(' ').collect::<Vec<_>>());
            command.exec_async(&mut operator).await.expect(line);
        }
        if then != "PING" {
            becomes_degraded(&app, STORE, "too-many-connections").await;
            refuses(&app, &person).await;
        }
    }
    becomes_ready(&app).await;
    heals(&app, &mut person).await;
    app.finish().await;
}
