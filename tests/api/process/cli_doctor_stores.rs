//! Tests with stores that respond but accept no writes. `doctor` fails and shows the cause and the
//! remedy. The daemon logs the cause once.

use super::cli_doctor::{JSON, says};
use super::{Ended, PATIENCE, Place};
use crate::faults::cluster::cluster;
use crate::poll::eventually;
use crate::servers::{PrivateServer, TestDatabase, redis_connection};

/// Returns the remedies of a failed check.
fn remedies(ended: &Ended, check: &str) -> String {
    let report: serde_json::Value = serde_json::from_str(&ended.stdout()).expect("JSON");
    let all = report["checks"].as_array().expect("a list").iter();
    let of_failed = all.filter(|it| it["check"] == check && it["state"] == "failed");
    of_failed.filter_map(|it| it["remedy"].as_str()).collect::<Vec<_>>().join("\n")
}

#[track_caller]
fn fails(place: &Place, check: &str, (detail, remedy): (&str, &str)) {
    let ended = place.run(JSON).expect(3);
    says(&ended, check, &format!("failed {detail}"));
    let remedies = remedies(&ended, check);
    assert!(remedies.contains(remedy), "no `{remedy}` in: {remedies}");
}

fn place(database: &str) -> Place {
    Place::new().set("database.url", database).set("secrets.master_key", &"A".repeat(43))
}

#[tokio::test]
async fn a_postgresql_that_takes_no_writes_is_told_with_the_fix_on_servers() {
    let server = PrivateServer::postgres().await;
    let on_primary = place(&server.url());
    on_primary.run(&["migrate", "up"]).expect(0);
    says(&on_primary.run(JSON).expect(0), "database", "ok accepts writes");

    let standby = PrivateServer::standby_of(&server).await;
    let on_standby = place(&standby.url());
    fails(
        &on_standby,
        "database",
        ("the server is a standby", "set `database.url` to the primary"),
    );
    // A command that only reads reports the same cause, and it does not hang.
    let told = on_standby.run(&["users", "list"]).expect(69).stderr();
    assert!(told.contains("the server is a standby (in recovery) and accepts no writes"), "{told}");
    standby.promote();
    says(&on_standby.run(JSON).expect(0), "database", "ok accepts writes");

    let read_only = ("the server accepts no writes", "set default_transaction_read_only to off");
    server.sql("ALTER ROLE postgres SET default_transaction_read_only = on").await;
    fails(&on_primary, "database", read_only);
}

#[tokio::test]
async fn a_daemon_waits_for_a_standby_to_be_promoted_and_says_why_on_servers() {
    let server = PrivateServer::postgres().await;
    place(&server.url()).run(&["migrate", "up"]).expect(0);
    let standby = PrivateServer::standby_of(&server).await;
    let mut place = place(&standby.url());
    let daemon = place.spawn();
    eventually("the reason", PATIENCE, async || {
        daemon.log().contains("the server is a standby (in recovery)").then_some(())
    })
    .await;
    assert!(daemon.line("listening").is_none());
    standby.promote();
    daemon.says("listening").await;
}

#[tokio::test]
async fn a_redis_that_takes_no_writes_is_told_with_the_fix_on_servers() {
    let database = TestDatabase::create().await;
    let server = PrivateServer::redis().await;
    let mut place = place(&database.url()).set("redis.url", &server.url());
    place.run(&["migrate", "up"]).expect(0);
    let ended = place.run(JSON).expect(0);
    says(&ended, "token store", "ok accepts writes");
    says(&ended, "token store", "ok is a primary");
    let set = async |line: &str| {
        let _: String = server.redis_command(line).await;
    };

    set("CONFIG SET maxmemory 1").await;
    fails(&place, "token store", ("accepts no writes (out-of-memory)", "raise maxmemory"));
    set("CONFIG SET maxmemory 0").await;

    let other = PrivateServer::redis().await;
    set(&format!("REPLICAOF 127.0.0.1 {}", other.address().port())).await;
    fails(&place, "token store", ("is a replica", "REPLICAOF NO ONE"));
    fails(
        &place,
        "token store",
        ("accepts no writes (read-only)", "set `redis.url` to the primary"),
    );
    set("REPLICAOF NO ONE").await;

    let secret = "hunter2";
    set(&format!(
        "ACL SETUSER lk on >{secret} ~lk:* +@read +@write +eval +evalsha +script|load +ping"
    ))
    .await;
    place = place.set("redis.url", &server.url().replace("//", &format!("//lk:{secret}@")));
    let rights = ("accepts no writes (no-permission)", "+evalsha +script|load +ping +time");
    fails(&place, "token store", rights);
    let ended = place.run(JSON);
    says(&ended, "token store", "failed the user of `redis.url` may not use TIME");
    assert_eq!(ended.stdout().matches("may not use TIME\"").count(), 1, "nothing else is missing");
    set("ACL SETUSER lk resetkeys ~other:* +time").await;
    fails(&place, "token store", ("accepts no writes (no-permission)", "~lk:*"));
    fails(&place, "token store", ("the user of `redis.url` may not use keys ~lk:*", "~lk:*"));
    assert!(!(ended.stdout() + &ended.stderr()).contains(secret));
}

#[tokio::test]
async fn a_redis_that_refuses_every_call_is_told_with_its_reason_on_servers() {
    let database = TestDatabase::create().await;
    let server = PrivateServer::redis().await;
    let mut operator = redis_connection(&server.url()).await.expect("connected");
    place(&database.url()).run(&["migrate", "up"]).expect(0);
    let at = |url: &str| place(&database.url()).set("redis.url", url);
    let address = server.address();

    let number = (
        "accepts no writes (refused): token store: the server has no database",
        "the error of Redis",
    );
    fails(&at(&format!("redis://{address}/99")), "token store", number);
    let user = ("accepts no writes (authentication)", "the user and the password in `redis.url`");
    fails(&at(&format!("redis://lk:wrong@{address}")), "token store", user);
    let plain = (
        "does not respond (unreachable): token store: the port does not use TLS",
        "rediss:// with TLS",
    );
    fails(&at(&format!("rediss://{address}")), "token store", plain);
    let alone = ("accepts no writes (not-a-cluster)", "write redis://");
    fails(&at(&format!("redis+cluster://{address}")), "token store", alone);
    let mut ask = async |line: &str| {
        let mut command = redis::Cmd::new();
        command.arg(line.split(' ').collect::<Vec<_>>());
        command.exec_async(&mut operator).await.expect(line);
    };
    ask("CONFIG SET maxclients 1").await;
    let full = ("accepts no writes (too-many-connections)", "maxclients");
    fails(&at(&server.url()), "token store", full);
    ask("CONFIG SET maxclients 1000").await;
    ask("CONFIG SET requirepass x").await;
    fails(&at(&server.url()), "token store", user);
}

#[tokio::test]
async fn a_node_of_a_cluster_is_told_to_be_one_on_servers() {
    let database = TestDatabase::create().await;
    let nodes = cluster().await;
    let place = place(&database.url());
    place.run(&["migrate", "up"]).expect(0);
    let place = place.set("redis.url", &nodes[0].url());
    fails(&place, "token store", ("is a node of a cluster", "write redis+cluster://"));
    fails(&place, "token store", ("accepts no writes (cluster-node)", "write redis+cluster://"));
    let cluster = format!("redis+cluster://{}", nodes[0].address());
    let place = place.set("redis.url", &cluster);
    says(&place.run(JSON).expect(0), "token store", "ok accepts writes");
}

#[tokio::test]
async fn a_change_is_logged_once_with_the_reason_and_the_fix_on_servers() {
    let database = TestDatabase::create().await;
    let server = PrivateServer::redis().await;
    let place = place(&database.url()).set("redis.url", &server.url());
    let mut place = place.set("database.auto_migrate", "true");
    let running = place.start().await;
    let set = async |line: &str| {
        let _: String = server.redis_command(line).await;
    };
    set("CONFIG SET maxmemory 1").await;
    let no_more = "the store accepts no writes, so requests that need it get status 503";
    running.daemon.says(no_more).await;
    // The test waits for some more probes. The probes are one second apart.
    let calls = async || -> u64 {
        let info: String = server.redis_command("INFO errorstats").await;
        let line = info.lines().find_map(|it| it.trim().strip_prefix("errorstat_OOM:count="));
        line.map_or(0, |it| it.parse().expect("a number"))
    };
    let so_far = calls().await;
    eventually("more probes", PATIENCE, async || (calls().await >= so_far + 40).then_some(()))
        .await;
    set("CONFIG SET maxmemory 0").await;
    running.daemon.says("the store accepts writes again").await;
    let log = running.stop().await;
    assert_eq!(log.matches(no_more).count(), 1, "{log}");
    assert_eq!(log.matches("the store accepts writes again").count(), 1, "{log}");
    let line = log.lines().find(|line| line.contains(no_more)).expect("said");
    for part in ["token_store", "out-of-memory", "raise maxmemory", "\"WARN\""] {
        assert!(line.contains(part), "no `{part}` in {line}");
    }
}

/// Only a missing table means that the first migration is still to come.
#[tokio::test]
async fn keys_and_mails_that_cannot_be_read_fail_on_servers() {
    let server = PrivateServer::postgres().await;
    let place = place(&server.url());
    place.run(&["migrate", "up"]).expect(0);
    server.sql("ALTER TABLE signing_keys RENAME TO elsewhere").await;
    says(&place.run(JSON), "signing keys", "skipped the database has no signing keys yet");
    server.sql("ALTER TABLE elsewhere RENAME TO signing_keys").await;
    server.sql("ALTER TABLE signing_keys RENAME COLUMN kind TO kinds").await;
    server.sql("ALTER TABLE outbox RENAME COLUMN kind TO kinds").await;
    server.sql("ALTER TABLE seaql_migrations RENAME COLUMN version TO versions").await;
    let advice = "correct what the error names";
    fails(&place, "signing keys", ("the signing keys cannot be read", advice));
    fails(&place, "outbox", ("the outbox cannot be read", advice));
    let advice = "if the table seaql_migrations belongs to another program";
    fails(&place, "database", ("the migrations cannot be read", advice));
}
