//! Reads how much memory the kernel allows this process, from control groups of version 1 and 2.
//! The limit of a control group also applies to every group below it.

use std::path::{Component, Path, PathBuf};

/// A control group of version 1 without a limit reports at least this many bytes, which is more
/// memory than any machine has.
const NO_LIMIT: u64 = 1 << 60;

/// Returns how much memory the process can use, in KiB: the smallest limit of its control groups,
/// or the machine's memory if that is smaller.
pub(super) fn memory_kib() -> Option<u64> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let limit = limit_bytes(Path::new("/sys/fs/cgroup"), &groups).map(|bytes| bytes / 1_024);
    limit.into_iter().chain(machine_kib()).min()
}

/// Returns the smallest limit from the root of `mount` down to the groups that `/proc/self/cgroup`
/// names (cgroups(7)).
fn limit_bytes(mount: &Path, groups: &str) -> Option<u64> {
    groups.lines().filter_map(|line| least_of(mount, line)).min()
}

/// Returns the smallest limit for one line of `/proc/self/cgroup`, which has the form
/// `hierarchy:controllers:path`.
fn least_of(mount: &Path, line: &str) -> Option<u64> {
    let mut parts = line.splitn(3, ':');
    let (_, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
    if controllers.is_empty() {
        // A line without controllers is of version 2. If both versions are in use, version 2 is
        // mounted beside the controllers of version 1.
        let beside = mount.join("unified");
        let root = if beside.is_dir() { beside } else { mount.to_owned() };
        return least(&root, path, "memory.max");
    }
    let is_memory = controllers.split(',').any(|name| name == "memory");
    is_memory.then(|| least(&mount.join("memory"), path, "memory.limit_in_bytes")).flatten()
}

/// Returns the smallest limit of a group and of every group above it. Files that do not exist are
/// skipped, because in a container the root of the mount is the container's own group.
fn least(root: &Path, path: &str, file: &str) -> Option<u64> {
    let names = Path::new(path).components().filter_map(|it| match it {
        Component::Normal(name) => Some(name),
        _ => None,
    });
    let below = names.scan(root.to_owned(), |group, name| {
        group.push(name);
        Some(group.clone())
    });
    let limit = |group: PathBuf| {
        let text = std::fs::read_to_string(group.join(file)).ok()?;
        text.trim().parse().ok().filter(|it| *it < NO_LIMIT)
    };
    std::iter::once(root.to_owned()).chain(below).filter_map(limit).min()
}

fn machine_kib() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Creates a tree of control groups from pairs of a file's path and its content.
    fn mount(files: &[(&str, &str)]) -> tempfile::TempDir {
        let mount = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = mount.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, format!("{text}\n")).unwrap();
        }
        mount
    }

    #[test]
    fn the_least_limit_on_the_way_down_counts_in_both_versions() {
        let version_2 = mount(&[
            ("system.slice/memory.max", "2000"),
            ("system.slice/latchkey.service/memory.max", "max"),
            ("system.slice/latchkey.service/worker/memory.max", "3000"),
            ("system.slice/other.service/memory.max", "1"),
        ]);
        let version_1 = mount(&[
            ("memory/memory.limit_in_bytes", "9223372036854771712"),
            ("memory/docker/memory.limit_in_bytes", "5000"),
            ("memory/docker/abc/memory.limit_in_bytes", "4000"),
        ]);
        let in_a_container = mount(&[("memory.max", "700")]);
        let both =
            mount(&[("memory/a/memory.limit_in_bytes", "600"), ("unified/a/cgroup.procs", "")]);
        for (mount, groups, expected) in [
            (&version_2, "0::/system.slice/latchkey.service/worker", Some(2_000)),
            (&version_2, "0::/system.slice/latchkey.service", Some(2_000)),
            (&version_2, "0::/", None),
            (&version_1, "5:cpu:/docker\n4:hugetlb,memory:/docker/abc\n0::/", Some(4_000)),
            (&version_1, "4:memory:/", None),
            (&in_a_container, "0::/", Some(700)),
            (&in_a_container, "0::/../../kubepods/pod1", Some(700)),
            (&both, "4:memory:/a\n0::/a", Some(600)),
            (&both, "", None),
            (&both, "nonsense\n1:memory", None),
        ] {
            assert_eq!(limit_bytes(mount.path(), groups), expected, "{groups}");
        }
    }

    #[test]
    fn this_machine_says_something() {
        assert!(memory_kib().is_some_and(|kib| kib > 1_024));
    }
}
