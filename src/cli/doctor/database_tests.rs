//! Tests for every branch of the findings about a database.

use super::super::tests::{config, states};
use super::*;
use crate::database::Server;

const NOW: UnixMillis = 1_800_000_000_000;

/// A server without any problem.
fn server() -> Server {
    Server { number: 150_008, clock: NOW, connections_max: 100 }
}

/// The findings about this server, with 3 replicas of 10 connections each.
fn said(server: Option<Server>) -> Vec<Finding> {
    let config = config(&[
        ("database.url", "postgres://ada@db/x"),
        ("database.max_connections", "10"),
        ("rate_limit.replicas", "3"),
    ]);
    let mut found = Vec::new();
    assess(&Facts { version: "15.8".to_owned(), server }, &config, NOW, &mut found);
    found
}

#[test]
fn a_server_is_judged_by_version_clock_and_connections() {
    use State::{Ok, Skipped, Warning};
    assert_eq!(states(&said(Some(server()))), [Ok, Ok]);
    assert_eq!(states(&said(None)), [Ok, Skipped], "SQLite");
    let old = said(Some(Server { number: 139_999, ..server() }));
    assert_eq!(states(&old), [Warning, Ok]);
    for (connections_max, more) in [(30, None), (29, Some(Warning))] {
        let few = said(Some(Server { connections_max, ..server() }));
        assert_eq!(few.get(2).map(|it| it.state), more, "{connections_max}");
    }
}

#[test]
fn the_clock_beside_sqlite_is_compared_with_redis_or_by_the_operator() {
    let sqlite = Facts { version: "3.50".to_owned(), server: None };
    let found = |settings: &[(&str, &str)]| {
        let mut found = Vec::new();
        assess(&sqlite, &config(settings), NOW, &mut found);
        found
    };
    let alone = found(&[]);
    assert!(alone[1].detail.contains("compare `date -u` with a time server"), "{alone:?}");
    assert_eq!(states(&found(&[("redis.url", "redis://127.0.0.1")])), [State::Ok]);
}

#[test]
fn a_clock_is_as_wrong_ahead_as_behind() {
    for (off, state) in [
        (0, State::Ok),
        (1_999, State::Ok),
        (2_000, State::Warning),
        (29_999, State::Warning),
        (30_000, State::Failed),
    ] {
        for theirs in [NOW - off, NOW + off] {
            assert_eq!(skew("it", theirs, NOW).state, state, "{off}");
        }
    }
}

#[test]
fn a_slow_answer_warns() {
    assert_eq!(speed(LATENCY_MAX).state, State::Ok);
    assert_eq!(speed(LATENCY_MAX + Duration::from_micros(1)).state, State::Warning);
}

#[test]
fn a_schema_fails_that_lacks_something_or_is_too_new() {
    let names = |names: &[&str]| names.iter().map(|it| (*it).to_owned()).collect();
    let window = |pending: &[&str], newer: &[&str]| {
        window(&Schema { pending: names(pending), newer: names(newer), ..Schema::default() })
    };
    assert_eq!(window(&[], &[]).state, State::Ok);
    assert_eq!(window(&[], &["m29990101_000099_colours"]).state, State::Ok, "the next adds");
    let lacks = window(&["m20990101_000001_more"], &[]);
    assert_eq!(lacks.state, State::Failed);
    assert_eq!(lacks.remedy.as_deref(), Some("run `latchkey migrate up`"));
    assert_eq!(window(&[], &["m29990201_000100_contract_names"]).state, State::Failed);
}
