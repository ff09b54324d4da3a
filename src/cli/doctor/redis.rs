//! The token store: whether it answers, how fast, whether it forgets.

use std::time::{Duration, Instant};

use super::database::skew;
use super::{Finding, Patient};
use crate::clock::{Clock, UnixMillis};
use crate::store::{RedisFacts, Store};

/// The oldest Redis with what our scripts use.
const VERSION_MIN: (u32, u32) = (6, 2);
/// A refresh asks once, within 250 ms: from here on it is not on the same network.
const LATENCY_MAX: Duration = Duration::from_millis(10);
/// Percent of `maxmemory` at which it is nearly full.
const FULL_PERCENT: u64 = 80;

pub(super) async fn run(patient: &Patient<'_>) -> Vec<Finding> {
    let Some(url) = &patient.config.redis_url else {
        return vec![Finding::skipped("embedded: a table of the database")];
    };
    let store = match Store::connect_redis(url) {
        Ok(store) => store,
        Err(error) => {
            let text = format!("redis.url: {error}");
            return vec![Finding::failed(text, "write redis://host:port, or rediss:// for TLS")];
        }
    };
    // The first call connects, and may take longer than a call has.
    let _ = store.ping().await;
    let started = Instant::now();
    if let Err(error) = store.ping().await {
        let remedy = "check `redis.url`, its password, the server, and the firewall between";
        return vec![Finding::failed(format!("does not answer: {error}"), remedy)];
    }
    let mut found = vec![speed(started.elapsed())];
    match store.redis_facts().await {
        Ok(facts) => judge(&facts.unwrap_or_default(), Clock::System.now(), &mut found),
        Err(error) => found.push(Finding::failed(format!("INFO: {error}"), "look at its log")),
    }
    found.push(eviction(store.eviction_policy().await.ok().flatten().as_deref()));
    found
}

fn speed(took: Duration) -> Finding {
    let text = format!("Redis answers in {:.1} ms", took.as_secs_f64() * 1_000.0);
    if took > LATENCY_MAX {
        return Finding::warning(text, "run it in the same region");
    }
    Finding::ok(text)
}

/// Of `maxmemory-policy`; none where it is not told.
fn eviction(policy: Option<&str>) -> Finding {
    match policy {
        Some("noeviction") => Finding::ok("evicts nothing"),
        Some(policy) => Finding::failed(
            format!("maxmemory-policy is {policy}: it may forget sessions and spent captchas"),
            "set maxmemory-policy to noeviction",
        ),
        None => Finding::skipped("does not say what it evicts: see that it is noeviction"),
    }
}

fn judge(facts: &RedisFacts, now: UnixMillis, found: &mut Vec<Finding>) {
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
            "keeps no append-only file: a restart signs out whoever signed in since the last snapshot",
            "set appendonly to yes (appendfsync everysec)",
        )),
        None => {}
    }
    if let Some((used, max @ 1..)) = facts.memory {
        let percent = used.saturating_mul(100) / max;
        let text = format!("{percent} % of its memory is used");
        found.push(if percent >= FULL_PERCENT {
            Finding::warning(text, "raise maxmemory: with noeviction log-ins fail when it is full")
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
        judge(facts, 1_000_000, &mut found);
        states(&found)
    }

    #[test]
    fn a_redis_is_judged_by_version_persistence_memory_and_clock() {
        let well = RedisFacts {
            version: Some("7.0.15".to_owned()),
            append_only: Some(true),
            memory: Some((79, 100)),
            clock: Some(1_000_000),
        };
        assert_eq!(said(&well), [Ok, Ok, Ok, Ok]);
        assert_eq!(said(&RedisFacts::default()), [], "what it does not tell");
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
