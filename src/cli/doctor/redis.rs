//! Checks the token store: whether it responds, how fast, whether it takes writes, and whether it
//! may evict entries.

use std::time::{Duration, Instant};

use super::database::skew;
use super::{Finding, Patient};
use crate::clock::{Clock, UnixMillis};
use crate::health::Reason;
use crate::secret::Secret;
use crate::store::{RecordMac, RedisFacts, Store, StoreProbeError};

/// The oldest version of Redis that has everything that latchkey's scripts use.
const VERSION_MIN: (u32, u32) = (6, 2);
/// A refresh calls the token store once, and waits for at most 250 ms. A store with this latency or
/// more is not in the daemon's network.
const LATENCY_MAX: Duration = Duration::from_millis(10);
/// From this percentage of `maxmemory` on, Redis is nearly full.
const FULL_PERCENT: u64 = 80;

pub(super) async fn run(patient: &Patient<'_>) -> Vec<Finding> {
    let Some(url) = &patient.config.redis.url else {
        return vec![Finding::skipped("the token store is embedded: a table in the database")];
    };
    // The checks read no session and no mailed token, so they need no key.
    let mac = RecordMac::new(Secret::new([0; 32]));
    let store = match Store::connect_redis(url, patient.config.redis.ca_file.as_deref(), mac) {
        Ok(store) => store,
        Err(error) => {
            let text = format!("redis.url: {error}");
            return vec![Finding::failed(
                text,
                "write it as redis://host:port, or rediss://host:port for TLS",
            )];
        }
    };
    // The first call also opens the connection. This perhaps takes longer than the time limit of a
    // call.
    let _ = store.ping().await;
    let started = Instant::now();
    let answered = store.ping().await.map(|()| started.elapsed());
    let written = store.probe_write(Clock::System.now()).await.map(drop);
    // A server that refuses writes, or denies a right, still reports its other facts.
    let is_closed = |it: &StoreProbeError| {
        !it.reason.refuses_every_write() && it.reason != Reason::NoPermission
    };
    if answered.is_err() && written.as_ref().is_err_and(is_closed) {
        return vec![writes(written)];
    }
    let mut found: Vec<Finding> = answered.ok().map(speed).into_iter().collect();
    match store.redis_facts().await {
        Ok(facts) => {
            let facts = facts.unwrap_or_default();
            assess(&facts, Clock::System.now(), &mut found);
            role(&facts, store.is_redis_cluster(), written.is_ok(), &mut found);
        }
        // The refused write has its own finding, with the reason.
        Err(_) if written.is_err() => {}
        Err(error) => {
            found.push(Finding::failed(format!("INFO: {error}"), "check the log of Redis"));
        }
    }
    let is_forbidden = matches!(&written, Err(it) if it.reason == Reason::NoPermission);
    found.push(writes(written));
    if is_forbidden {
        let missing = store.missing_rights().await;
        if !missing.is_empty() {
            let text = format!("the user of `redis.url` may not use {}", missing.join(", "));
            found.push(Finding::failed(text, Reason::NoPermission.redis_fix()));
        }
    }
    found.push(eviction(store.eviction_policy().await.ok().flatten().as_deref()));
    found
}

fn speed(took: Duration) -> Finding {
    let text = format!("Redis responds in {:.1} ms", took.as_secs_f64() * 1_000.0);
    if took > LATENCY_MAX {
        return Finding::warning(text, "run Redis in the same region as the daemon");
    }
    Finding::ok(text)
}

/// Reports the result of a test write. It is a script, like the writes of requests. It writes keys
/// of its own, `lk:{probe-…}`, and lets them expire.
fn writes(written: Result<(), StoreProbeError>) -> Finding {
    let Err(StoreProbeError { reason, source }) = written else {
        return Finding::ok("accepts writes");
    };
    let said = source.map(|it| format!(": {it}")).unwrap_or_default();
    let what = match reason {
        Reason::Unreachable | Reason::Timeout => "does not respond",
        _ => "accepts no writes",
    };
    Finding::failed(format!("{what} ({}){said}", reason.name()), reason.redis_fix())
}

/// Checks that the server is the primary, and that it is a single server or a cluster, as the URL
/// says.
fn role(facts: &RedisFacts, is_cluster: bool, is_written: bool, found: &mut Vec<Finding>) {
    // The client of a cluster finds the primaries by itself, and some nodes are replicas.
    match facts.is_replica {
        Some(true) if !is_cluster => {
            found.push(Finding::failed("is a replica", Reason::ReadOnly.redis_fix()));
        }
        Some(_) => found.push(Finding::ok("is a primary")),
        None => {}
    }
    if facts.is_node == Some(true) && !is_cluster {
        let text = "is a node of a cluster, but `redis.url` names a single server";
        let fix = Reason::ClusterNode.redis_fix();
        // A single node may currently serve every slot. Then writes work.
        let finding = if is_written { Finding::warning } else { Finding::failed };
        found.push(finding(text.to_owned(), fix));
    }
    if facts.fails_to_save == Some(true) {
        let text = "the last snapshot or the last write to the append-only file failed";
        found.push(Finding::warning(text, Reason::PersistenceFailing.redis_fix()));
    }
}

/// Reports `maxmemory-policy`. `policy` is `None` if the server does not report it.
fn eviction(policy: Option<&str>) -> Finding {
    match policy {
        Some("noeviction") => Finding::ok("evicts nothing"),
        Some(policy) => Finding::failed(
            format!(
                "maxmemory-policy is {policy}: Redis may delete active sessions and used captchas"
            ),
            "set maxmemory-policy to noeviction",
        ),
        None => Finding::skipped("does not report maxmemory-policy: check that it is noeviction"),
    }
}

fn assess(facts: &RedisFacts, now: UnixMillis, found: &mut Vec<Finding>) {
    if let Some(version) = &facts.version {
        let mut parts = version.split('.').map(|part| part.parse().unwrap_or(0));
        let number = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
        found.push(if number < VERSION_MIN {
            let text = format!("version {version}");
            Finding::failed(text, "upgrade to Redis 6.2 or Valkey 7.2, or later")
        } else {
            Finding::ok(format!("version {version}"))
        });
    }
    match facts.append_only {
        Some(true) => found.push(Finding::ok("keeps an append-only file")),
        Some(false) => found.push(Finding::warning(
            "keeps no append-only file, so a restart of Redis logs out all users who logged in \
             after the last snapshot",
            "set appendonly to yes (appendfsync everysec)",
        )),
        None => {}
    }
    if let Some((used, max @ 1..)) = facts.memory {
        let percent = used.saturating_mul(100) / max;
        let text = format!("{percent} % of its memory is used");
        found.push(if percent >= FULL_PERCENT {
            Finding::warning(text, "raise maxmemory: when the memory is full, logins fail")
        } else {
            Finding::ok(text)
        });
    }
    if let Some(clock) = facts.clock {
        found.push(skew("Redis", clock, now));
    }
}

#[cfg(test)]
mod tests {
    use super::super::State::{self, Failed, Ok, Skipped, Warning};
    use super::super::tests::states;
    use super::*;

    fn said(facts: &RedisFacts) -> Vec<State> {
        let mut found = Vec::new();
        assess(facts, 1_000_000, &mut found);
        states(&found)
    }

    #[test]
    fn a_redis_is_judged_by_version_persistence_memory_and_clock() {
        let well = RedisFacts {
            version: Some("7.0.15".to_owned()),
            append_only: Some(true),
            memory: Some((79, 100)),
            clock: Some(1_000_000),
            ..RedisFacts::default()
        };
        assert_eq!(said(&well), [Ok, Ok, Ok, Ok]);
        assert_eq!(said(&RedisFacts::default()), [], "facts that the server does not report");
        for (version, state) in
            [("6.2.0", Ok), ("6.1.9", Failed), ("5.9", Failed), ("10.0", Ok), ("odd", Failed)]
        {
            let facts = RedisFacts { version: Some(version.to_owned()), ..well.clone() };
            assert_eq!(said(&facts)[0], state, "{version}");
        }
        let forgets = RedisFacts { append_only: Some(false), ..well.clone() };
        assert_eq!(said(&forgets)[1], Warning);
        let full = RedisFacts { memory: Some((80, 100)), ..well.clone() };
        assert_eq!(said(&full)[2], Warning);
        let without_limit = RedisFacts { memory: Some((80, 0)), ..well.clone() };
        assert_eq!(said(&without_limit), [Ok, Ok, Ok]);
        let off = RedisFacts { clock: Some(0), ..well };
        assert_eq!(said(&off)[3], Failed);
    }

    #[test]
    fn a_replica_fails_and_a_node_of_a_cluster_needs_the_url_of_one() {
        let said = |facts: RedisFacts, is_cluster, is_written| {
            let mut found = Vec::new();
            role(&facts, is_cluster, is_written, &mut found);
            states(&found)
        };
        let replica = |it| RedisFacts { is_replica: Some(it), ..RedisFacts::default() };
        assert_eq!(said(replica(true), false, false), [Failed]);
        assert_eq!(said(replica(false), false, true), [Ok]);
        assert_eq!(said(replica(true), true, true), [Ok], "a cluster has replicas");
        let node = || RedisFacts { is_node: Some(true), ..RedisFacts::default() };
        assert_eq!(said(node(), false, false), [Failed]);
        assert_eq!(said(node(), false, true), [Warning], "it serves every slot");
        assert_eq!(said(node(), true, true), []);
        let unsaved = RedisFacts { fails_to_save: Some(true), ..RedisFacts::default() };
        assert_eq!(said(unsaved, false, true), [Warning]);
        assert_eq!(
            said(RedisFacts::default(), false, true),
            [],
            "facts that the server does not report"
        );
    }

    #[test]
    fn a_refused_write_fails_with_its_reason() {
        let refused = StoreProbeError { reason: Reason::OutOfMemory, source: None };
        let finding = writes(Err(refused));
        assert_eq!(
            (finding.state, finding.detail.as_str()),
            (Failed, "accepts no writes (out-of-memory)")
        );
        assert_eq!(writes(std::result::Result::Ok(())).state, Ok);
    }

    #[test]
    fn it_fails_where_it_may_forget_and_warns_where_it_is_far() {
        let of = |policy| eviction(policy).state;
        assert_eq!([of(Some("noeviction")), of(None)], [Ok, Skipped]);
        for policy in ["allkeys-lru", "volatile-ttl", "allkeys-random"] {
            assert_eq!(of(Some(policy)), Failed, "{policy}");
        }
        assert_eq!(speed(LATENCY_MAX).state, Ok);
        assert_eq!(speed(LATENCY_MAX * 2).state, Warning);
    }
}
