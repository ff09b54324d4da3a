//! The token store: whether it answers, how fast, whether it forgets.

use std::time::{Duration, Instant};

use super::database::skew;
use super::{Finding, Patient, State};
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
    let took = started.elapsed();
    let text = format!("Redis answers in {:.1} ms", took.as_secs_f64() * 1_000.0);
    let state = if took > LATENCY_MAX { State::Warning } else { State::Ok };
    let remedy = (state == State::Warning).then_some("run it in the same region");
    let mut found = vec![Finding::new(state, text, remedy)];
    match store.redis_facts().await {
        Ok(facts) => judge(&facts.unwrap_or_default(), &mut found),
        Err(error) => found.push(Finding::failed(format!("INFO: {error}"), "look at its log")),
    }
    found.push(match store.eviction_policy().await {
        Ok(Some(policy)) if policy == "noeviction" => Finding::ok("evicts nothing"),
        Ok(Some(policy)) => Finding::failed(
            format!("maxmemory-policy is {policy}: it may forget sessions and spent captchas"),
            "set maxmemory-policy to noeviction",
        ),
        _ => Finding::skipped("does not say what it evicts: see that it is noeviction"),
    });
    found
}

fn judge(facts: &RedisFacts, found: &mut Vec<Finding>) {
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
        found.push(skew("Redis", clock));
    }
}
