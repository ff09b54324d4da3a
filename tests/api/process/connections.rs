//! Tests of the ways to a server: Unix sockets as libpq and the Redis client write them, and IPv6
//! addresses. No output contains the password.

use super::Place;
use crate::servers::{PrivateServer, Signal};

const PASSWORD: &str = "nine lives of a cat";

fn place(database: &str) -> Place {
    Place::new().set("database.url", database).set("secrets.master_key", &"A".repeat(43))
}

/// Runs the commands that an operator runs first, and a registration.
async fn works(mut place: Place, email: &str) {
    place.run(&["config", "check"]).expect(0);
    place.run(&["migrate", "up"]).expect(0);
    let doctor = place.run(&["doctor"]).stdout();
    assert!(doctor.contains("accepts writes"), "{doctor}");
    let running = place.start().await;
    running.anonymous().register(email, PASSWORD, "Ada").await.expect(200);
    let log = running.stop().await;
    let printed = place.run(&["config", "print"]).expect(0).stdout();
    for text in [doctor, log, printed] {
        assert!(!text.contains("hunter2"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_behind_a_unix_socket_is_used_in_every_form_of_libpq_on_servers() {
    let server = PrivateServer::postgres().await;
    let (folder, port) = (server.directory().display().to_string(), server.address().port());
    let encoded = folder.replace('/', "%2F");
    for (count, url) in [
        format!("postgresql:///postgres?host={folder}&port={port}&user=postgres"),
        format!("postgres://postgres:hunter2@{encoded}:{port}/postgres"),
        format!("postgres://postgres:hunter2@/postgres?host={folder}&port={port}"),
        format!("postgres://postgres@:{port}/postgres?host={encoded}&sslmode=verify-full"),
        format!("postgres://postgres@db.example:{port}/postgres?host={folder}"),
    ]
    .into_iter()
    .enumerate()
    {
        works(place(&url), &format!("ada{count}@socket.example")).await;
    }
    let absent = place("postgresql://u:hunter2@/d?host=/nowhere");
    for arguments in [&["migrate", "up"][..], &["users", "list"]] {
        let told = absent.run(arguments).expect(69).stderr();
        assert!(told.contains("No such file") && !told.contains("hunter2"), "{told}");
    }
    let told = absent.run(&["doctor"]).expect(3).stdout();
    assert!(told.contains("/nowhere/.s.PGSQL.5432"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_behind_a_unix_socket_is_used_on_servers() {
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("redis.sock").display().to_string();
    let mut server =
        PrivateServer::redis_with(vec!["--unixsocket".to_owned(), socket.clone()]).await;
    let _: String = server.redis_command("ACL SETUSER lk on >hunter2@ ~lk:* +@all").await;
    for (count, url) in [
        format!("unix://{socket}?user=lk&pass=hunter2%40&db=3"),
        format!("redis+unix://{socket}?user=lk&pass=hunter2%40&protocol=resp3"),
    ]
    .into_iter()
    .enumerate()
    {
        works(Place::new().set("redis.url", &url), &format!("ada{count}@socket.example")).await;
    }
    let wrong = format!("unix://{socket}?user=lk&pass=hunter2");
    let told = Place::new().set("redis.url", &wrong).run(&["doctor"]).expect(3).stdout();
    assert!(told.contains("authentication") && !told.contains("hunter2"), "{told}");
    server.signal(Signal::Kill);
    let told = Place::new().set("redis.url", &wrong).run(&["doctor"]).expect(3).stdout();
    assert!(told.contains("unreachable"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ipv6_addresses_are_used_everywhere_on_servers() {
    let both = |flag: &str| vec![flag.to_owned(), "listen_addresses=127.0.0.1,::1".to_owned()];
    let postgres = PrivateServer::postgres_with(both("-c")).await;
    let binding = ["--bind", "127.0.0.1", "::1"].map(str::to_owned).to_vec();
    let redis = PrivateServer::redis_with(binding).await;
    let url = format!("postgres://postgres:hunter2@[::1]:{}/postgres", postgres.address().port());
    let place = place(&url)
        .set("redis.url", &format!("redis://[::1]:{}/1", redis.address().port()))
        .set("http.listen", "[::1]:0")
        .set("admin.listen", "[::1]:0");
    works(place, "ada@ipv6.example").await;
}

#[tokio::test]
async fn a_login_that_is_refused_names_the_escapes_on_servers() {
    let server = PrivateServer::redis().await;
    let _: String = server.redis_command("ACL SETUSER lk on >p%41ss ~lk:* +@all").await;
    let url = server.url().replace("redis://", "redis://lk:p%41ss@");
    let told = Place::new().set("redis.url", &url).run(&["doctor"]).expect(3).stdout();
    assert!(told.contains("percent-encode user and password"), "{told}");
}
