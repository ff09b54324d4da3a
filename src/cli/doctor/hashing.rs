//! Measures what a password hash costs on this machine, and checks whether there is enough memory.

use std::time::Duration;

use super::{Finding, Patient, cgroup};
use crate::password::{Hasher, Setup};

/// A slower hash makes users wait when they log in.
const SLOW: Duration = Duration::from_millis(500);
/// The memory in KiB that the daemon needs besides hashes and connections: code, queues and caches.
const BASE_KIB: u64 = 128 * 1_024;
/// The memory that an open connection of a client takes, in bytes. It was measured.
const CONNECTION_BYTES: u64 = 33_000;

pub(super) async fn run(patient: &Patient<'_>) -> Vec<Finding> {
    let password = &patient.config.password;
    let setup = Setup::of(password);
    let measure = move || Hasher::new(setup).and_then(|mut hasher| hasher.time_one());
    let mut found = vec![match tokio::task::spawn_blocking(measure).await {
        Ok(Ok(took)) => speed(took, password.workers),
        Ok(Err(error)) => Finding::failed(error.to_string(), "correct the settings `password.*`"),
        Err(_) => Finding::failed("the test hash crashed", "lower `password.memory_kib`"),
    }];
    let hashes = u64::from(password.memory_kib) * password.workers as u64;
    let connections = patient.config.http.max_connections as u64 * CONNECTION_BYTES / 1_024;
    let least = hashes + BASE_KIB;
    found.extend(cgroup::memory_kib().map(|has| memory(least, least + connections, has)));
    found
}

/// Reports how long one hash takes, and how many logins a second this number of workers allows.
fn speed(took: Duration, workers: usize) -> Finding {
    let a_second = workers as u128 * 1_000_000_000 / took.as_nanos().max(1);
    let text = format!(
        "a hash takes {:.1} ms, so {workers} workers allow at most {a_second} logins a second",
        took.as_secs_f64() * 1_000.0
    );
    if took > SLOW {
        let remedy = "lower `password.memory_kib` to OWASP's 19456, or give the daemon more CPU";
        return Finding::warning(text, remedy);
    }
    Finding::ok(text)
}

/// Compares the memory that is needed with the memory that exists, in KiB. `least` is the memory
/// for all hashes at once. `most` is the memory for all hashes and for `http.max_connections`
/// connections.
fn memory(least: u64, most: u64, has: u64) -> Finding {
    let [least_mib, most_mib, has_mib] = [least, most, has].map(|kib| kib / 1_024);
    let text = format!(
        "all hashes at once need about {least_mib} MiB of memory, and together with \
         `http.max_connections` connections {most_mib} MiB; {has_mib} MiB are available"
    );
    if least > has {
        let remedy = "raise the memory limit, or lower `password.workers` or `password.memory_kib`";
        return Finding::failed(text, remedy);
    }
    if most > has {
        let remedy = "raise the memory limit, or lower `http.max_connections`";
        return Finding::warning(text, remedy);
    }
    Finding::ok(text)
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    #[test]
    fn a_slow_hash_warns_and_memory_that_is_not_there_fails() {
        let state = |ms| speed(Duration::from_millis(ms), 2).state;
        assert_eq!((state(500), state(501)), (State::Ok, State::Warning));
        assert!(speed(Duration::from_millis(20), 4).detail.contains("200 logins a second"));
        assert!(speed(Duration::ZERO, 4).state == State::Ok, "a clock that stands still");
        let state = |least, most| memory(least, most, 1_024).state;
        assert_eq!((state(1_024, 1_024), state(1_025, 2_000)), (State::Ok, State::Failed));
        assert_eq!(state(1_000, 1_025), State::Warning, "only if everybody comes at once");
    }
}
