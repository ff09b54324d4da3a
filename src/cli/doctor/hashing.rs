//! What a password costs here, and whether the memory is there.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Finding, Patient};
use crate::password::{Hasher, Setup};

/// A log-in that takes longer keeps people waiting.
const SLOW: Duration = Duration::from_millis(500);
/// What the daemon needs besides hashes: code, connections, queues and caches, in KiB.
const BASE_KIB: u64 = 128 * 1_024;
/// What a cgroup without a limit says in version 1: more than any machine has.
const NO_LIMIT: u64 = 1 << 60;

pub(super) async fn run(patient: &Patient<'_>) -> Vec<Finding> {
    let password = &patient.config.password;
    let setup = Setup::of(password);
    let measure = move || Hasher::new(setup).and_then(|mut hasher| hasher.time_one());
    let mut found = vec![match tokio::task::spawn_blocking(measure).await {
        Ok(Ok(took)) => {
            let a_second = password.workers as u128 * 1_000_000_000 / took.as_nanos().max(1);
            let text = format!(
                "a hash takes {:.1} ms, {} workers make {a_second} log-ins a second at most",
                took.as_secs_f64() * 1_000.0,
                password.workers
            );
            if took > SLOW {
                Finding::warning(
                    text,
                    "lower `password.memory_kib` to OWASP's 19456, or give it more CPU",
                )
            } else {
                Finding::ok(text)
            }
        }
        Ok(Err(error)) => Finding::failed(error.to_string(), "see `password.*`"),
        Err(_) => Finding::failed("the hash broke", "lower `password.memory_kib`"),
    }];
    let needs = u64::from(password.memory_kib) * password.workers as u64 + BASE_KIB;
    if let Some(has) = memory_kib() {
        let (needs_mib, has_mib) = (needs / 1_024, has / 1_024);
        let text = format!("needs some {needs_mib} MiB at its busiest, {has_mib} MiB are there");
        found.push(if needs > has {
            let remedy =
                "raise the memory limit, or lower `password.workers` or `password.memory_kib`";
            Finding::failed(text, remedy)
        } else {
            Finding::ok(text)
        });
    }
    found
}

/// The smallest limit of the cgroups that we are in, else the machine's memory.
fn memory_kib() -> Option<u64> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let limit = limits(&groups)
        .filter_map(|file| std::fs::read_to_string(file).ok()?.trim().parse::<u64>().ok())
        .filter(|bytes| *bytes < NO_LIMIT)
        .min();
    let machine = || {
        let text = std::fs::read_to_string("/proc/meminfo").ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
        line.split_whitespace().next()?.parse().ok()
    };
    limit.map(|bytes| bytes / 1_024).or_else(machine)
}

/// The files with the limits of every group from ours up to the root: each of them holds. `/proc/self/cgroup` has
/// `0::/a/b` in version 2, `4:memory:/a/b` in version 1 (cgroups(7)).
fn limits(groups: &str) -> impl Iterator<Item = PathBuf> {
    groups.lines().flat_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) =
            (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let (root, file) = if controllers.is_empty() {
            ("/sys/fs/cgroup", "memory.max")
        } else {
            ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
        };
        let ours = controllers.is_empty() || controllers.split(',').any(|it| it == "memory");
        let path = Path::new(path.trim_start_matches('/'));
        let groups = path.ancestors().filter(move |_| ours);
        groups.map(|group| Path::new(root).join(group).join(file)).collect::<Vec<_>>()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_group_up_to_the_root_counts() {
        let files = |groups| limits(groups).map(|it| it.display().to_string()).collect::<Vec<_>>();
        assert_eq!(
            files("0::/system.slice/latchkey.service\n"),
            [
                "/sys/fs/cgroup/system.slice/latchkey.service/memory.max",
                "/sys/fs/cgroup/system.slice/memory.max",
                "/sys/fs/cgroup/memory.max",
            ]
        );
        assert_eq!(files("0::/\n"), ["/sys/fs/cgroup/memory.max"]);
        assert_eq!(
            files("5:cpu,cpuacct:/a\n4:memory:/a\n"),
            [
                "/sys/fs/cgroup/memory/a/memory.limit_in_bytes",
                "/sys/fs/cgroup/memory/memory.limit_in_bytes",
            ]
        );
    }
}
