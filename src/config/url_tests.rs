//! Tests of the reader of URLs.

use super::*;

#[test]
fn a_url_falls_into_its_parts() {
    let url = Url::parse("postgres://u:p@db.example:5432/latchkey?sslmode=require").unwrap();
    assert_eq!((url.scheme, url.host, url.port), ("postgres", "db.example", Some("5432")));
    assert_eq!((url.userinfo, url.path), (Some("u:p"), "/latchkey"));
    assert_eq!(Url::parse("http://[::1]:8080").unwrap().host, "::1");
    assert_eq!(Url::parse("http://[::1").map(|url| url.host), None);
}

#[test]
fn a_url_needs_a_known_scheme_a_host_and_a_port_that_is_one() {
    let check = |given| Url::check(given, &["http", "https"]).map(|_| ()).is_ok();
    assert!(check("http://localhost") && check("https://[::1]:8080") && check("http://a:1/b"));
    for wrong in [
        "localhost:8080",
        "ftp://a",
        "http://",
        "http:///a",
        "http://a:x",
        "http://a:70000",
        "http://a b",
        "http://[x]",
    ] {
        assert!(!check(wrong), "{wrong}");
    }
    assert!(Url::check("sqlite://./data/latchkey.db", &["sqlite"]).is_ok());
    assert!(Url::check("sqlite:///var/lib/x.db?mode=rwc", &["sqlite"]).is_ok());
    for wrong in ["sqlite://", "sqlite://u:p@h/x.db", "sqlite://u:p/x.db"] {
        assert!(Url::check(wrong, &["sqlite"]).is_err(), "{wrong}");
    }
    assert!(Url::check("redis+cluster://a:1,b:2", &["redis+cluster"]).is_ok());
}

#[test]
fn a_redacted_url_shows_where_and_nothing_secret() {
    assert_eq!(redacted("postgres://u:p@db/x?password=p"), "postgres://***@db/x?***");
    assert_eq!(redacted("redis://:p@ss@h:1"), "redis://***@h:1");
    assert_eq!(redacted("sqlite://./data/latchkey.db"), "sqlite://./data/latchkey.db");
    assert_eq!(redacted("redis://u:1/ss@h:1"), "redis://***");
    assert_eq!(redacted("hunter2"), "***");
    for unescaped in ["x://u:1#ss@h", "x://u:1?ss@h/d", "x://u:p", "x://:p", "x://u:%zz@h"] {
        assert_eq!(redacted(unescaped), "x://***", "{unescaped}");
    }
    let url = Url::parse("x://u:hunter2@h?hunter2#hunter2").unwrap();
    assert!(!format!("{url:?}").contains("hunter2"));
}

#[test]
fn an_unescaped_password_is_refused_with_the_escape_that_it_needs() {
    for (userinfo, escape) in [
        ("u:p/w", "%2F"),
        ("u:1/w", "%2F"),
        ("u:p?w", "%3F"),
        ("u:1?w", "%3F"),
        ("u:p#w", "%23"),
        ("u:1#w", "%23"),
        ("u:p%w", "%25"),
        ("u:p%zz", "%25"),
        ("u:p%", "%25"),
        ("u:p%E4", "%C3%A4"),
    ] {
        for scheme in ["postgres", "redis", "smtp"] {
            let url = format!("{scheme}://{userinfo}@db.example/d");
            let refusal = Url::check(&url, &[scheme]).unwrap_err();
            assert!(refusal.fix.contains(escape), "{url}: {refusal:?}");
            assert!(refusal.fix.starts_with("percent-encode user and password"), "{url}");
            assert!(!refusal.what(true).contains("db.example"), "{url}");
        }
    }
    for (url, reason) in [
        ("'postgres://u:p@db/d'", "is in quotes"),
        ("postgres://u:p@db/d\n", "has a space or a line break at its start or end"),
        ("postgres://u:p@db/d e", "contains a space or a control character"),
    ] {
        let refusal = Url::check(url, &["postgres"]).unwrap_err();
        assert!(refusal.what(true).contains(reason), "{url:?}: {refusal:?}");
    }
    let refusal = Url::check("postgres://u:p w@db/d", &["postgres"]).unwrap_err();
    assert!(refusal.fix.contains("a space is %20"), "{refusal:?}");
    // The userinfo ends at the last `@` before the path. The database drivers read it in the
    // same way.
    assert!(Url::check("postgres://u:p@ss@db/d", &["postgres"]).is_ok());
    assert!(Url::check("redis://:p%40ss@[::1]:1/0", &["redis"]).is_ok());
}

#[test]
fn several_hosts_are_for_a_cluster_alone() {
    for (url, scheme) in
        [("postgres://u:p@a:1,b:2/d", "postgres"), ("redis://a,b", "redis"), ("smtp://a,b", "smtp")]
    {
        let refusal = Url::check(url, &[scheme]).unwrap_err();
        assert_eq!(refusal.what(true), "names several hosts", "{url}");
        assert!(refusal.fix.contains("one host name that always leads to the primary"), "{url}");
    }
    for url in ["rediss+cluster://u:p@a:1,b:2", "rediss+cluster://u:p@[::1]:1,[::1]:2,a"] {
        assert!(Url::check(url, &["rediss+cluster"]).is_ok(), "{url}");
    }
    for url in ["redis+cluster://[::1:1,a", "redis+cluster://a:x,b", "redis+cluster://a,,b"] {
        assert!(Url::check(url, &["redis+cluster"]).is_err(), "{url}");
    }
}

#[test]
fn a_unix_socket_is_written_as_libpq_and_redis_write_it() {
    for good in [
        "postgresql:///db",
        "postgres://user:p%40ss@/db?host=/run/postgresql",
        "postgres://user@:5433/db",
        "postgres://user@%2Frun%2Fpostgresql/db",
        "postgres://user@%2frun%2fpostgresql:5433/db",
        "postgres://?host=/run/postgresql",
    ] {
        assert!(Url::check(good, &["postgres", "postgresql"]).is_ok(), "{good}");
    }
    for wrong in ["postgres://", "postgres:///", "postgres://user@", "postgres://a%2Fb/db"] {
        assert!(Url::check(wrong, &["postgres"]).is_err(), "{wrong}");
    }
    for good in ["unix:///run/redis.sock", "redis+unix:///run/redis.sock?db=2&pass=p"] {
        assert!(Url::check(good, &["redis+unix", "unix"]).is_ok(), "{good}");
    }
    for wrong in ["unix://", "unix:///", "unix://run/redis.sock", "redis+unix://u:p@/run/r"] {
        assert!(Url::check(wrong, &["redis+unix", "unix"]).is_err(), "{wrong}");
    }
    assert!(Url::check("redis:///0", &["redis"]).is_err());
}

#[test]
fn a_connection_stays_here_with_localhost_and_loopback_addresses_only() {
    for host in [
        "localhost",
        "LOCALHOST",
        "127.0.0.1",
        "127.9.9.9",
        "[::1]",
        "0:0:0:0:0:0:0:1",
        "::ffff:127.0.0.1",
        "[::ffff:7f00:2]",
    ] {
        assert!(is_loopback(host) && is_loopback_in_browsers(host), "{host}");
    }
    for host in ["localhost.", "a.localhost", "A.LOCALHOST.", "localhost.localhost"] {
        assert!(!is_loopback(host) && is_loopback_in_browsers(host), "DNS resolves {host}");
    }
    for host in [
        "localhost.evil.example",
        "example.com",
        "10.0.0.1",
        "",
        "[::]",
        "0.0.0.0",
        "::ffff:10.0.0.1",
        "notlocalhost",
        "localhost..",
        "[::1",
    ] {
        assert!(!is_loopback(host) && !is_loopback_in_browsers(host), "{host}");
    }
}

#[test]
fn the_host_of_a_url_is_this_machine_for_a_connection_or_for_a_browser() {
    for (url, for_connections, in_browsers) in [
        ("http://127.0.0.1:8080", true, true),
        ("http://[::1]:1", true, true),
        ("http://localhost", true, true),
        ("http://app.localhost", false, true),
        ("http://localhost.:1", false, true),
        ("http://0.0.0.0:8080", false, false),
        ("http://localhost.example.com", false, false),
    ] {
        let parsed = Url::parse(url).unwrap();
        let found = (parsed.is_loopback(), parsed.is_loopback_in_browsers());
        assert_eq!(found, (for_connections, in_browsers), "{url}");
    }
}
